"""The loop of the service: events go through `decide`, every action is carried out by one method.

It decides nothing itself. What must be remembered is written before what it permits is done:
a run's record before its runner starts, its end together with its owed webhook.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, assert_never

from loguru import logger

from noether_contract.messages import RunRequest
from noether_contract.outcomes import RunStatus
from noether_supervisor.clock import Clock
from noether_supervisor.config import Job
from noether_supervisor.decisions.actions import (
    Action,
    Exit,
    KillReason,
    KillRun,
    RecordMissed,
    RecordPosition,
    RecordWaiting,
    SkipFire,
    SleepUntil,
    StartRun,
)
from noether_supervisor.decisions.decide import decide
from noether_supervisor.decisions.events import Event, RunAsked, RunEnded
from noether_supervisor.decisions.state import State
from noether_supervisor.errors import HistoryError
from noether_supervisor.history import ledger
from noether_supervisor.history.writing import LedgerWriter
from noether_supervisor.records import Fire, RunEnding, instant_text
from noether_supervisor.retrying import Attempts
from noether_supervisor.runs.endings import StopReason, never_started
from noether_supervisor.runs.launcher import Launcher, LaunchError
from noether_supervisor.runs.running import RunningRun
from noether_supervisor.webhooks.outbox import Outbox
from noether_supervisor.webhooks.payload import owed_delivery

if TYPE_CHECKING:
    from loguru import Logger

_STOP_REASONS: Mapping[KillReason, StopReason] = {
    "replaced": StopReason.REPLACED,
    "stopping": StopReason.STOP,
    "forced": StopReason.FORCED,
}

_LASTING_SECONDS = 0.25
"""A run that takes longer than this has its composition id recorded while it runs."""


class Alarm(Protocol):
    """Whoever wakes the loop at an instant."""

    def set(self, instant: datetime | None) -> None:
        """Wake at this instant; None: never."""
        ...


@dataclass(frozen=True, slots=True)
class Arms:
    """What the loop carries out its actions with."""

    clock: Clock
    alarm: Alarm
    writer: LedgerWriter
    launcher: Launcher
    outbox: Outbox
    request_for: Callable[[Job, Fire], RunRequest | RunEnding]


class Loop:
    """Holds the state between two events; use it on one event loop only."""

    def __init__(self, state: State, jobs: Mapping[str, Job], arms: Arms) -> None:
        self.jobs = jobs
        self.exited = asyncio.Event()
        self._state = state
        self._arms = arms
        self._runs: dict[str, RunningRun] = {}
        self._killed_before_start: dict[str, KillReason] = {}
        self._between: dict[str, asyncio.Event] = {}
        self._endings: dict[str, asyncio.Future[RunStatus]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def state(self) -> State:
        """What has been decided so far."""
        return self._state

    def happened(self, event: Event) -> tuple[Action, ...]:
        """Decides what the event asks for and carries it out; returns what was decided."""
        self._state, actions = decide(self._state, event)
        self.carry_out(actions)
        if self._state.stopping is not None:
            for between in self._between.values():
                between.set()
        return actions

    def carry_out(self, actions: tuple[Action, ...]) -> None:
        """Does what was decided, in order."""
        for action in actions:
            self._carry_out(action)
        # an alarm that went off early, or for nothing, is set again
        self._arms.alarm.set(self._state.wake_at)

    def ask_run(self, job: str) -> tuple[Fire, "asyncio.Future[RunStatus]"] | None:
        """One fire of a job now; its fire, and its status once it has ended. None: not now."""
        for action in self.happened(RunAsked(job, self._arms.clock.now())):
            if isinstance(action, StartRun | RecordWaiting) and action.fire.job == job:
                future = asyncio.get_running_loop().create_future()
                self._endings[action.fire.run_id] = future
                return action.fire, future
        return None

    async def drained(self) -> None:
        """Returns when no run is under way any more."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _carry_out(self, action: Action) -> None:
        write = self._arms.writer.write
        match action:
            case StartRun(fire):
                self._begin(fire)
            case RecordWaiting(fire):
                self._log(fire).info("due, waits for a free place")
                write(lambda connection: ledger.record_waiting(connection, fire))
            case SkipFire(fire, reason, open_run_id):
                self._log(fire).warning("skipped: {}", reason)
                write(
                    lambda connection: ledger.record_skipped(connection, fire, reason, open_run_id)
                )
                self._tell(fire.run_id, RunStatus.SKIPPED)
            case RecordMissed(job, first, last, count, reason):
                told = f"{instant_text(first)} to {instant_text(last)}"
                missed = self._log(Fire(job, first))
                missed.warning("missed {} fires, {}: {}", count, told, reason)
                write(
                    lambda connection: ledger.record_missed(
                        connection, job, first, last, count, reason
                    )
                )
            case RecordPosition(job, position):
                write(lambda connection: ledger.record_position(connection, job, position))
            case KillRun(run_id, reason):
                self._kill(run_id, reason)
            case SleepUntil(_):
                pass  # the alarm is set after every event
            case Exit():
                self.exited.set()
            case _:
                assert_never(action)

    def _begin(self, fire: Fire) -> None:
        job = self.jobs.get(fire.job)
        started_at = self._arms.clock.now()
        if job is None:
            # Removed between the decision and now; a reload answers for its waiting fires.
            self._ended(fire, RunStatus.INTERRUPTED)
            return
        prepared = self._arms.request_for(job, fire)
        # either write is queued here and now, in the order of the actions
        if isinstance(prepared, RunEnding):
            owed = owed_delivery(job, fire, prepared)
            refused = self._arms.writer.write(
                lambda connection: ledger.record_refused(connection, fire, prepared, owed)
            )
            task = self._close(fire, prepared, refused)
        else:
            recorded = self._arms.writer.write(
                lambda connection: ledger.record_start(connection, fire, started_at)
            )
            task = self._run(job, fire, prepared, recorded)
        running = asyncio.create_task(task)
        self._tasks.add(running)
        running.add_done_callback(self._tasks.discard)

    async def _run(
        self, job: Job, fire: Fire, request: RunRequest, recorded: "asyncio.Future[None]"
    ) -> None:
        try:
            await recorded
        except HistoryError:
            # The ledger has this fire already; running it would run it twice.
            self._ended(fire, RunStatus.INTERRUPTED)
            return
        ending = await self._attempts(job, fire, request)
        owed = owed_delivery(job, fire, ending)
        ended = self._arms.writer.write(
            lambda connection: ledger.record_end(connection, fire.run_id, ending, owed)
        )
        await self._close(fire, ending, ended)

    async def _attempts(self, job: Job, fire: Fire, request: RunRequest) -> RunEnding:
        """The ending of the fire after as many attempts as its job has and it takes."""
        attempts = Attempts(job.retry)
        while True:
            delay = attempts.ended(await self._attempt(fire, attempts.request(request)))
            if delay is None:
                return attempts.outcome()
            reason = await self._put_off(fire, attempts.note, delay)
            if reason is not None:
                return attempts.interrupted(reason, self._arms.clock.now())

    async def _attempt(self, fire: Fire, request: RunRequest) -> RunEnding:
        try:
            run = await self._arms.launcher.start(request)
        except LaunchError as error:
            return never_started(error.record, self._arms.clock.now())
        return await self._to_its_end(fire, run)

    async def _put_off(self, fire: Fire, note: str, seconds: float) -> StopReason | None:
        """Waits for the next attempt; why there is none, when the fire is ended meanwhile."""
        run_id = fire.run_id
        if self._order(run_id) is None:
            log = self._log(fire)
            noted = self._arms.writer.write(
                lambda connection: ledger.record_note(connection, run_id, note)
            )
            # told once it is recorded: what the log says outlives a kill
            noted.add_done_callback(lambda _: log.warning("{}; the next in {:g} s", note, seconds))
            ordered = self._between[run_id] = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ordered.wait(), seconds)
            del self._between[run_id]
        self._killed_before_start.pop(run_id, None)
        return self._order(run_id)

    def _order(self, run_id: str) -> StopReason | None:
        """Why no further attempt of a fire may begin: once a stop is asked, nothing starts."""
        running = self._state.running.get(run_id)
        if running is not None and running.killed_for is not None:
            return _STOP_REASONS[running.killed_for]
        return None if self._state.stopping is None else StopReason.STOP

    async def _to_its_end(self, fire: Fire, run: RunningRun) -> RunEnding:
        self._runs[fire.run_id] = run
        reason = self._killed_before_start.pop(fire.run_id, None)
        if reason is not None:
            run.stop(_STOP_REASONS[reason])
        process = run.process
        self._arms.writer.write(
            lambda connection: ledger.record_runner(connection, fire.run_id, process)
        )
        self._log(fire).info("started")
        lasting = asyncio.get_running_loop().call_later(_LASTING_SECONDS, self._note_graph, run)
        try:
            return await run.ended()
        finally:
            lasting.cancel()
            del self._runs[fire.run_id]

    def _note_graph(self, run: RunningRun) -> None:
        """Records the graph of a run that lasts: its webhook needs it, should the service die."""
        found = run.composition_id
        if found is not None:
            self._arms.writer.write(
                lambda connection: ledger.record_composition(connection, run.run_id, found)
            )

    async def _close(
        self, fire: Fire, ending: RunEnding, recorded: "asyncio.Future[int | None]"
    ) -> None:
        delivery: int | None = None
        with contextlib.suppress(HistoryError):  # told by the writer; the run is over all the same
            delivery = await recorded
        self._report(fire, ending)
        if delivery is not None:
            self._arms.outbox.owe(delivery)
        self._ended(fire, ending.status)

    def _ended(self, fire: Fire, status: RunStatus) -> None:
        self._tell(fire.run_id, status)
        self.happened(RunEnded(fire.run_id, self._arms.clock.now()))

    def _tell(self, run_id: str, status: RunStatus) -> None:
        asked = self._endings.pop(run_id, None)
        if asked is not None and not asked.done():
            asked.set_result(status)

    def _kill(self, run_id: str, reason: KillReason) -> None:
        run = self._runs.get(run_id)
        if run is not None:
            run.stop(_STOP_REASONS[reason])
        elif run_id in self._between:
            self._between[run_id].set()
        else:
            self._killed_before_start[run_id] = reason

    def _report(self, fire: Fire, ending: RunEnding) -> None:
        log = self._log(fire).bind(status=ending.status.value, duration_ms=ending.duration_ms)
        for note in ending.notes:
            log.warning("{}", note)
        if ending.status is RunStatus.SUCCEEDED:
            log.info("ended")
        else:
            log.error("ended: {}", ending.error.message if ending.error else ending.status.value)

    def _log(self, fire: Fire) -> "Logger":
        return logger.bind(job=fire.job, run_id=fire.run_id)
