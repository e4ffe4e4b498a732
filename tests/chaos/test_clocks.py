"""Clocks that are set, machines that sleep, the nights in which zones change theirs; and kills.

The clock is driven by the test (`driven_service.py`), everything else is real. In the end the
ledger must cover the instants that `next` lists from the first start to the latest time that a
service has seen, each of them once, whatever the clock showed in between.
"""

import contextlib
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from busy_place import PEACEFUL, Account, compare, hook_at, no_traceback, prepare
from chaos_arena import KILLS, beside_others
from ledger_reading import instant
from noether_supervisor.schedule.expression import schedule_for
from noether_supervisor.schedule.fires import due_instants
from receivers import receiver
from running_service import HERE, Place, Service, Signpost

pytestmark = pytest.mark.chaos

HOUR = 3600.0
KEEP = {"keep_runs": 1_000_000, "keep_days": 10_000}
"""A clock that goes on by months must not let old entries go."""

TICK = timedelta(microseconds=1)
POLICIES: tuple[dict[str, Any], ...] = (
    {"overlap": "allow", "catch_up": "none"},
    {"overlap": "allow", "catch_up": "all", "catch_up_window": 7200},
    {"overlap": "skip", "catch_up": "last"},
    {"overlap": "queue", "catch_up": "none"},
)
NIGHTS = (
    ("2026-03-08T04:40:00+00:00", 4),  # New York: no 02:00
    ("2026-03-28T21:20:00+00:00", 5),  # Beirut: no midnight; Madrid: no 02:00
    ("2026-04-04T13:40:00+00:00", 4),  # Lord Howe: 01:30 to 02:00 twice
    ("2026-10-03T13:40:00+00:00", 4),  # Lord Howe: no 02:00 to 02:30
    ("2026-10-24T20:10:00+00:00", 6),  # Beirut and Madrid: an hour twice
    ("2026-11-01T04:10:00+00:00", 4),  # New York: 01:00 twice
)
"""The first instant of some nights, and how many hours of them are looked at."""

ZONES = ("America/New_York", "Europe/Madrid", "Asia/Beirut", "Australia/Lord_Howe")
NIGHTLY = ("30 1-3 * * *", "*/20 1-2 * * *", "0 0 * * *", "45 23,0,1 * * *")


@dataclass
class Driven:
    """A place whose services see the clock of the test: `wall`, at most `highest` so far."""

    place: Place
    wall: datetime
    first: datetime = field(init=False)
    highest: datetime = field(init=False)
    lines: Signpost = field(init=False)
    answers: Signpost = field(init=False)

    def __post_init__(self) -> None:
        self.first = self.highest = self.wall
        self.lines = Signpost(self.place.folder / "driven-by")
        self.answers = Signpost(self.place.folder / "driven-answers")

    @contextlib.contextmanager
    def service(self) -> Iterator[Service]:
        environment = {
            "DRIVEN_START": self.wall.isoformat(),
            "DRIVEN_BY": str(self.lines.path),
            "DRIVEN_ANSWERS": str(self.answers.path),
        }
        command = [sys.executable, str(HERE / "driven_service.py")]
        with self.place.started(command, environment) as service:
            service.wait_for("started: ")
            self._saw(self.wall)
            yield service

    def go(self, passed: float, stepped: float = 0.0) -> None:
        """Lets time pass and steps the clock; returns when the service has."""
        before = self.wall + timedelta(seconds=passed)
        self.ask(passed, stepped)
        self.wall = datetime.fromisoformat(self.answers.reached())
        assert self.wall == before + timedelta(seconds=stepped)
        self._saw(before)
        self._saw(self.wall)

    def ask(self, passed: float, stepped: float = 0.0) -> None:
        """The same without waiting for it."""
        self.lines.say(f"[{passed}, {stepped}]")

    def gone_by(self, seconds: float) -> None:
        """The wall clock moves while there is no service, or one that was killed meanwhile."""
        self.wall += timedelta(seconds=seconds)
        self.lines.forget()
        self.answers.forget()

    def _saw(self, wall: datetime) -> None:
        self.highest = max(self.highest, wall)

    def end(self, service: Service) -> None:
        assert service.stop() == 0, service.log
        no_traceback(service.log)


def end_all(driven: Driven, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Whatever waits is dropped, whatever runs is ended; the ledger, checked against `next`."""
    driven.place.configure(*({**job, "enabled": False} for job in jobs), history=KEEP)
    with driven.service() as service:
        driven.end(service)
    driven.lines.close()
    driven.answers.close()
    entries = driven.place.history()
    for job in jobs:
        schedule = schedule_for(job["cron"], ZoneInfo(job["timezone"]))
        found: list[datetime] = []
        for entry in entries:
            if entry["job"] == job["name"]:
                first, last = instant(entry["due"]), instant(entry["due_last"])
                instants = list(due_instants(schedule, first - TICK, last))
                assert len(instants) == entry["due_count"]
                found += instants
        due = list(due_instants(schedule, driven.first, driven.highest))
        assert sorted(found) == due, job
    return entries


def let_them_end(service: Service) -> None:
    """Waits for the runs that have started."""
    started = service.log.count("started job=")
    if started:
        service.wait_for("ended", "job=", count=started)


def jobs_for(place: Place, crons: tuple[str, ...], zones: tuple[str, ...], url: str) -> list[Any]:
    place.graph("constant", {"op": "Const", "value": 1})
    pairs = [(zone, cron) for zone in zones for cron in crons]
    return [
        {
            "name": f"job-{number}",
            "cron": cron,
            "timezone": zone,
            "graph": "constant.json",
            "webhook": hook_at(url),
            **POLICIES[number % len(POLICIES)],
        }
        for number, (zone, cron) in enumerate(pairs)
    ]


@beside_others
def test_the_clock_is_set_and_the_machine_sleeps(place: Place, chance: random.Random) -> Account:
    prepare(place)
    driven = Driven(place, datetime(2026, 5, 4, 7, 12, 30, tzinfo=UTC))
    kills = steps = 0
    with receiver() as hooks:
        crons = ("*/10 * * * *", "7 * * * *", "0,30 8 * * *", "*/15 * * * *")
        jobs = jobs_for(place, crons, ("UTC",), hooks.url)
        place.configure(*jobs, max_concurrent_runs=16, history=KEEP)
        for _ in range(max(3, KILLS // 4)):
            with driven.service() as service:
                for _ in range(4):
                    # forwards, backwards, by less than a minute; or asleep: only the wall goes on
                    step = chance.choice([0, HOUR / 2, 5 * HOUR, -HOUR / 3, -2 * HOUR, 40, -40])
                    driven.go(chance.uniform(0, HOUR), chance.uniform(0, 1) * step)
                    steps += step != 0
                if chance.random() < 0.6:
                    let_them_end(service)
                if chance.random() < 0.4:
                    driven.end(service)
                    driven.gone_by(chance.uniform(-2, 3) * HOUR)
                    continue
                passed = chance.uniform(0, HOUR)
                driven.ask(passed)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    service.process.wait(chance.uniform(0, 0.3))
                service.send(signal.SIGKILL)
                assert service.ended() == -signal.SIGKILL, service.log
                kills += 1
                driven.gone_by(passed)
        # the dead one may have seen all of that
        with driven.service() as service:
            driven.end(service)
        entries = end_all(driven, jobs)
        account = Account(f"the clock was set {steps} times, with {kills} kills", kills)
        return compare(place, entries, hooks, account, allowed=PEACEFUL)


@beside_others
def test_nights_in_which_zones_change_their_clocks(place: Place, chance: random.Random) -> Account:
    prepare(place)
    nights = sorted(chance.sample(NIGHTS, min(len(NIGHTS), max(3, KILLS // 5))))
    driven = Driven(place, datetime.fromisoformat(nights[0][0]))
    kills = 0
    with receiver() as hooks:
        jobs = jobs_for(place, NIGHTLY, ZONES, hooks.url)
        place.configure(*jobs, max_concurrent_runs=16, history=KEEP)
        for start, hours in nights:
            driven.gone_by((datetime.fromisoformat(start) - driven.wall).total_seconds())
            before = chance.uniform(0.2, 0.8) * hours * HOUR
            with driven.service() as service:
                driven.go(before)
                let_them_end(service)
                passed = chance.uniform(0, HOUR)
                driven.ask(passed)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    service.process.wait(chance.uniform(0, 0.3))
                service.send(signal.SIGKILL)
                assert service.ended() == -signal.SIGKILL, service.log
                kills += 1
            driven.gone_by(passed)
            with driven.service() as service:
                driven.go(max(0.0, hours * HOUR - before - passed))
                driven.end(service)
        entries = end_all(driven, jobs)
        account = Account(f"{len(nights)} nights of clock changes, with {kills} kills", kills)
        return compare(place, entries, hooks, account, allowed=PEACEFUL)
