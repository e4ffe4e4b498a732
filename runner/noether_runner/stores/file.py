"""A JSON store file, read only (`stages.md` §5). One instance is one snapshot of the file.

One record that cannot be read stays out of the others' way: it is a warning, and an error for
whoever refers to it. A missing or empty file is an empty store; everything else that is wrong is a
`StoreError`. Every stage that is given out has been verified.
"""

import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from noether_runner.graph.catalogue import Entry
from noether_runner.stages.errors import RecordError
from noether_runner.stages.lifecycle import Active, Deprecated
from noether_runner.stages.stage import Stage, read_stage
from noether_runner.stages.verify import Policy, StageRefusedError, verify
from noether_runner.stores.content import EMPTY, Content, fingerprint, read_content, read_file
from noether_runner.stores.index import IndexRows, IndexUnusableError, index_path, make_index
from noether_runner.stores.rows import Column, MemoryRows, Row, Rows
from noether_runner.stores.store import StageMissingError, StoreError

SOURCE: Final = "file"

LARGE_BYTES = 16 * 1024
"""From this size on a file is read through an index on disk: measured, that is where opening the
index begins to cost less than reading the file."""

_LISTED_PROBLEMS = 10


class FileStore:
    """The stages of one file. `cache_dir` keeps the indexes of large files; None means none."""

    def __init__(
        self, path: Path, cache_dir: Path | None = None, policy: Policy | None = None
    ) -> None:
        self._path = path
        self._policy = policy or Policy()
        self._index = None if cache_dir is None else index_path(cache_dir, path)
        self._rows = _open_rows(path, self._index)
        self._stages: dict[str, Stage] = {}
        problems = self._problems()
        self._warnings = [f"store {path.absolute()}: {each}" for each in problems]

    @property
    def warnings(self) -> Sequence[str]:
        """Records that cannot be read, and remarks about stages given out so far."""
        return tuple(self._warnings)

    def active_with_signature(self, reference: str) -> Sequence[Entry]:
        """See `Catalogue`."""
        rows = self._find(Column.SIGNATURE, reference)
        return _entries(row for row in rows if isinstance(row.lifecycle, Active))

    def deprecated_with_signature(self, reference: str) -> Sequence[Entry]:
        """See `KnowsDeprecated`."""
        rows = self._find(Column.SIGNATURE, reference)
        return _entries(row for row in rows if isinstance(row.lifecycle, Deprecated))

    def with_id(self, reference: str) -> Entry | None:
        """See `Catalogue`."""
        entries = _entries(self._find(Column.ID, reference))
        return entries[0] if entries else None

    def with_id_prefix(self, prefix: str) -> Sequence[Entry]:
        """See `Catalogue`."""
        return [_entry(row) for row in self._find(Column.ID_PREFIX, prefix)]

    def with_name(self, name: str) -> Sequence[Entry]:
        """See `Catalogue`."""
        return _entries(self._find(Column.NAME, name))

    def with_legacy_id(self, reference: str) -> Sequence[Entry]:
        """See `Catalogue`."""
        return _entries(self._find(Column.LEGACY_PREFIX, reference))

    def stage(self, stage_id: str) -> Stage:
        """See `StageStore`."""
        known = self._stages.get(stage_id)
        if known is not None:
            return known
        try:
            stage, remarks = self._read(stage_id)
        except (StageRefusedError, RecordError):
            # An index on disk may have been damaged without SQLite noticing: only what the store
            # file itself says counts against a stage.
            if not self._leave_index():
                raise
            stage, remarks = self._read(stage_id)
        self._warnings.extend(remarks)
        return self._stages.setdefault(stage_id, stage)

    def _read(self, stage_id: str) -> tuple[Stage, tuple[str, ...]]:
        rows = self._find(Column.ID, stage_id)
        if not rows:
            raise StageMissingError(stage_id)
        if rows[0].problem is not None:
            raise StoreError(self._path, rows[0].problem)
        try:
            json = self._rows.json(rows[0])
        except IndexUnusableError:
            self._leave_index()
            return self._read(stage_id)
        stage = read_stage(json)
        if stage.id != stage_id:
            raise RecordError("id", f"expected {stage_id}, got {stage.id}")
        return stage, verify(stage, self._policy)

    def _find(self, column: Column, text: str) -> Sequence[Row]:
        try:
            return self._rows.find(column, text)
        except IndexUnusableError:
            self._leave_index()
            return self._rows.find(column, text)

    def _problems(self) -> list[str]:
        try:
            sentences = list(self._rows.problems())
        except IndexUnusableError:
            self._leave_index()
            sentences = list(self._rows.problems())
        more = len(sentences) - _LISTED_PROBLEMS
        if more <= 0:
            return sentences
        return [*sentences[:_LISTED_PROBLEMS], f"{more} more stages cannot be read"]

    def _leave_index(self) -> bool:
        """Goes on with the file alone; False when there is no index in use."""
        if not isinstance(self._rows, IndexRows) or self._index is None:
            return False
        with suppress(OSError):
            self._index.unlink()
        self._rows = _open_rows(self._path, None)
        return True


def _open_rows(path: Path, index: Path | None) -> Rows:
    if index is not None:
        with suppress(OSError, IndexUnusableError):
            found = path.stat()
            if stat.S_ISREG(found.st_mode) and found.st_size >= LARGE_BYTES:
                return IndexRows(index, fingerprint(found))
    read = read_file(path)
    if read is None:
        return MemoryRows(EMPTY)
    data, state = read
    if index is None or len(data) < LARGE_BYTES:
        return MemoryRows(read_content(data, path))
    contents: list[Content] = []

    def content() -> Content:
        if not contents:
            contents.append(read_content(data, path))
        return contents[0]

    try:
        return make_index(index, state, content)
    except IndexUnusableError:
        return MemoryRows(content())


def _entries(rows: Iterable[Row]) -> list[Entry]:
    """Entries of the rows that can be read; of the others only when there is nothing else."""
    found = list(rows)
    readable = [row for row in found if row.problem is None]
    return [_entry(row) for row in readable or found]


def _entry(row: Row) -> Entry:
    return Entry(row.id or "", row.signature_id, row.name, row.lifecycle, SOURCE)
