"""The 85 standard stages, always available without being in any store (`stages.md` §5.3).

Their records come with this package (`builtins/catalog.json`) and need no verification at run time:
a test recomputes every id.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson

from noether_runner.graph.catalogue import Entry
from noether_runner.stages.lifecycle import Active
from noether_runner.stages.stage import Stage, read_stage
from noether_runner.stores.store import StageMissingError

SOURCE: Final = "builtin"

CATALOG = Path(__file__).parent.parent / "builtins" / "catalog.json"


@cache
def _records() -> dict[str, dict[str, Any]]:
    stages = orjson.loads(CATALOG.read_bytes())["stages"]
    return {record["id"]: record for record in stages}


@cache
def builtin_stage(stage_id: str) -> Stage:
    """The standard stage of this id; raises `StageMissingError`."""
    record = _records().get(stage_id)
    if record is None:
        raise StageMissingError(stage_id)
    return read_stage({name: record[name] for name in record if name != "legacy_ids"})


def builtin_stages() -> Iterator[Stage]:
    """All standard stages."""
    return (builtin_stage(stage_id) for stage_id in _records())


class BuiltinStore:
    """The standard library as a store, and as the container of its ids."""

    def __contains__(self, stage_id: object) -> bool:
        return stage_id in _records()

    @property
    def warnings(self) -> Sequence[str]:
        """None, ever."""
        return ()

    def active_with_signature(self, reference: str) -> Sequence[Entry]:
        """See `Catalogue`."""
        return [_entry(each) for each in _records().values() if each["signature_id"] == reference]

    def with_id(self, reference: str) -> Entry | None:
        """See `Catalogue`."""
        record = _records().get(reference)
        return None if record is None else _entry(record)

    def with_id_prefix(self, prefix: str) -> Sequence[Entry]:
        """See `Catalogue`."""
        return [_entry(each) for key, each in _records().items() if key.startswith(prefix)]

    def with_name(self, name: str) -> Sequence[Entry]:
        """See `Catalogue`."""
        return [_entry(each) for each in _records().values() if each["name"] == name]

    def with_legacy_id(self, reference: str) -> Sequence[Entry]:
        """See `Catalogue`."""
        return [
            _entry(each)
            for each in _records().values()
            if any(legacy["id"].startswith(reference) for legacy in each["legacy_ids"])
        ]

    def stage(self, stage_id: str) -> Stage:
        """See `StageStore`."""
        return builtin_stage(stage_id)


def _entry(record: dict[str, Any]) -> Entry:
    return Entry(record["id"], record["signature_id"], record["name"], Active(), SOURCE)
