"""Fires, endings and databases for tests of the history and of webhooks."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from noether_contract.messages import ErrorRecord, StageEntry, Trace
from noether_contract.outcomes import ErrorCode, RunStatus
from noether_supervisor.records import Fire, OwedDelivery, RunEnding
from noether_supervisor.storage.opening import open_for_writing
from noether_supervisor.webhooks.terms import Terms

T = TypeVar("T")

DUE = datetime(2026, 4, 14, 8, 30, tzinfo=UTC)
"""The first due instant of the samples."""


def minute(number: int) -> datetime:
    """The due instant `number` minutes after the first."""
    return DUE + timedelta(minutes=number)


def fire(number: int = 0, job: str = "digest") -> Fire:
    """The fire of the sample job in that minute."""
    return Fire(job, minute(number))


def in_one_transaction(path: Path, work: Callable[[sqlite3.Connection], T]) -> T:
    """What `work` returns, its writes committed to the database at `path`."""
    with closing(open_for_writing(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        result = work(connection)
        connection.execute("COMMIT")
    return result


def stage_entry(path: str = "root", name: str | None = "fetch", **members: Any) -> StageEntry:
    """A stage call that went well, unless `members` say otherwise."""
    fields: dict[str, Any] = {
        "stage_id": "ab" * 32,
        "step_index": 0,
        "status": "Ok",
        "duration_ms": 5,
        "input_hash": "1" * 64,
        "output_hash": "2" * 64,
        "stage_name": name,
        "path": path,
        **members,
    }
    return StageEntry(**fields)


def trace(*stages: StageEntry, **members: Any) -> Trace:
    """A trace of these stage calls."""
    fields: dict[str, Any] = {
        "composition_id": "c" * 64,
        "started_at": "2026-04-14T08:30:00+00:00",
        "duration_ms": 1240,
        "status": "Ok",
        "stages": stages,
        **members,
    }
    return Trace(**fields)


def succeeded(output: Any = None, at: datetime = DUE) -> RunEnding:
    """The ending of a run that went well."""
    return RunEnding(
        status=RunStatus.SUCCEEDED,
        started_at=at,
        duration_ms=1240,
        composition_id="c" * 64,
        output=output,
        trace=trace(stage_entry()),
    )


def failed(
    message: str = "the stage fetch failed", status: RunStatus = RunStatus.FAILED
) -> RunEnding:
    """The ending of a run that went wrong."""
    error = ErrorRecord(code=ErrorCode.STAGE_FAILED, message=message, path="root")
    return RunEnding(
        status=status,
        started_at=DUE,
        duration_ms=7,
        composition_id="c" * 64,
        error=error,
        trace=trace(status="Failed", error=error),
        stderr_tail="Traceback: …",
        notes=("the report and the exit code disagreed",),
    )


def owed(of: Fire, receiver: str = "http://127.0.0.1:9", body: bytes = b"{}") -> OwedDelivery:
    """A webhook call that the fire's end owes."""
    return OwedDelivery(of.run_id, of.job, receiver, body)


def to_its_receiver(owed: OwedDelivery) -> Terms:
    """Terms for tests that say with each delivery where it goes, instead of in a configuration."""
    return Terms(owed.receiver, most_attempts=owed.most_attempts)
