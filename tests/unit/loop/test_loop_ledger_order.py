"""The loop writes the ledger in the order of the decisions, whatever becomes of the runs."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from noether_contract.messages import ErrorRecord
from noether_contract.outcomes import ErrorCode, RunStatus
from noether_supervisor.config import Job
from noether_supervisor.decisions.decide import initial_state
from noether_supervisor.decisions.events import Woke
from noether_supervisor.decisions.state import JobPolicy
from noether_supervisor.history.reading import recent
from noether_supervisor.history.writing import LedgerWriter
from noether_supervisor.loop import Arms, Loop
from noether_supervisor.records import Fire, LedgerEntry, RunEnding
from noether_supervisor.runs.endings import never_started
from noether_supervisor.runs.launcher import Launcher
from noether_supervisor.storage.connection import DATABASE_NAME, Database
from noether_supervisor.webhooks.outbox import Outbox

EIGHT = datetime(2026, 4, 14, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class EveryMinute:
    def next(self, after: datetime) -> datetime:
        return after.replace(second=0, microsecond=0) + MINUTE


class StandingClock:
    def __init__(self, instant: datetime) -> None:
        self.instant = instant

    def now(self) -> datetime:
        return self.instant

    def monotonic(self) -> float:
        return self.instant.timestamp()


class NoAlarm:
    def set(self, instant: datetime | None) -> None:
        pass


class Outgoing:
    """An outbox that only notes what is owed."""

    def __init__(self) -> None:
        self.owed: list[int] = []

    def owe(self, delivery_id: int) -> None:
        self.owed.append(delivery_id)


def refuse(_job: Job, _fire: Fire) -> RunEnding:
    error = ErrorRecord(code=ErrorCode.GRAPH_UNREADABLE, message="the graph is missing")
    return never_started(error, EIGHT)


async def woken(
    folder: Path, now: datetime, request_for: Callable[[Job, Fire], RunEnding]
) -> tuple[list[LedgerEntry], list[int]]:
    policy = JobPolicy("digest", EveryMinute())
    job = Job.model_validate(
        {"name": "digest", "cron": "* * * * *", "graph": "g.json", "webhook": "http://127.0.0.1/"}
    )
    state, actions = initial_state((policy,), {"digest": EIGHT}, 8, (), EIGHT)
    outgoing = Outgoing()
    with Database.open(folder / DATABASE_NAME) as database:
        writer = LedgerWriter(database)
        arms = Arms(
            StandingClock(now),
            NoAlarm(),
            writer,
            cast("Launcher", None),
            cast("Outbox", outgoing),
            request_for,
        )
        loop = Loop(state, {"digest": job}, arms)
        loop.carry_out(actions)
        loop.happened(Woke(now))
        await loop.drained()
        assert await writer.settled(10)
        entries = await database.run(recent)
    return entries, outgoing.owed


@pytest.mark.parametrize("late_minutes", [1, 2, 5])
def test_a_refused_fire_is_in_the_ledger_before_those_that_were_due_after_it(
    tmp_path: Path, late_minutes: int
) -> None:
    now = EIGHT + late_minutes * MINUTE
    entries, owed = asyncio.run(woken(tmp_path, now, refuse))
    due = sorted(entry.due for entry in entries)
    assert due == [EIGHT + number * MINUTE for number in range(1, late_minutes + 1)]
    refused = [entry for entry in entries if entry.status is RunStatus.FAILED]
    assert refused
    assert min(entry.due for entry in refused) == EIGHT + MINUTE
    assert len(owed) == len(refused)
