"""Letting old entries go: per job, in small batches, so that no fire waits behind a deletion."""

import asyncio
import sqlite3
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial

from noether_supervisor.history.rows import id_range, to_us
from noether_supervisor.records import Fire
from noether_supervisor.storage.connection import Database

BATCH = 200
"""Most entries deleted in one piece of work."""


def prune(
    connection: sqlite3.Connection, job: str, keep_runs: int, keep_days: float, now: datetime
) -> int:
    """Delete up to `BATCH` entries of the job that are too many or too old; how many it deleted.

    An entry goes when `keep_runs` newer ones exist or its (last) due instant is more than
    `keep_days` past. One that is waiting or running, or whose webhook is still owed, stays. The
    job's position is not an entry and stays, too.
    """
    low, high = id_range(job)
    cutoff = now - timedelta(days=keep_days)
    surplus = connection.execute(
        "SELECT run_id FROM ledger WHERE run_id >= ? AND run_id < ? ORDER BY run_id DESC "
        "LIMIT 1 OFFSET ?",
        (low, high, keep_runs),
    ).fetchone()
    newest_surplus = low if surplus is None else str(surplus[0])
    last_candidate = max(newest_surplus, Fire(job, cutoff).run_id)
    doomed = connection.execute(
        "SELECT entry FROM ledger WHERE run_id >= ? AND run_id <= ? "
        "AND (run_id <= ? OR due_last_us < ?) AND status NOT IN ('waiting', 'running') "
        "AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.entry = ledger.entry "
        "AND state = 'owed') ORDER BY run_id LIMIT ?",
        (low, last_candidate, newest_surplus, to_us(cutoff), BATCH),
    ).fetchall()
    connection.executemany("DELETE FROM ledger WHERE entry = ?", doomed)
    return len(doomed)


async def prune_jobs(
    database: Database, jobs: Iterable[str], keep_runs: int, keep_days: float, now: datetime
) -> int:
    """`prune` for each job until nothing is left to delete, every batch a write of its own."""
    deleted = 0
    for job in jobs:
        while True:
            batch = partial(prune, job=job, keep_runs=keep_runs, keep_days=keep_days, now=now)
            count = await database.run(batch)
            deleted += count
            await asyncio.sleep(0)  # let due fires in
            if count < BATCH:
                break
    return deleted


def jobs_with_entries(connection: sqlite3.Connection) -> list[str]:
    """Every job the history knows, also those that left the configuration."""
    return [name for (name,) in connection.execute("SELECT name FROM job ORDER BY name")]
