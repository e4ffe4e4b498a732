"""A history such as a service has after years: thousands of jobs, a hundred entries of each.

Written straight into the tables, in the order in which a service would have: a million runs one
by one through the ledger would take longer than anything that is measured with them.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from noether_supervisor.history import ledger
from noether_supervisor.history.rows import packed, to_us
from noether_supervisor.records import Fire
from noether_supervisor.storage.opening import open_for_writing

TRACE = packed(b'{"composition_id": "' + b"c" * 64 + b'", "stages": [' + b'"x", ' * 60 + b"]}")
HOUR = timedelta(hours=1)


def job_name(number: int) -> str:
    """The name of one of the jobs."""
    return f"job{number:05d}"


def fill(path: Path, jobs: int, entries_of_each: int) -> None:
    """Writes `entries_of_each` runs of each job, an hour apart; every job is covered up to now."""
    now = datetime.now(UTC)
    first = now.replace(minute=0, second=0, microsecond=0) - entries_of_each * HOUR
    with closing(open_for_writing(path)) as history:
        history.execute("PRAGMA synchronous = OFF")
        history.execute("PRAGMA cache_size = -200000")
        history.execute("BEGIN")
        us = to_us(now)
        history.executemany(
            "INSERT INTO job (name, first_seen_us, covered_us) VALUES (?, ?, ?)",
            ((job_name(number), us, us) for number in range(jobs)),
        )
        for turn in range(entries_of_each):
            due = first + turn * HOUR
            history.executemany(
                "INSERT INTO ledger (entry, run_id, job, manual, due_us, due_last_us, due_count, "
                "status, started_us, ended_us, duration_ms, composition_id) "
                "VALUES (?, ?, ?, 0, ?, ?, 1, 'succeeded', ?, ?, 40, ?)",
                _entries(turn * jobs + 1, jobs, due),
            )
        count = jobs * entries_of_each
        history.executemany(
            "INSERT INTO outcome (entry, trace, output, stderr_tail, cpu_ms, peak_memory_bytes, "
            "stage_calls) VALUES (?, ?, ?, '', 30, 30000000, 1)",
            ((entry, TRACE, packed(b"42")) for entry in range(1, count + 1)),
        )
        history.execute("COMMIT")


def _entries(entry: int, jobs: int, due: datetime) -> Iterator[tuple[Any, ...]]:
    us = to_us(due)
    for number in range(jobs):
        name = job_name(number)
        run_id = Fire(name, due).run_id
        yield (entry + number, run_id, name, us, us, us + 900, us + 40_900, "c" * 64)


def leave_open(path: Path, runs: int) -> None:
    """A process records that so many runs start, and is killed: its log stays as it is."""
    child = os.fork()
    if child == 0:
        try:
            _record_starts(path, runs)
        finally:
            os.kill(os.getpid(), 9)
    os.waitpid(child, 0)


def _record_starts(path: Path, runs: int) -> None:
    now = datetime.now(UTC)
    history = open_for_writing(path)
    for number in range(runs):
        name = job_name(number)
        due = now + timedelta(microseconds=number)
        # each in a commit of its own, as a service does it
        ledger.record_start(history, Fire(name, due, manual=True), due)


def count_open(path: Path) -> int:
    """How many runs the history knows as running."""
    with closing(sqlite3.connect(path)) as history:
        row = history.execute("SELECT count(*) FROM ledger WHERE status = 'running'").fetchone()
    return int(row[0])
