"""What a service finds that starts after another one died: open runs and waiting fires.

Found through partial indexes, so the age and size of the history do not matter.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from noether_contract.messages import ErrorRecord, Trace
from noether_contract.outcomes import ErrorCode, RunStatus
from noether_supervisor.history.ledger import record_end
from noether_supervisor.history.rows import from_us
from noether_supervisor.records import Fire, OwedDelivery, RunEnding, RunnerProcess

_FOUND_OPEN = (
    "the service stopped or was killed while this run was going; the run was found at the next "
    "start and ended as interrupted"
)


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that the ledger knows as running; `runner` is None when it died before its process."""

    fire: Fire
    started_at: datetime
    composition_id: str | None
    runner: RunnerProcess | None


def open_runs(connection: sqlite3.Connection) -> list[OpenRun]:
    """The runs that run, the earliest due first."""
    rows = connection.execute(
        "SELECT job, due_us, manual, started_us, composition_id, runner_pid, runner_ticks "
        "FROM ledger WHERE status = 'running' ORDER BY due_us, run_id"
    )
    return [
        OpenRun(
            Fire(job, from_us(due), bool(manual)),
            from_us(started),
            composition_id,
            None if pid is None else RunnerProcess(pid, ticks),
        )
        for job, due, manual, started, composition_id, pid, ticks in rows
    ]


def waiting_fires(connection: sqlite3.Connection) -> list[Fire]:
    """The fires that wait for their start, the earliest due first."""
    rows = connection.execute(
        "SELECT job, due_us, manual FROM ledger WHERE status = 'waiting' ORDER BY due_us, run_id"
    )
    return [Fire(job, from_us(due), bool(manual)) for job, due, manual in rows]


def close_interrupted(
    connection: sqlite3.Connection,
    now: datetime,
    owed: Callable[[Fire, RunEnding], OwedDelivery | None],
) -> list[OpenRun]:
    """End every open run as `interrupted`, each with the webhook that `owed` says it owes.

    Returns the runs, so that the caller kills what is left of their processes. Only for a service
    that holds the state lock and has not started a run yet. A run's true end is not known; `now`
    stands for it, and a note says so.
    """
    found = open_runs(connection)
    for run in found:
        ending = _interrupted(run, now)
        record_end(connection, run.fire.run_id, ending, owed(run.fire, ending))
    return found


def _interrupted(run: OpenRun, now: datetime) -> RunEnding:
    duration_ms = max(0, round((now - run.started_at).total_seconds() * 1000))
    error = ErrorRecord(code=ErrorCode.RUN_INTERRUPTED, message=_FOUND_OPEN)
    trace = Trace(
        composition_id=run.composition_id,
        started_at=run.started_at.isoformat(),
        duration_ms=duration_ms,
        status="Failed",
        ended_at=now.isoformat(),
        run_id=run.fire.run_id,
        job=run.fire.job,
        error=error,
        incomplete=True,
    )
    return RunEnding(
        status=RunStatus.INTERRUPTED,
        started_at=run.started_at,
        duration_ms=duration_ms,
        composition_id=run.composition_id,
        error=error,
        trace=trace,
        notes=("its end is the moment at which it was found, not the moment at which it died",),
    )
