"""`status`, `history` and `show`: what the run history says.

They only read, so they work while the service runs, after it stopped and after it was killed.
"""

import sqlite3
from datetime import datetime
from typing import Any

import orjson

from noether_contract.messages import known_members_of, members_of
from noether_contract.outcomes import RunStatus
from noether_supervisor.commands.choosing import chosen_job
from noether_supervisor.commands.recorded import history_of
from noether_supervisor.commands.screen import Record, Screen
from noether_supervisor.config import SchedulerConfig
from noether_supervisor.errors import UsageError
from noether_supervisor.history.reading import (
    JobSummary,
    RunDetails,
    recent,
    show,
    similar_run_ids,
    summaries,
)
from noether_supervisor.history.tables import history_lines, show_lines, status_lines
from noether_supervisor.jobs import Loaded
from noether_supervisor.records import LedgerEntry, instant_text

_NO_RUNS = "no runs yet"
_BY_HAND_AT_ONCE = 20
"""Runs looked at for a job that was only run by hand: more do not run side by side."""


def print_status(loaded: Loaded, now: datetime, screen: Screen) -> int:
    """How every job of the configuration stands: its last run, and when it is due next."""
    jobs = loaded.config.jobs
    with history_of(loaded.config) as connection:
        stand = _stand(connection, [job.name for job in jobs], now)
    paused = {each.job for each in stand if each.paused_since is not None}
    due = {
        job.name: loaded.schedule(job).next(now) if job.enabled and job.name not in paused else None
        for job in jobs
    }
    if screen.as_json:
        enabled = {job.name: job.enabled for job in jobs}
        screen.json([_status_record(each, enabled[each.job], due[each.job]) for each in stand])
        return 0
    if not any(each.last for each in stand):
        screen.lines([_NO_RUNS])
    zone = loaded.process_zone
    screen.lines(status_lines(stand, now, next_due=due, zone=zone, colour=screen.coloured))
    return 0


def print_history(
    loaded: Loaded, screen: Screen, *, name: str | None, failed: bool, count: int
) -> int:
    """The newest entries of the ledger, newest first; `failed`: only runs that went wrong."""
    with history_of(loaded.config) as connection:
        entries = [] if connection is None else recent(connection, name, failed, count)
    if not entries and name is not None:
        # Only now: a job that is no longer in the file may still have a history.
        chosen_job(loaded.config, name)
    if screen.as_json:
        screen.json([entry_record(entry) for entry in entries])
    elif entries:
        screen.lines(history_lines(entries, zone=loaded.process_zone, colour=screen.coloured))
    else:
        screen.lines(["no failed runs" if failed else _NO_RUNS])
    return 0


def print_run(loaded: Loaded, run_id: str, screen: Screen) -> int:
    """Everything of one run; raises `UsageError` when the history does not know it."""
    with history_of(loaded.config) as connection:
        details = _details(connection, run_id, loaded.config)
    if screen.as_json:
        screen.json(_details_record(details))
    else:
        screen.lines(show_lines(details, zone=loaded.process_zone, colour=screen.coloured))
    return 0


def _stand(
    connection: sqlite3.Connection | None, names: list[str], now: datetime
) -> list[JobSummary]:
    """The jobs of these names, in this order; one that never was in a service may have runs."""
    known = {} if connection is None else {each.job: each for each in summaries(connection)}
    return [known.get(name) or _only_by_hand(connection, name, now) for name in names]


def _only_by_hand(connection: sqlite3.Connection | None, name: str, now: datetime) -> JobSummary:
    entries = [] if connection is None else recent(connection, name, limit=_BY_HAND_AT_ONCE)
    last = next((entry for entry in entries if entry.status.is_terminal), None)
    running = sum(entry.status is RunStatus.RUNNING for entry in entries)
    return JobSummary(name, now, last, running, 0)


def _details(
    connection: sqlite3.Connection | None, run_id: str, config: SchedulerConfig
) -> RunDetails:
    advice = f"{_NO_RUNS} there"
    if connection is not None:
        if (details := show(connection, run_id)) is not None:
            return details
        near = similar_run_ids(connection, run_id)
        advice = f"did you mean {' or '.join(near)}?" if near else "`history` lists the run ids"
    raise UsageError(f"there is no run {run_id!r} in {config.state_path}; {advice}")


def _status_record(summary: JobSummary, enabled: bool, due: datetime | None) -> Record:
    return {
        "job": summary.job,
        "enabled": enabled,
        "paused": summary.paused_since is not None,
        "running": summary.running,
        "waiting": summary.waiting,
        "next_due": None if due is None else instant_text(due),
        "last": None if summary.last is None else entry_record(summary.last),
    }


def entry_record(entry: LedgerEntry) -> Record:
    """An entry of the ledger for programs: durations in milliseconds, instants in UTC."""
    return {
        "run_id": entry.run_id,
        "job": entry.job,
        "manual": entry.manual,
        "status": entry.status,
        "due": instant_text(entry.due),
        "due_last": instant_text(entry.due_last),
        "due_count": entry.due_count,
        "started_at": _exact(entry.started_at),
        "ended_at": _exact(entry.ended_at),
        "duration_ms": entry.duration_ms,
        "composition_id": entry.composition_id,
        "reason": entry.reason,
        "error": None if entry.error is None else known_members_of(entry.error),
        "notes": list(entry.notes),
        "delivery": entry.delivery,
    }


def _details_record(details: RunDetails) -> Record:
    entry = details.entry
    return {
        **entry_record(entry),
        "output": _parsed(entry.output_text),
        "usage": members_of(details.usage),
        "trace": _parsed(entry.trace_text),
        "stderr_tail": details.stderr_tail,
    }


def _exact(instant: datetime | None) -> str | None:
    if instant is None:
        return None
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{instant.microsecond // 1000:03d}Z"


def _parsed(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)
