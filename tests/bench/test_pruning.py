"""How long a write waits while a large history is pruned beside it; printed, never asserted."""

import asyncio
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from bench.big_history import fill, job_name
from bench.spread import spread
from noether_supervisor.history import ledger
from noether_supervisor.history.retention import Retention, jobs_with_entries, prune_jobs
from noether_supervisor.storage.connection import Database

pytestmark = pytest.mark.bench

JOBS = 1000
ENTRIES_OF_EACH = 200
SECONDS_BETWEEN_WRITES = 0.02


async def waits(database: Database, until: "asyncio.Task[int] | None", count: int) -> list[float]:
    """Milliseconds that small writes took, one after another, while the task lasts or `count`."""
    found: list[float] = []
    while (until is None and len(found) < count) or (until is not None and not until.done()):
        now = datetime.now(UTC)
        began = time.perf_counter()
        await database.run(partial(ledger.record_position, job=job_name(0), position=now))
        found.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(SECONDS_BETWEEN_WRITES)
    return found


def test_writes_beside_pruning(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    fill(path, JOBS, ENTRIES_OF_EACH)
    log = Path(f"{path}-wal")

    async def measure() -> None:
        with Database.open(path) as database:
            alone = await waits(database, None, 200)
            names = await database.run(jobs_with_entries)
            keep = Retention(ENTRIES_OF_EACH // 2, 10_000, datetime.now(UTC))
            began = time.perf_counter()
            pruning = asyncio.create_task(prune_jobs(database, names, keep))
            beside = await waits(database, pruning, 0)
            took = time.perf_counter() - began
            print(
                f"\n{await pruning} of {JOBS * ENTRIES_OF_EACH} entries pruned in {took:.1f} s, "
                f"the log grew to {log.stat().st_size / 1e6:.1f} MB\n"
                f"a write beside it: {spread(beside)}\na write alone:     {spread(alone)}"
            )

    asyncio.run(measure())
