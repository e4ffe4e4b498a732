"""`redeliver`, `pause` and `resume`: a running service is asked; without one it is done here."""

import asyncio
import sqlite3
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from noether_supervisor.commands.choosing import chosen_job
from noether_supervisor.config import Job
from noether_supervisor.history.ledger import positions, record_missed, record_position
from noether_supervisor.history.pauses import record_pause, record_resume
from noether_supervisor.history.text import visible
from noether_supervisor.jobs import Loaded
from noether_supervisor.records import instant_text
from noether_supervisor.schedule.fires import due_span
from noether_supervisor.service import first_answer, redeliver_now
from noether_supervisor.storage.connection import DATABASE_NAME, Database
from noether_supervisor.storage.lock import StateLock

T = TypeVar("T")


def redelivered(loaded: Loaded, run_id: str) -> tuple[bool, str]:
    """Sends the webhook of a run once more: whether it was delivered, and a line about it."""
    delivered, told = redeliver_now(loaded, run_id)
    return delivered, f"{visible(run_id)}: {visible(told)}"


def paused(loaded: Loaded, name: str, now: datetime) -> str:
    """Pauses a job until it is resumed; a line about it. Raises `UsageError` for an unknown job."""
    job = chosen_job(loaded.config, name)
    answer = first_answer(loaded, {"ask": "pause", "job": name}, "changed")
    if answer is None:
        changed = _written(loaded, lambda history: _pause(history, loaded, job, now))
    else:
        changed = bool(answer["changed"])
    if not changed:
        return f"{visible(name)}: was paused already"
    return f"{visible(name)}: paused; it is not due again before it is resumed"


def resumed(loaded: Loaded, name: str, now: datetime) -> str:
    """Lets a job be due again, from now on; a line about it. Raises as `paused`."""
    job = chosen_job(loaded.config, name)
    answer = first_answer(loaded, {"ask": "resume", "job": name}, "changed")
    if answer is None:
        changed = _written(loaded, lambda history: _resume(history, job, now))
    else:
        changed = bool(answer["changed"])
    if not changed:
        return f"{visible(name)}: was not paused"
    if not job.enabled:
        return f"{visible(name)}: resumed; it is not due, being disabled in the configuration"
    return f"{visible(name)}: resumed; next due {instant_text(loaded.schedule(job).next(now))}"


def _written(loaded: Loaded, work: Callable[[sqlite3.Connection], T]) -> T:
    state_path = loaded.config.state_path
    with StateLock.take(state_path), Database.open(state_path / DATABASE_NAME) as database:
        return asyncio.run(database.run(work))


def _pause(history: sqlite3.Connection, loaded: Loaded, job: Job, now: datetime) -> bool:
    """Until now the job counted, and no service was there: what fell due meanwhile was missed."""
    if not record_pause(history, job.name, now):
        return False
    position = positions(history).get(job.name) if job.enabled else None
    if position is not None:
        missed = due_span(loaded.schedule(job), position, now)
        if missed is not None:
            span = (missed.first, missed.last, missed.count)
            record_missed(history, job.name, *span, "service was down")
    record_position(history, job.name, None)
    return True


def _resume(history: sqlite3.Connection, job: Job, now: datetime) -> bool:
    if not record_resume(history, job.name):
        return False
    if job.enabled:
        record_position(history, job.name, now)
    return True
