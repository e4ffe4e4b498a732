"""Versions of the history database: forward only, one SQL file a step, each in one transaction.

Step 1 is `schema.sql`; later steps are the files `NNNN_words.sql` of this folder. A new database
takes every step, an older one those that it has not taken. `PRAGMA user_version` is the number of
the last step taken; `PRAGMA application_id` tells our files from other SQLite files.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from noether_supervisor.errors import HistoryError

APPLICATION_ID = 0x4E6F6574
"""The letters `Noet`; `file history.db` shows it."""


def all_steps() -> tuple[str, ...]:
    """The SQL of every step, step 1 first."""
    storage = files("noether_supervisor.storage")
    later = sorted(
        (entry for entry in (storage / "migrations").iterdir() if entry.name.endswith(".sql")),
        key=lambda entry: entry.name,
    )
    return tuple(step.read_text(encoding="utf-8") for step in (storage / "schema.sql", *later))


def bring_up_to_date(
    connection: sqlite3.Connection, path: Path, steps: Sequence[str] | None = None
) -> None:
    """Take every step that the database at `path` has not taken.

    Raises `HistoryError` when the file belongs to something else or to a newer program. The
    connection must be in autocommit mode (`isolation_level=None`).
    """
    steps = all_steps() if steps is None else steps
    if version_of(connection, path, known=len(steps)) == len(steps):
        return
    connection.execute("BEGIN EXCLUSIVE")
    try:
        # Read again under the lock: a command and the service may start at the same moment.
        version = version_of(connection, path, known=len(steps))
        for step in steps[version:]:
            for statement in _statements(step):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(steps)}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def version_of(connection: sqlite3.Connection, path: Path, known: int | None = None) -> int:
    """The last step that the database has taken, 0 for an empty file.

    Raises `HistoryError` when it is not a history database, or newer than step `known`.
    """
    known = len(all_steps()) if known is None else known
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    tables = int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    if (version or tables) and application != APPLICATION_ID:
        raise HistoryError(
            f"{path} is an SQLite database of another program, not a run history: "
            "give the scheduler another state_dir, or move that file away"
        )
    if version > known:
        raise HistoryError(
            f"the run history {path} has version {version}, and this program knows versions up to "
            f"{known}: it was written by a newer noether-scheduler. Start that version, or "
            "give this one another state_dir"
        )
    return version


def missing_tables(connection: sqlite3.Connection) -> set[str]:
    """The tables that the steps make and the database does not have."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as new:
        bring_up_to_date(new, Path(":memory:"))
        return _tables(new) - _tables(connection)


def _tables(connection: sqlite3.Connection) -> set[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return {name for (name,) in rows}


def _statements(script: str) -> Iterator[str]:
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    if any(line.strip() and not line.strip().startswith("--") for line in pending.splitlines()):
        yield pending
