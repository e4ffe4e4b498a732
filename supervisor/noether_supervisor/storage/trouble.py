"""What goes wrong with a database file, as sentences that say what to do."""

import errno
import sqlite3
from pathlib import Path

from noether_supervisor.errors import HistoryError
from noether_supervisor.storage.migrations import missing_tables

_SENTENCES = {
    sqlite3.SQLITE_BUSY: (
        "another process has kept the run history {path} locked for too long ({cause}): "
        "close the program that has it open (`fuser {path}` names it)"
    ),
    sqlite3.SQLITE_FULL: (
        "no space is left for the run history {path} ({cause}): free some on its file system; "
        "shorter `history.keep_runs` or `history.keep_days` keep it smaller"
    ),
    sqlite3.SQLITE_READONLY: (
        "the run history {path} cannot be written ({cause}): give the service's user write access "
        "to it and its directory, and see that the file system is not mounted read-only"
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "the run history {path} cannot be opened ({cause}): see that its directory exists and that "
        "this user may read and write it"
    ),
    sqlite3.SQLITE_CORRUPT: (
        "the run history {path} is damaged ({cause}): stop the service and move the file away, "
        "with its -wal and -shm, and a new history begins; `sqlite3 {path} .recover` may "
        "save what the old one holds"
    ),
    sqlite3.SQLITE_ERROR: (
        "the run history {path} is not what this program has made of it ({cause}): another program "
        "has changed it. Stop the service, put a backup in its place or move the file away, "
        "with its -wal and -shm, and a new history begins"
    ),
    sqlite3.SQLITE_NOTADB: (
        "{path} is not a run history ({cause}): move it away and a new history begins, or give the "
        "scheduler another state_dir"
    ),
    sqlite3.SQLITE_IOERR: (
        "the disk failed under the run history {path} ({cause}): look at the kernel's log "
        "(`dmesg`) and at the file system"
    ),
}
_SENTENCES[sqlite3.SQLITE_LOCKED] = _SENTENCES[sqlite3.SQLITE_BUSY]
_SENTENCES[sqlite3.SQLITE_PERM] = _SENTENCES[sqlite3.SQLITE_READONLY]
_SENTENCES[sqlite3.SQLITE_AUTH] = _SENTENCES[sqlite3.SQLITE_READONLY]

_OTHER = "the run history {path} could not be used: {cause}"

_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_PROTOCOL,
    }
)
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def database_trouble(error: sqlite3.Error, path: Path) -> HistoryError:
    """The error of SQLite at `path` in plain English; the original is kept as its cause."""
    family = _family(error)
    name = getattr(error, "sqlite_errorname", "")
    cause = f"{error}, {name}" if name else str(error)
    sentence = _SENTENCES.get(family, _OTHER)
    told = HistoryError(sentence.format(path=path, cause=cause), may_pass=family in _PASSING)
    told.__cause__ = error
    return told


def is_of_the_file(error: sqlite3.Error, connection: sqlite3.Connection) -> bool:
    """Whether the file is to blame, for the moment or for good, and not the one statement."""
    family = _family(error)
    if family == sqlite3.SQLITE_ERROR:
        # "no such table": a mistake in a statement, unless a table of ours is missing
        return bool(missing_tables(connection))
    return family in _PASSING or family in _DAMAGE


def _family(error: sqlite3.Error) -> int:
    """Extended codes carry their family in the low byte (sqlite.org/rescode.html)."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def file_trouble(error: OSError, path: Path) -> HistoryError:
    """The error of the operating system at `path` in plain English."""
    cause = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        sentence = _SENTENCES[sqlite3.SQLITE_FULL]
    elif error.errno == errno.EROFS:
        sentence = _SENTENCES[sqlite3.SQLITE_READONLY]
    elif error.errno in (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ENOENT, errno.EEXIST):
        sentence = _SENTENCES[sqlite3.SQLITE_CANTOPEN]
    else:
        sentence = _OTHER
    told = HistoryError(sentence.format(path=path, cause=cause))
    told.__cause__ = error
    return told
