"""Letting old entries go: per job, in slices of a few milliseconds, so that no fire waits long.

Between two slices the writer takes whatever else is handed over: starts and ends of runs.
"""

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from noether_supervisor.history.rows import id_range, to_us
from noether_supervisor.records import Fire
from noether_supervisor.storage.connection import Database

SLICE_SECONDS = 0.003
SLICE_ENTRIES = 50
"""After so long, or so many entries, the writer's thread is given back, whatever is left to do."""
PAUSE_SECONDS = 0.02
"""Between two slices: the flush of a commit takes its time, and nobody waits for a deletion."""

_ROWS_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Retention:
    """How much of each job's history stays: so many entries, and none older than so many days."""

    keep_runs: int
    keep_days: float
    now: datetime


def prune(
    connection: sqlite3.Connection,
    job: str,
    keep: Retention,
    is_over: Callable[[], bool] = lambda: False,
) -> int:
    """Deletes entries of the job that are too many or too old; how many it deleted.

    An entry goes when `keep_runs` newer ones exist or its (last) due instant is more than
    `keep_days` past. One that is waiting or running, or whose webhook is still owed, stays. The
    job's position is not an entry and stays, too. `is_over` ends it after any entry.
    """
    deleted = 0
    while doomed := _doomed(connection, job, keep):
        for (entry,) in doomed:
            connection.execute("DELETE FROM ledger WHERE entry = ?", (entry,))
            deleted += 1
            if is_over():
                return deleted
        if len(doomed) < _ROWS_AT_ONCE:
            break
    return deleted


def _doomed(connection: sqlite3.Connection, job: str, keep: Retention) -> list[tuple[int]]:
    low, high = id_range(job)
    cutoff = keep.now - timedelta(days=keep.keep_days)
    surplus = connection.execute(
        "SELECT run_id FROM ledger WHERE run_id >= ? AND run_id < ? ORDER BY run_id DESC "
        "LIMIT 1 OFFSET ?",
        (low, high, keep.keep_runs),
    ).fetchone()
    newest_surplus = low if surplus is None else str(surplus[0])
    last_candidate = max(newest_surplus, Fire(job, cutoff).run_id)
    return connection.execute(
        "SELECT entry FROM ledger WHERE run_id >= ? AND run_id <= ? "
        "AND (run_id <= ? OR due_last_us < ?) AND status NOT IN ('waiting', 'running') "
        "AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.entry = ledger.entry "
        "AND state = 'owed') ORDER BY run_id LIMIT ?",
        (low, last_candidate, newest_surplus, to_us(cutoff), _ROWS_AT_ONCE),
    ).fetchall()


async def prune_jobs(database: Database, jobs: Iterable[str], keep: Retention) -> int:
    """`prune` for each job until nothing is left to delete; how many entries it deleted."""
    left = deque(jobs)
    deleted = 0
    while left:
        deleted += await database.run(lambda connection: _slice(connection, left, keep))
        await asyncio.sleep(PAUSE_SECONDS)
    return deleted


def _slice(connection: sqlite3.Connection, left: deque[str], keep: Retention) -> int:
    """Works off the first of `left` for a moment; a job leaves it once it has no more to give."""
    until = time.monotonic() + SLICE_SECONDS
    deleted = 0

    def is_over() -> bool:
        nonlocal deleted
        deleted += 1
        return deleted >= SLICE_ENTRIES or time.monotonic() >= until

    while left:
        before = deleted
        prune(connection, left[0], keep, is_over)
        if deleted == before:
            left.popleft()
        if deleted >= SLICE_ENTRIES or time.monotonic() >= until:
            break
    return deleted


def jobs_with_entries(connection: sqlite3.Connection) -> list[str]:
    """Every job the history knows, also those that left the configuration."""
    return [name for (name,) in connection.execute("SELECT name FROM job ORDER BY name")]


def jobs_since(connection: sqlite3.Connection, entry: int) -> tuple[list[str], int]:
    """The jobs with entries made after `entry`, and the newest entry of all (0: there is none)."""
    newest = connection.execute("SELECT coalesce(max(entry), 0) FROM ledger").fetchone()[0]
    rows = connection.execute("SELECT DISTINCT job FROM ledger WHERE entry > ?", (entry,))
    return sorted(name for (name,) in rows), int(newest)
