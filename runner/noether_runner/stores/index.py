"""An index on disk for large store files, so that a run reads only the rows it needs.

One SQLite file a store in the cache folder, made anew whenever the store file has another
fingerprint: written beside its place and renamed over it, never changed afterwards. Everything in
it can be made again from the store file, so whatever is wrong with it (damaged, made by another
version, not writable) is met by making it again, or by doing without. What was seen of a registry
is kept in the same form (`registry/active.py`).

Ids of older schemes take a while to compute and are seldom asked for: the first question for one
makes an index that has them too.
"""

import fcntl
import hashlib
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import TypeAlias

import orjson

from noether_contract.json_values import JsonValue
from noether_runner.stages.errors import RecordError
from noether_runner.stages.lifecycle import read_lifecycle, write_lifecycle
from noether_runner.stages.stage import read_stage
from noether_runner.stores.content import Content, Fingerprint
from noether_runner.stores.rows import Column, Row, legacy_ids, problems_of, rows_of

State: TypeAlias = tuple[int, ...]
"""What an index is of: the fingerprint of a store file, or when a registry was looked at."""

_FORMAT = "noether-store-index/1"
_SETTLED_NS = 100_000_000
"""A file changed less than this before it is read may change again without its times moving on
(file systems count in ticks); an index of such a state could not be trusted later."""

_TABLES = """
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE problem (sentence TEXT NOT NULL);
CREATE TABLE stage (place INTEGER PRIMARY KEY, id TEXT NOT NULL, signature_id TEXT, name TEXT,
    lifecycle BLOB NOT NULL, problem TEXT, json BLOB NOT NULL);
CREATE VIEW entry AS SELECT place, id, signature_id, name, lifecycle, problem FROM stage;
CREATE TABLE legacy (legacy_id TEXT NOT NULL, place INTEGER NOT NULL);
"""
_INDEXES = """
CREATE INDEX stage_id ON stage (id);
CREATE INDEX stage_signature ON stage (signature_id);
CREATE INDEX stage_name ON stage (name);
CREATE INDEX legacy_prefix ON legacy (legacy_id);
"""
_FIND = {
    Column.ID: "SELECT * FROM entry WHERE id = ?1",
    Column.ID_PREFIX: "SELECT * FROM entry WHERE id >= ?1 AND id < ?2",
    Column.SIGNATURE: "SELECT * FROM entry WHERE signature_id = ?1",
    Column.NAME: "SELECT * FROM entry WHERE name = ?1",
    Column.LEGACY_PREFIX: "SELECT entry.* FROM legacy JOIN entry USING (place) "
    "WHERE legacy_id >= ?1 AND legacy_id < ?2",
}
_LAST_CHARACTER = "\U0010ffff"


class IndexUnusableError(Exception):
    """The index is missing, damaged or of another state of the store file."""


class IndexRows:
    """Rows of an index file. Any trouble with the file is an `IndexUnusableError`."""

    def __init__(self, path: Path, wanted: State) -> None:
        self._path = path
        self._wanted = wanted
        self._lock = Lock()
        self._connection = _open(path, wanted)

    def __del__(self) -> None:
        # Rows live as long as the store that uses them, which nobody closes.
        if hasattr(self, "_connection"):
            self._connection.close()

    def find(self, column: Column, text: str) -> Sequence[Row]:
        """See `Rows.find`. The first question for an older id makes a larger index."""
        if column is Column.LEGACY_PREFIX and not self._has_legacy_ids():
            self._add_legacy_ids()
        bounds = (text, text + _LAST_CHARACTER)
        answers = self._query(_FIND[column], bounds[: _FIND[column].count("?")])
        return [_row(answer) for answer in answers]

    def json(self, row: Row) -> JsonValue:
        """See `Rows.json`."""
        answers = self._query("SELECT json FROM stage WHERE place = ?1", (row.place,))
        if not answers:
            raise IndexUnusableError
        return _parsed(answers[0][0])

    def problems(self) -> Sequence[str]:
        """See `Rows.problems`."""
        return [str(sentence) for (sentence,) in self._query("SELECT sentence FROM problem", ())]

    def _query(self, sql: str, values: Sequence[str | int]) -> list[tuple[object, ...]]:
        with self._lock, _trouble_is_unusable():
            return self._connection.execute(sql, values).fetchall()

    def _has_legacy_ids(self) -> bool:
        return bool(self._query("SELECT value FROM about WHERE key = 'legacy'", ()))

    def _add_legacy_ids(self) -> None:
        with _trouble_is_unusable(), _only_maker(self._path):
            # Another process may have done it while this one waited; the snapshot is the same.
            with suppress(IndexUnusableError):
                self._reopen()
            if not self._has_legacy_ids():
                _write_anew(self._path, self._copy_with_legacy_ids)
                self._reopen()

    def _reopen(self) -> None:
        renewed = _open(self._path, self._wanted)
        with self._lock:
            self._connection.close()
            self._connection = renewed

    def _copy_with_legacy_ids(self, connection: sqlite3.Connection) -> None:
        self._connection.backup(connection)
        connection.execute("BEGIN")
        found = connection.execute("SELECT place, json FROM stage WHERE problem IS NULL")
        for place, json in found.fetchall():
            rows = ((legacy, place) for legacy in legacy_ids(read_stage(_parsed(json))))
            connection.executemany("INSERT INTO legacy VALUES (?, ?)", rows)
        connection.execute("INSERT INTO about VALUES ('legacy', 'yes')")
        connection.execute("COMMIT")


def index_path(cache_dir: Path, store: Path) -> Path:
    """Where the index of a store file is kept."""
    name = hashlib.sha256(os.fsencode(store.absolute())).hexdigest()[:32]
    return cache_dir / "stores" / f"{name}.sqlite"


def make_index(path: Path, wanted: Fingerprint, read: Callable[[], Content]) -> IndexRows:
    """The index at `path` for the state `wanted`, made from `read()` if it is not there yet.

    Only one process makes it, others wait. Raises `IndexUnusableError` when it cannot be made, or
    when the state is too young to be told from a later one.
    """
    with suppress(IndexUnusableError):
        return IndexRows(path, wanted)
    with _trouble_is_unusable(), _only_maker(path):
        with suppress(IndexUnusableError):
            return IndexRows(path, wanted)
        if time.time_ns() - wanted[-1] < _SETTLED_NS:
            raise IndexUnusableError
        content = read()
        return _written(path, wanted, [content])


def write_index(path: Path, state: State, contents: Iterable[Content]) -> IndexRows:
    """The index at `path` of contents that come one by one, so that they never are in memory
    together; no two of their records may have the same id.

    What iterating raises is passed on, except what the operating system says. Raises
    `IndexUnusableError` when the index cannot be written.
    """
    with _trouble_is_unusable(), _only_maker(path):
        return _written(path, state, contents)


def _written(path: Path, state: State, contents: Iterable[Content]) -> IndexRows:
    _write_anew(path, lambda connection: _fill(connection, contents, state))
    return IndexRows(path, state)


def _fill(connection: sqlite3.Connection, contents: Iterable[Content], wanted: State) -> None:
    connection.execute("BEGIN")
    for statement in _TABLES.split(";"):
        connection.execute(statement)
    insert = "INSERT INTO stage VALUES (?, ?, ?, ?, ?, ?, ?)"
    first = 0
    for content in contents:
        connection.executemany(insert, _values(content, first))
        sentences = [(sentence,) for sentence in problems_of(content)]
        connection.executemany("INSERT INTO problem VALUES (?)", sentences)
        first += len(content.records)
    connection.execute("INSERT INTO about VALUES ('state', ?)", (_state(wanted),))
    for statement in _INDEXES.split(";"):
        connection.execute(statement)
    connection.execute("COMMIT")


def _values(content: Content, first: int) -> Iterator[tuple[object, ...]]:
    for row in rows_of(content):
        lifecycle = orjson.dumps(write_lifecycle(row.lifecycle))
        json = orjson.dumps(content.records[row.place].json)
        yield first + row.place, row.id, row.signature_id, row.name, lifecycle, row.problem, json


def _write_anew(path: Path, fill: Callable[[sqlite3.Connection], None]) -> None:
    for abandoned in path.parent.glob(f".{path.name}.*"):
        abandoned.unlink(missing_ok=True)  # its maker was killed: there is only one at a time
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    try:
        with closing(sqlite3.connect(temporary, isolation_level=None)) as connection:
            # A file that is thrown away when anything goes wrong needs no journal.
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            fill(connection)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _open(path: Path, wanted: State) -> sqlite3.Connection:
    if not path.is_file():
        raise IndexUnusableError
    with _trouble_is_unusable():
        # Immutable: the file is never written again, so SQLite needs neither locks nor journals.
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?immutable=1", uri=True, check_same_thread=False
        )
        try:
            found = connection.execute("SELECT value FROM about WHERE key = 'state'").fetchone()
        except BaseException:
            connection.close()
            raise
        if found != (_state(wanted),):
            connection.close()
            raise IndexUnusableError
        return connection


def _state(wanted: State) -> str:
    return " ".join([_FORMAT, *map(str, wanted)])


def _row(answer: tuple[object, ...]) -> Row:
    place, stage_id, signature_id, name, lifecycle, problem = answer
    if not isinstance(place, int):
        raise IndexUnusableError
    try:
        state = read_lifecycle(_parsed(lifecycle))
    except RecordError:
        raise IndexUnusableError from None
    return Row(place, _text(stage_id), _text(signature_id), _text(name), state, _text(problem))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _parsed(json: object) -> JsonValue:
    try:
        value: JsonValue = orjson.loads(json if isinstance(json, bytes) else b"")
    except orjson.JSONDecodeError:
        raise IndexUnusableError from None
    return value


@contextmanager
def _trouble_is_unusable() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError):
        raise IndexUnusableError from None


@contextmanager
def _only_maker(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
