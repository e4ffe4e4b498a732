"""What `noether-stage add` and `sync` take in, and what would spoil the store for others."""

from typing import Any

import orjson
import pytest

from noether_runner.stages.errors import SpecError
from noether_runner.stores.registration import Intake, take_in
from stage_samples import spec


def with_example_of_depth(levels: int) -> bytes:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    made = spec(input="Any", output="Any", examples=[{"input": value, "output": 1}])
    return orjson.dumps(made)


def test_a_record_that_no_store_could_hold_is_refused() -> None:
    """A spec may be nested in 127 levels; in a store its record lies two levels lower."""
    assert take_in(with_example_of_depth(122), Intake()).name == "sample"
    for levels in (123, 124):
        with pytest.raises(SpecError) as refused:
            take_in(with_example_of_depth(levels), Intake())
        assert refused.value.kind == "invalid_json"
        assert "no store could hold this stage" in refused.value.message
        assert refused.value.hints
