"""Every case of `cron_vectors.json`: due instants of good expressions, classes of bad ones."""

from datetime import datetime
from itertools import islice
from typing import Any

import pytest

from noether_supervisor.schedule.expression import (
    CronError,
    named_zone,
    parse_cron,
    schedule_for,
)
from vector_files import load_vectors

pytestmark = pytest.mark.vectors

VECTORS = load_vectors("cron_vectors.json")


def _bad_value(case: dict[str, Any]) -> Any:
    if "repeat" not in case:
        return case["expr"]
    piece, times, end = case["repeat"]
    return piece * times + end


@pytest.mark.parametrize("case", VECTORS["valid"], ids=lambda case: case["id"])
def test_due_instants(case: dict[str, Any]) -> None:
    expression = parse_cron(case["expr"])
    assert expression.wildcard == (case["job"] == "wildcard")
    schedule = schedule_for(expression, named_zone(case["tz"]))
    instant = datetime.fromisoformat(case["start"])
    for expected in islice(case["next"], 50):
        instant = schedule.next(instant)
        assert instant == datetime.fromisoformat(expected)


@pytest.mark.parametrize("case", VECTORS["invalid"], ids=lambda case: case["id"])
def test_refusals(case: dict[str, Any]) -> None:
    with pytest.raises(CronError) as refused:
        parse_cron(_bad_value(case))
    assert refused.value.kind == case["reason"]
