"""DESIGN §5: how late a due fire starts, one alone and five hundred in the same second.

Beside each other: the service's lateness and that of a bare thread which sleeps until the same
instants; the five hundred and what as many runs cost in CPU, one after another. Figures are
printed, never asserted.
"""

import asyncio
import os
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from loguru import logger

from bench.soak_samples import NURSERY
from bench.spread import spread
from noether_contract.outcomes import RunStatus
from noether_supervisor import jobs
from noether_supervisor.jobs import Loaded, load
from noether_supervisor.loop import Loop
from noether_supervisor.opened import Opened
from noether_supervisor.runs.process import children_of
from noether_supervisor.timer import ClockWatch, WallAlarm
from process_watch import command_of
from running_service import Place
from service_stages import ECHO, stage

pytestmark = pytest.mark.bench

FIRES = 80
DUE_AT_ONCE = 500
COUNTED_RUNS = 40
_FAR = datetime(9000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class DueAt:
    """A schedule with one due instant."""

    instant: datetime

    def next(self, after: datetime) -> datetime:
        return self.instant if after < self.instant else _FAR


class NoAlarm:
    def set(self, instant: object) -> None:
        pass


def sleeper(until: threading.Event, lateness_ms: list[float]) -> None:
    """The yardstick: how late a thread of this process wakes at each whole second."""
    while not until.is_set():
        due = int(time.time()) + 1
        time.sleep(max(0.0, due - time.time()))
        lateness_ms.append((time.time() - due) * 1000)


def test_one_due_fire(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.stages(ECHO)
    place.graph("echo", stage("echo"))
    place.configure({"name": "tick", "cron": "* * * * *", "graph": "echo.json"})
    over = threading.Event()
    bare: list[float] = []
    beside = threading.Thread(target=sleeper, args=(over, bare))
    with place.service(every_second=True) as service:
        beside.start()
        try:
            service.wait_for(" ended", "job=tick ", count=FIRES)
        finally:
            over.set()
            beside.join()
        assert service.stop() == 0
    with closing(sqlite3.connect(tmp_path / ".noether" / "scheduler" / "history.db")) as history:
        rows = history.execute("SELECT started_us - due_us FROM ledger WHERE started_us > 0")
        late = [us / 1000 for (us,) in rows]
    print(
        f"\none due fire, instant to start, {len(late)} fires: {spread(late)} (target p99 ≤ 5 ms)"
    )
    print(f"a bare thread that sleeps until the same instants: {spread(bare)}")


def test_five_hundred_in_one_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path)
    place.stages(ECHO)
    place.graph("echo", stage("echo"))
    place.configure(
        *({"name": f"job{number}", "graph": "echo.json"} for number in range(DUE_AT_ONCE))
    )
    monkeypatch.chdir(tmp_path)
    cpu_ms, took_ms = asyncio.run(_measured())
    cores = len(os.sched_getaffinity(0))
    cost = DUE_AT_ONCE * cpu_ms / cores
    print(
        f"\n{DUE_AT_ONCE} due in the same second: the last has started after {took_ms:.0f} ms; "
        f"as many runs cost {cost:.0f} ms of {cores} cores ({cpu_ms:.1f} ms CPU each): "
        f"ratio {took_ms / cost:.2f} (target ≤ 1.1)"
    )


def _loaded(due: datetime) -> Loaded:
    """The configuration, with all jobs due at that instant."""
    with patch.object(jobs, "schedule_for", lambda *_: DueAt(due)):
        loaded = load(Path("scheduler.json"), {})
        assert len(loaded.policies()) == DUE_AT_ONCE
    return loaded


async def _measured() -> tuple[float, float]:
    """CPU milliseconds of one run, and how long after their instant the last one started."""
    async with Opened.open(_loaded(_FAR), with_nursery=True) as opened:
        logger.remove()
        watch = ClockWatch(opened.clock)

        def woke() -> None:
            loop.happened(watch.look())

        alarm = WallAlarm(asyncio.get_running_loop(), woke)
        loop = opened.loop(alarm)
        await _run_by_hand(loop, 5)
        before = _cpu_ms()
        await _run_by_hand(loop, COUNTED_RUNS)
        cpu_ms = (_cpu_ms() - before) / COUNTED_RUNS
        due = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=3)
        opened.loaded = _loaded(due)
        loop.happened(opened.changed())
        while not await opened.database.run(_all_started):
            await loop.drained()
            await asyncio.sleep(0.01)
        rows = await opened.database.run(_starts)
        alarm.close()
        await opened.flush(5, 5)
    return cpu_ms, max(rows) / 1000


async def _run_by_hand(loop: Loop, count: int) -> None:
    for _ in range(count):
        asked = loop.ask_run("job0")
        assert asked is not None
        assert await asked[1] is RunStatus.SUCCEEDED
        await loop.drained()


def _all_started(history: sqlite3.Connection) -> bool:
    return len(_starts(history)) == DUE_AT_ONCE


def _starts(history: sqlite3.Connection) -> list[int]:
    rows = history.execute(
        "SELECT started_us - due_us FROM ledger WHERE NOT manual AND started_us IS NOT NULL"
    )
    return [us for (us,) in rows]


def _cpu_ms() -> float:
    """CPU of this process, of the nursery and of all that it has reaped."""
    nurseries = [pid for pid in children_of(os.getpid()) if NURSERY in command_of(pid)]
    ticks = 0
    for pid in nurseries:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return time.process_time() * 1000 + ticks * 1000 / os.sysconf("SC_CLK_TCK")
