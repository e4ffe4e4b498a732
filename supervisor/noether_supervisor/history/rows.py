"""How instants, errors and large texts are kept in columns, and rows as `LedgerEntry`."""

import sqlite3
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from pydantic import ValidationError

from noether_contract.messages import ErrorRecord
from noether_contract.outcomes import ErrorCode, RunStatus
from noether_contract.reading import ERROR_RECORD
from noether_supervisor.records import LedgerEntry, RunnerProcess, instant_text

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# A trace of five stages (3.3 kB) takes 25 µs at level 1 and 34 µs at level 6, which saves 5 %.
_COMPRESSION_LEVEL = 1


def to_us(instant: datetime) -> int:
    """Whole microseconds since 1970 of an aware instant, exactly."""
    return (instant - _EPOCH) // _MICROSECOND


def from_us(microseconds: int) -> datetime:
    """The aware UTC instant of `to_us`."""
    return _EPOCH + timedelta(microseconds=microseconds)


def packed(text: bytes) -> bytes:
    """A large text as it is stored."""
    return zlib.compress(text, _COMPRESSION_LEVEL)


def unpacked(stored: bytes | None) -> str | None:
    """The text of `packed`; None stays None."""
    return None if stored is None else zlib.decompress(stored).decode("utf-8")


def id_range(job: str) -> tuple[str, str]:
    """Bounds (low inclusive, high exclusive) of the run ids of a job.

    Run ids are `job@instant`, names hold no `@`, and the instants sort as text: within these
    bounds the order of the ids is the order of the due instants, so one index serves both.
    """
    return f"{job}@", f"{job}A"  # "A" follows "@"


ENTRY_COLUMNS = (
    "l.run_id, l.job, l.manual, l.due_us, l.due_last_us, l.due_count, l.status, l.reason, "
    "l.started_us, l.ended_us, l.duration_ms, l.composition_id, l.error, l.notes, "
    "l.runner_pid, l.runner_ticks, "
    "d.state, d.http_status, d.problem, d.attempts, d.most_attempts, d.next_us"
)
"""What `entry_of` reads, of `FROM ledger l LEFT JOIN delivery d USING (entry)`."""


def entry_of(row: Sequence[Any]) -> LedgerEntry:
    """The entry of a row of `ENTRY_COLUMNS`, without its output and trace."""
    (run_id, job, manual, due, due_last, count, status, reason, started, ended, *rest) = row
    (duration, composition_id, error, notes, pid, ticks, *delivery) = rest
    return LedgerEntry(
        run_id=run_id,
        job=job,
        manual=bool(manual),
        due=from_us(due),
        due_last=from_us(due_last),
        due_count=count,
        status=RunStatus(status),
        started_at=None if started is None else from_us(started),
        ended_at=None if ended is None else from_us(ended),
        duration_ms=duration,
        composition_id=composition_id,
        reason=reason,
        error=None if error is None else _error_of(error),
        notes=() if notes is None else tuple(orjson.loads(notes)),
        runner=None if pid is None else RunnerProcess(pid, ticks),
        delivery=_delivery_text(*delivery),
    )


def fetch_entries(
    connection: sqlite3.Connection, tail: str, parameters: Sequence[Any]
) -> list[LedgerEntry]:
    """The entries that `tail` (WHERE, ORDER BY, LIMIT over `l` and `d`) selects."""
    query = f"SELECT {ENTRY_COLUMNS} FROM ledger l LEFT JOIN delivery d USING (entry) {tail}"  # noqa: S608 - the tails are literals of this package
    return [entry_of(row) for row in connection.execute(query, parameters)]


def _error_of(text: str) -> ErrorRecord:
    try:
        return ERROR_RECORD.validate_json(text)
    except ValidationError:
        # Written by another version, whose lists were longer: show what it said all the same.
        return ErrorRecord(code=ErrorCode.INTERNAL, message=str(orjson.loads(text).get("message")))


def _delivery_text(
    state: str | None,
    http_status: int | None,
    problem: str | None,
    attempts: int,
    most_attempts: int,
    next_us: int | None,
) -> str | None:
    """`delivered, answered 200`, `failed: …`, `owed, attempt 2 of 5 failed: …`, or no webhook."""
    why = problem or f"answered {http_status}"
    if state == "delivered":
        return f"delivered, answered {http_status}{_after(attempts)}"
    if state == "failed":
        return f"failed{_after(attempts)}: {why}"
    if state == "owed" and attempts:
        again = "at once" if next_us is None else f"at {instant_text(from_us(next_us))}"
        return f"owed, attempt {attempts} of {most_attempts} failed: {why}; tried again {again}"
    return state


def _after(attempts: int) -> str:
    return f" after {attempts} attempts" if attempts > 1 else ""
