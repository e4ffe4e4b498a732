"""What a service does beside its jobs: watchdog, a look at the graphs, pruning of the history."""

import asyncio

from loguru import logger

from noether_contract.messages import RunRequest
from noether_supervisor.errors import HistoryError
from noether_supervisor.history.retention import jobs_with_entries, prune_jobs
from noether_supervisor.loop import Loop
from noether_supervisor.observe.systemd import Notifier
from noether_supervisor.opened import Opened
from noether_supervisor.records import Fire, RunEnding
from noether_supervisor.runs.isolation_notes import isolation_notes
from noether_supervisor.runs.launcher import LaunchError

_HOUR_SECONDS = 3600.0
_MOST_GRAPHS_LOOKED_AT = 200


async def keep_alive(notifier: Notifier) -> None:
    """Tells systemd's watchdog that the loop turns, for as long as it does."""
    while notifier.watchdog_seconds is not None:
        notifier.alive()
        await asyncio.sleep(notifier.watchdog_seconds)


async def look_at_graphs(opened: Opened, loop: Loop) -> None:
    """Logs what is wrong with the jobs' graphs before their first fire: one dry run after another.

    Of many jobs only the first are looked at; `noether-scheduler check` looks at all.
    """
    for job in tuple(loop.jobs.values())[:_MOST_GRAPHS_LOOKED_AT]:
        log = logger.bind(job=job.name)
        fire = Fire(job.name, opened.clock.now(), manual=True)
        prepared = opened.request_for(job, fire)
        if isinstance(prepared, RunRequest):
            dry = prepared.model_copy(update={"dry_run": True, "run_id": f"{fire.run_id}-look"})
            try:
                ending = await (await opened.launcher.start(dry)).ended()
            except LaunchError as error:
                log.warning("its graph could not be looked at: {}", error.message)
                continue
        else:
            ending = prepared
        _tell(job.name, ending)


async def prune_hourly(opened: Opened) -> None:
    """Lets old entries go, a small batch at a time, once an hour."""
    while True:
        keep = opened.loaded.config.history
        try:
            names = await opened.database.run(jobs_with_entries)
            gone = await prune_jobs(
                opened.database, names, keep.keep_runs, keep.keep_days, opened.clock.now()
            )
        except HistoryError as error:
            logger.warning("old runs could not be pruned, trying again later: {}", error.message)
        else:
            if gone:
                logger.info("pruned {} old runs", gone)
        await asyncio.sleep(_HOUR_SECONDS)


def _tell(job: str, ending: RunEnding) -> None:
    log = logger.bind(job=job)
    if ending.error is not None:
        log.error("its fires will fail until this is mended: {}", ending.error.message)
    if ending.trace is not None:
        for warning in ending.trace.warnings:
            log.warning("{}", warning)
    for note in isolation_notes(ending.output):
        log.info("isolation: {}", note)
