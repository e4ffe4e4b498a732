"""Opening the database file: privately and for writing, or for reading without leaving a trace.

Durability: WAL with `synchronous=FULL`. A `kill -9` loses nothing in any mode, since what was
written is in the kernel; a power cut in mode NORMAL loses the last commits, and with them the
promise that a run's record is on the disk before its runner starts: after the power cut the fire
would be taken for missed, or be run a second time by catch-up. Measured here (ext4 on a virtual
disk, one row of 400 bytes a commit): FULL 0.14 ms a commit (p99 0.33), NORMAL 0.02 ms (p99 0.07);
in batches of 20 rows 60,000 against 79,000 rows a second. Group commit shares the one flush among
all writes that wait for it, so the promise costs a tenth of a millisecond a moment, not a run.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from noether_supervisor.errors import HistoryError
from noether_supervisor.storage.migrations import all_steps, bring_up_to_date, version_of
from noether_supervisor.storage.trouble import database_trouble, file_trouble

BUSY_SECONDS = 5.0
"""How long a writer waits for another process (a command beside the service) to commit."""

_PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    # The writer checkpoints in quiet moments; this is for a service without any (32 MB).
    "PRAGMA wal_autocheckpoint = 8192",
    # A long read may make the log grow; give the space back afterwards.
    "PRAGMA journal_size_limit = 67108864",
)


def private_directory(path: Path) -> None:
    """Create the directory with mode 0700 unless it exists; raises `HistoryError`."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        is_file = isinstance(error, FileExistsError)
        reason = "a file stands there" if is_file else error.strerror or str(error)
        raise HistoryError(
            f"the state directory {path} cannot be made ({reason}): give the scheduler a state_dir "
            "that this user may make and write"
        ) from error


def open_for_writing(path: Path) -> sqlite3.Connection:
    """The database at `path`, created (0600, directory 0700) or brought up to date.

    In autocommit mode: whoever writes says BEGIN and COMMIT. Raises `HistoryError`.
    """
    private_directory(path.parent)
    try:
        # Before SQLite does, which would use the umask; -wal and -shm inherit the file's mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise file_trouble(error, path) from error
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        _use_log(connection, path)
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        bring_up_to_date(connection, path)
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, sqlite3.Error):
            raise database_trouble(error, path) from error
        raise
    return connection


def open_readonly(path: Path) -> sqlite3.Connection:
    """The database at `path` for a command: reads only, creates no file, needs no service.

    Works while the service runs, after it stopped and after it was killed. Raises `HistoryError`,
    also when there is no history yet.
    """
    try:
        return _read(path)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CANTOPEN:
            raise database_trouble(error, path) from error
    except sqlite3.Error as error:
        raise database_trouble(error, path) from error
    try:
        # The service stopped or started between our look at its files and the opening.
        return _read(path)
    except sqlite3.Error as error:
        raise database_trouble(error, path) from error


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """`open_readonly` for a `with`; what SQLite raises inside comes out as `HistoryError`."""
    with contextlib.closing(open_readonly(path)) as connection:
        try:
            yield connection
        except sqlite3.Error as error:
            raise database_trouble(error, path) from error


def _read(path: Path) -> sqlite3.Connection:
    try:
        empty = path.stat().st_size == 0
    except FileNotFoundError:
        empty = True
    except OSError as error:
        raise file_trouble(error, path) from error
    if empty:
        raise HistoryError(
            f"there is no run history at {path} yet: the service has not run with this "
            "configuration, or it runs with another state_dir"
        )
    # A clean stop removes log and index. Without them nothing but `immutable` reads a WAL database
    # without creating files; with them, `readonly_shm` reads the log of a dead service, too.
    log, index = Path(f"{path}-wal"), Path(f"{path}-shm")
    live = index.exists()
    if not live and log.exists() and log.stat().st_size:
        raise HistoryError(
            f"the run history {path} has a log ({log.name}) but not its index ({index.name}), as a "
            "copy of some of its files has: start the service once, which puts it in order"
        )
    mode = "mode=ro&readonly_shm=1" if live else "immutable=1"
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?{mode}", uri=True, timeout=BUSY_SECONDS, isolation_level=None
    )
    try:
        _refuse_older(version_of(connection, path), path)
    except BaseException:
        connection.close()
        raise
    return connection


def _refuse_older(version: int, path: Path) -> None:
    known = len(all_steps())
    if version < known:
        raise HistoryError(
            f"the run history {path} has version {version} and this program reads version {known}: "
            "start the service once, which brings it up to date"
        )


def _use_log(connection: sqlite3.Connection, path: Path) -> None:
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise HistoryError(
            f"the file system of {path} cannot hold a database in WAL mode (it offers {mode!r}): "
            "choose a state_dir on a local disk"
        )
