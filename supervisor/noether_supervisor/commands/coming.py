"""`next`: the coming fires, in the local time of each job and in UTC."""

import heapq
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice

from noether_supervisor.commands.choosing import chosen_job
from noether_supervisor.commands.recorded import history_of
from noether_supervisor.commands.screen import Record, Screen
from noether_supervisor.config import Job
from noether_supervisor.errors import HistoryError
from noether_supervisor.history.pauses import paused_jobs
from noether_supervisor.history.text import columns, visible
from noether_supervisor.jobs import Loaded
from noether_supervisor.records import instant_text


def print_coming_fires(
    loaded: Loaded,
    after: datetime,
    screen: Screen,
    on_note: Callable[[str], None],
    *,
    name: str | None,
    count: int,
) -> int:
    """The first `count` fires after an instant, of one job or of all enabled ones.

    Those of paused jobs are marked: they come once the job is resumed. `on_note` gets why nobody
    can tell which jobs are paused, should the history not be readable.
    """
    if name is None:
        jobs = [job for job in loaded.config.jobs if job.enabled]
    else:
        jobs = [chosen_job(loaded.config, name)]
    series = (_fires(loaded, job, index, after) for index, job in enumerate(jobs))
    fires = [(due, jobs[index]) for due, index in islice(heapq.merge(*series), count)]
    paused = _paused(loaded, on_note)
    if screen.as_json:
        screen.json([_record(loaded, job, due, job.name in paused) for due, job in fires])
        return 0
    if not jobs:
        screen.lines(["no job is enabled"])
        return 0
    if not jobs[0].enabled:
        screen.lines([f"{visible(jobs[0].name)} is disabled; it would fire"])
    rows = [
        (
            _local_text(loaded, job, due),
            instant_text(due),
            visible(job.name) + (" (paused)" if job.name in paused else ""),
        )
        for due, job in fires
    ]
    screen.lines(columns([("LOCAL", "UTC", "JOB"), *rows], colour=screen.coloured))
    return 0


def _fires(loaded: Loaded, job: Job, index: int, after: datetime) -> Iterator[tuple[datetime, int]]:
    schedule = loaded.schedule(job)
    while True:
        after = schedule.next(after)
        yield after, index


def _local_text(loaded: Loaded, job: Job, due: datetime) -> str:
    return due.astimezone(loaded.zone(job)).strftime("%a %Y-%m-%d %H:%M %Z")


def _paused(loaded: Loaded, on_note: Callable[[str], None]) -> frozenset[str]:
    try:
        with history_of(loaded.config) as connection:
            return frozenset() if connection is None else paused_jobs(connection)
    except HistoryError as error:
        on_note(f"which jobs are paused is not known: {error.message}")
        return frozenset()


def _record(loaded: Loaded, job: Job, due: datetime, paused: bool) -> Record:
    zone = loaded.zone(job)
    return {
        "job": job.name,
        "due": instant_text(due),
        "local": due.astimezone(zone).isoformat(timespec="minutes"),
        "timezone": zone.key,
        "enabled": job.enabled,
        "paused": paused,
    }
