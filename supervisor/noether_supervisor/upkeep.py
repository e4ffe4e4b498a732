"""What a service does beside its jobs: watchdog, a look at the graphs, pruning of the history."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

from loguru import logger

from noether_contract.messages import RunRequest
from noether_supervisor.config import Job
from noether_supervisor.errors import HistoryError
from noether_supervisor.history.retention import (
    Retention,
    jobs_since,
    jobs_with_entries,
    prune_jobs,
)
from noether_supervisor.loop import Loop
from noether_supervisor.observe.systemd import Notifier
from noether_supervisor.opened import Opened
from noether_supervisor.records import Fire, RunEnding
from noether_supervisor.runs.isolation_notes import isolation_notes
from noether_supervisor.runs.launcher import LaunchError

_SECONDS_BETWEEN_PRUNINGS = 600.0
_TURNS_BETWEEN_ALL = 6
_MOST_GRAPHS_LOOKED_AT = 200


async def keep_alive(notifier: Notifier) -> None:
    """Tells systemd's watchdog that the loop turns, for as long as it does."""
    while notifier.watchdog_seconds is not None:
        notifier.alive()
        await asyncio.sleep(notifier.watchdog_seconds)


class GraphLook:
    """Logs what is wrong with the graphs of jobs before their first fire: a dry run after another.

    Of many jobs only the first are looked at; `noether-scheduler check` looks at all.
    """

    def __init__(self, opened: Opened, loop: Loop) -> None:
        self._opened = opened
        self._loop = loop
        self._waiting: dict[str, None] = {}
        self._broken: set[str] = set()
        self._asked = asyncio.Event()

    def ask(self, names: Iterable[str]) -> None:
        """These jobs are new or changed; those whose graphs were found broken are due again."""
        self._waiting.update(dict.fromkeys((*islice(names, _MOST_GRAPHS_LOOKED_AT), *self._broken)))
        self._asked.set()

    async def go_on(self) -> None:
        """Looks at whatever is asked for, as long as the service lives."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            while self._waiting:
                name = next(iter(self._waiting))
                del self._waiting[name]
                job = self._loop.jobs.get(name)
                if job is None:
                    self._broken.discard(name)
                else:
                    await self._look(job)

    async def _look(self, job: Job) -> None:
        fire = Fire(job.name, self._opened.clock.now(), manual=True)
        prepared = self._opened.request_for(job, fire)
        if isinstance(prepared, RunRequest):
            dry = replace(prepared, dry_run=True, run_id=f"{fire.run_id}-look")
            try:
                ending = await (await self._opened.launcher.start(dry)).ended()
            except LaunchError as error:
                log = logger.bind(job=job.name)
                log.warning("its graph could not be looked at: {}", error.message)
                return
        else:
            ending = prepared
        if ending.error is not None:
            self._broken.add(job.name)
        elif job.name in self._broken:
            self._broken.discard(job.name)
            logger.bind(job=job.name).info("its graph is mended")
        _tell(job.name, ending)


async def prune_regularly(opened: Opened) -> None:
    """Lets old entries go: every ten minutes of jobs that have new ones, every hour of all jobs."""
    newest, turn = 0, 0
    while True:
        try:
            gone, newest = await _pruned(opened, newest, all_jobs=turn % _TURNS_BETWEEN_ALL == 0)
        except HistoryError as error:
            logger.warning("old runs could not be pruned, trying again later: {}", error.message)
        else:
            turn += 1
            if gone:
                logger.info("pruned {} old runs", gone)
        await asyncio.sleep(_SECONDS_BETWEEN_PRUNINGS)


async def _pruned(opened: Opened, since: int, *, all_jobs: bool) -> tuple[int, int]:
    """How many entries went, and the newest one; without `all_jobs` of those with entries since."""
    settings = opened.loaded.config.history
    keep = Retention(settings.keep_runs, settings.keep_days, opened.clock.now())
    names, newest = await opened.database.run(lambda history: jobs_since(history, since))
    if all_jobs:
        names = await opened.database.run(jobs_with_entries)
    return await prune_jobs(opened.database, names, keep), newest


def _tell(job: str, ending: RunEnding) -> None:
    log = logger.bind(job=job)
    if ending.error is not None:
        log.error("its fires will fail until this is mended: {}", ending.error.message)
    if ending.trace is not None:
        for warning in ending.trace.warnings:
            log.warning("{}", warning)
    for note in isolation_notes(ending.output):
        log.info("isolation: {}", note)
