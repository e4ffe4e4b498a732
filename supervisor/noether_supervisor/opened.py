"""Everything that a service holds while it runs, opened in order and closed in reverse.

Lock, then history, then recovery of what a dead service left, then the launcher and the outbox:
nothing starts before the runs found open are closed and their processes are gone.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from loguru import logger

from noether_contract.messages import RunRequest
from noether_contract.removal import remove_tree
from noether_supervisor.clock import Clock, SystemClock
from noether_supervisor.config import Job
from noether_supervisor.decisions.decide import initial_state
from noether_supervisor.decisions.events import ConfigChanged
from noether_supervisor.decisions.state import Decision, JobPolicy, State
from noether_supervisor.history.deliveries import DeliveryBook
from noether_supervisor.history.ledger import positions
from noether_supervisor.history.pauses import paused_jobs
from noether_supervisor.history.recovery import close_interrupted, waiting_fires
from noether_supervisor.history.writing import LedgerWriter
from noether_supervisor.jobs import Loaded
from noether_supervisor.loop import Alarm, Arms, Loop
from noether_supervisor.records import Fire, OwedDelivery, RunEnding
from noether_supervisor.runs.cgroups import NoGroupsError, RunGroups, take_place
from noether_supervisor.runs.launcher import Launcher, Programs
from noether_supervisor.runs.leftovers import end_leftovers
from noether_supervisor.runs.process import end_leftover
from noether_supervisor.runs.request import request_for
from noether_supervisor.runs.stage_user import sweep
from noether_supervisor.storage.connection import DATABASE_NAME, Database
from noether_supervisor.storage.lock import StateLock
from noether_supervisor.webhooks.delivery import HttpSender
from noether_supervisor.webhooks.outbox import Outbox
from noether_supervisor.webhooks.payload import owed_delivery
from noether_supervisor.webhooks.terms import Terms, terms_of

WORK_FOLDER = "work"
"""Folder of a state directory with the private directories of running runs."""


@dataclass(slots=True)
class Opened:
    """The arms of one service. `loaded` is replaced by a reload; `paused` are names of jobs.

    `former_webhooks` are those of jobs that a reload took them from: what they owe is sent there.
    """

    loaded: Loaded
    clock: Clock
    database: Database
    writer: LedgerWriter
    launcher: Launcher
    positions: dict[str, datetime]
    waiting: tuple[Fire, ...]
    paused: set[str]
    outbox: Outbox = field(init=False)
    former_webhooks: dict[str, Terms] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sender = HttpSender(self.clock)
        # The configuration of the moment: a reload counts for deliveries that are owed already.
        self.outbox = Outbox(
            DeliveryBook(self.writer),
            sender,
            self.clock,
            terms_for=lambda owed: self.terms_for(owed.job),
        )

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, loaded: Loaded, *, with_nursery: bool) -> "AsyncIterator[Opened]":
        """Opens all of it; raises `HistoryError` when the state directory cannot be used.

        Without a nursery every runner is started by exec: for a single run by hand.
        """
        clock = SystemClock()
        state_path = loaded.config.state_path
        with (
            StateLock.take(state_path) as lock,
            Database.open(state_path / DATABASE_NAME) as database,
        ):
            waiting = await _recover(loaded, database, clock, lock.mark)
            programs = Programs() if with_nursery else Programs(nursery=None)
            launcher = Launcher(
                lambda note: logger.warning("{}", note),
                programs=programs.marked(lock.mark),
                clock=clock,
                groups=_groups_of_runs() if with_nursery else None,
            )
            await launcher.open()
            try:
                opened = cls(
                    loaded,
                    clock,
                    database,
                    LedgerWriter(database),
                    launcher,
                    dict(await database.run(lambda history: positions(history, clock.now()))),
                    waiting,
                    set(await database.run(paused_jobs)),
                )
                del loaded  # a reload replaces it
                await opened.outbox.start()
                yield opened
            finally:
                await launcher.close()

    def reloaded(self, loaded: Loaded) -> None:
        """The configuration was read again, and this is it."""
        for job in self.loaded.config.jobs:
            terms = terms_of(job)
            if terms is not None:
                self.former_webhooks[job.name] = terms
        self.loaded = loaded
        for job in loaded.config.jobs:
            if job.webhook is not None:
                self.former_webhooks.pop(job.name, None)
        self.outbox.reconsider()

    def terms_for(self, name: str) -> Terms | None:
        """How the webhooks of a job are sent now; None when nobody knows."""
        job = self.loaded.config.job(name)
        terms = None if job is None else terms_of(job)
        return terms or self.former_webhooks.get(name)

    @property
    def state_path(self) -> Path:
        """The state directory, absolute; a reload does not move it."""
        return self.database.path.parent

    def loop(self, alarm: Alarm) -> Loop:
        """A loop that begins with the ledger's positions and waiting fires, and acts on them."""
        state, actions = self._initial(self.positions, self.waiting)
        loop = self._loop(state, alarm)
        loop.carry_out(actions)
        return loop

    def loop_for_one_run(self, alarm: Alarm) -> Loop:
        """A loop that takes no notice of what is due, waits or was missed: not its business."""
        now = self.clock.now()
        state, _ = self._initial({job.name: now for job in self.loaded.config.jobs}, ())
        return self._loop(state, alarm)

    def _initial(self, covered: Mapping[str, datetime], waiting: tuple[Fire, ...]) -> Decision:
        return initial_state(
            self.policies(),
            covered,
            self.loaded.config.max_concurrent_runs,
            waiting,
            self.clock.now(),
        )

    def policies(self) -> tuple[JobPolicy, ...]:
        """What decisions need to know of every job, paused ones told apart."""
        if not self.paused:
            return self.loaded.policies()
        return tuple(
            replace(policy, paused=True) if policy.name in self.paused else policy
            for policy in self.loaded.policies()
        )

    def changed(self) -> ConfigChanged:
        """The event that tells decisions of the jobs as they are now: reloaded, paused, resumed."""
        return ConfigChanged(
            self.policies(),
            self.positions,
            self.clock.now(),
            max_concurrent_runs=self.loaded.config.max_concurrent_runs,
        )

    def _loop(self, state: State, alarm: Alarm) -> Loop:
        jobs = {job.name: job for job in self.loaded.config.jobs}
        arms = Arms(self.clock, alarm, self.writer, self.launcher, self.outbox, self.request_for)
        return Loop(state, jobs, arms)

    def request_for(self, job: Job, fire: Fire) -> RunRequest | RunEnding:
        """What the runner of a fire is handed; an ending when it cannot even be described."""
        return request_for(self.loaded.config, job, fire, self.state_path, os.environ)

    async def flush(self, webhook_seconds: float, write_seconds: float) -> None:
        """Writes and sends what is still to be written and sent, within so many seconds."""
        if not await self.writer.settled(write_seconds):
            logger.error(
                "the history could not be written to the end; the next start closes what is open"
            )
        owed = await self.outbox.stop(webhook_seconds)
        if owed:
            logger.warning("{} webhooks stay owed; the next start sends them", owed)


def _groups_of_runs() -> RunGroups | None:
    try:
        groups = take_place()
    except NoGroupsError as error:
        logger.info("runs get no cgroups, their memory is sampled: {}", error)
        return None
    logger.info("{}", groups)
    return groups


async def _recover(loaded: Loaded, database: Database, clock: Clock, mark: str) -> tuple[Fire, ...]:
    """Closes what a dead service left open, and ends its processes; returns the waiting fires."""
    config = loaded.config

    def owed(fire: Fire, ending: RunEnding) -> OwedDelivery | None:
        job = config.job(fire.job)
        return None if job is None else owed_delivery(job, fire, ending)

    closed = await database.run(lambda history: close_interrupted(history, clock.now(), owed))
    for run in closed:
        log = logger.bind(job=run.fire.job, run_id=run.fire.run_id)
        log.warning("interrupted: the service ended while it ran")
        if run.runner is not None and await asyncio.to_thread(end_leftover, run.runner):
            log.warning("killed what was left of its processes")
    # runners that the ledger does not know yet, spares, dry looks at graphs, the nursery
    if left := await asyncio.to_thread(end_leftovers, mark):
        logger.warning("killed {} processes that a dead service had left, and those below", left)
    await asyncio.to_thread(remove_tree, config.state_path / WORK_FOLDER)
    await asyncio.to_thread(sweep, config.state_path)
    return tuple(await database.run(waiting_fires))
