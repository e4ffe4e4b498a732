"""Jobs that somebody paused by hand: kept in the history, so that a restart finds them paused.

A paused job is not due, as a disabled one; the two are told apart, and one does not end the other.
"""

import sqlite3
from datetime import datetime

from noether_supervisor.history.rows import to_us


def paused_jobs(connection: sqlite3.Connection) -> frozenset[str]:
    """The names of the paused jobs, also of some that are not in the configuration now."""
    rows = connection.execute("SELECT name FROM job WHERE paused_us IS NOT NULL")
    return frozenset(name for (name,) in rows)


def record_pause(connection: sqlite3.Connection, job: str, now: datetime) -> bool:
    """The job is paused from now on; False when it was paused already.

    Its position is another matter (`ledger.record_position`).
    """
    us = to_us(now)
    paused = connection.execute(
        "INSERT INTO job (name, first_seen_us, covered_us, counting, paused_us) "
        "VALUES (?1, ?2, ?2, 0, ?2) ON CONFLICT DO UPDATE SET paused_us = excluded.paused_us "
        "WHERE job.paused_us IS NULL",
        (job, us),
    )
    return paused.rowcount > 0


def record_resume(connection: sqlite3.Connection, job: str) -> bool:
    """The job is paused no more; False when it was not."""
    resumed = connection.execute(
        "UPDATE job SET paused_us = NULL WHERE name = ? AND paused_us IS NOT NULL", (job,)
    )
    return resumed.rowcount > 0
