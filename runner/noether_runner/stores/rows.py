"""The records of one store file, findable without reading them all.

Two ways to hold them: parsed, in memory (`MemoryRows`, for small files), and in an index on disk
(`index.py`). Of two records with the same id only the later one is a row.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Protocol

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass
from noether_runner.stages.identity import stage_id_v0, stage_id_v1
from noether_runner.stages.lifecycle import Lifecycle
from noether_runner.stages.stage import Stage
from noether_runner.stores.content import Content, problem_text


@dataclass(frozen=True, slots=True)
class Row:
    """What can be searched of a record. `problem` is a sentence when it cannot be read as a stage;
    `place` counts the records of the file from 0."""

    place: int
    id: str | None
    signature_id: str | None
    name: str | None
    lifecycle: Lifecycle
    problem: str | None


class Column(StrEnum):
    """By what rows are found."""

    ID = "id"
    ID_PREFIX = "id_prefix"
    SIGNATURE = "signature"
    NAME = "name"
    LEGACY_PREFIX = "legacy_prefix"


class Rows(Protocol):
    """The searchable records of one state of a store file."""

    def find(self, column: Column, text: str) -> Sequence[Row]:
        """Rows that match, in any order; prefixes and names compare exactly, case included."""
        ...

    def json(self, row: Row) -> JsonValue:
        """The whole record of a row."""
        ...

    def problems(self) -> Sequence[str]:
        """A sentence for every record of the file that cannot be read."""
        ...


class MemoryRows:
    """Rows over parsed content; finding looks at every row, which is quick for a small file."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._rows = list(rows_of(content))
        self._legacy: list[tuple[str, Row]] | None = None

    def find(self, column: Column, text: str) -> Sequence[Row]:
        """See `Rows.find`."""
        match column:
            case Column.ID:
                return [row for row in self._rows if row.id == text]
            case Column.ID_PREFIX:
                return [row for row in self._rows if row.id and row.id.startswith(text)]
            case Column.SIGNATURE:
                return [row for row in self._rows if row.signature_id == text]
            case Column.NAME:
                return [row for row in self._rows if row.name == text]
            case Column.LEGACY_PREFIX:
                if self._legacy is None:
                    self._legacy = list(self._legacy_ids())
                return [row for legacy, row in self._legacy if legacy.startswith(text)]

    def json(self, row: Row) -> JsonValue:
        """See `Rows.json`."""
        return self._content.records[row.place].json

    def problems(self) -> Sequence[str]:
        """See `Rows.problems`."""
        return problems_of(self._content)

    def _legacy_ids(self) -> Iterator[tuple[str, Row]]:
        for row in self._rows:
            stage = self._content.records[row.place].stage
            if stage is not None:
                yield from ((legacy, row) for legacy in legacy_ids(stage))


def rows_of(content: Content) -> Iterator[Row]:
    """A row for each record that lookups can reach."""
    last = {record.id: place for place, record in enumerate(content.records)}
    for place, record in enumerate(content.records):
        if record.id is not None and last[record.id] == place:
            stage = record.stage
            yield Row(
                place,
                record.id,
                record.text("signature_id") if stage is None else stage.signature_id,
                record.text("name") if stage is None else stage.name,
                record.lifecycle,
                None if record.problem is None else problem_text(record, place),
            )


def problems_of(content: Content) -> list[str]:
    """A sentence for every record that cannot be read."""
    return [
        problem_text(record, place)
        for place, record in enumerate(content.records)
        if record.problem is not None
    ]


def legacy_ids(stage: Stage) -> set[str]:
    """The ids that older schemes give to a stage's content, other than its own id."""
    signature, code = stage.signature, stage.implementation_hash
    return {stage_id_v0(signature, code), stage_id_v1(signature, code)} - {stage.id}
