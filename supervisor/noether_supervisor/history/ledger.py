"""Writing the ledger: every due instant of a job becomes exactly one entry (`scheduler.md` §3).

An entry and the position that it advances are written in one transaction, a run's end in one
transaction with its trace and the webhook that it owes. Each function is one piece of work for
`Database.run`; the order in which they are handed over is the order in which they hold.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from noether_contract.messages import ErrorRecord, known_members_of, write_message
from noether_contract.outcomes import RunStatus
from noether_supervisor.errors import HistoryError
from noether_supervisor.history.deliveries import owe
from noether_supervisor.history.rows import from_us, packed, to_us
from noether_supervisor.records import Fire, OwedDelivery, RunEnding, RunnerProcess, instant_text


def first_seen(connection: sqlite3.Connection, job: str, now: datetime) -> datetime:
    """The job's position; a job that the ledger does not know begins now: nothing is due before."""
    us = to_us(now)
    connection.execute(
        "INSERT INTO job (name, first_seen_us, covered_us) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (job, us, us),
    )
    row = connection.execute("SELECT covered_us FROM job WHERE name = ?", (job,)).fetchone()
    return from_us(row[0])


def positions(
    connection: sqlite3.Connection, now: datetime | None = None
) -> Mapping[str, datetime]:
    """The last covered instant of every job that is counting, also of removed ones.

    With `now`, also of disabled jobs that are covered beyond it: the clock was set back, and what
    is covered must not come due again when the job is enabled.
    """
    beyond = 2**63 - 1 if now is None else to_us(now)
    rows = connection.execute(
        "SELECT name, covered_us FROM job WHERE counting OR covered_us > ?", (beyond,)
    )
    return {name: from_us(covered) for name, covered in rows}


def record_position(connection: sqlite3.Connection, job: str, position: datetime | None) -> None:
    """Move a job's position without an entry; None: the job is disabled and has none.

    The ledger's own position never moves back, so no instant is covered twice.
    """
    if position is None:
        connection.execute("UPDATE job SET counting = 0 WHERE name = ?", (job,))
        return
    us = to_us(position)
    connection.execute(
        "INSERT INTO job (name, first_seen_us, covered_us) VALUES (?, ?, ?) ON CONFLICT DO UPDATE "
        "SET covered_us = max(covered_us, excluded.covered_us), counting = 1",
        (job, us, us),
    )


def record_waiting(connection: sqlite3.Connection, fire: Fire) -> None:
    """The fire is due and waits for its start."""
    _enter(connection, _Entry(fire, RunStatus.WAITING))


def record_start(connection: sqlite3.Connection, fire: Fire, started_at: datetime) -> None:
    """The fire's run starts; to be committed before its runner is."""
    _enter(connection, _Entry(fire, RunStatus.RUNNING, started_at=started_at))


def record_runner(connection: sqlite3.Connection, run_id: str, runner: RunnerProcess) -> None:
    """Which process runs it: what a later service looks for, should this one die."""
    connection.execute(
        "UPDATE ledger SET runner_pid = ?, runner_ticks = ? WHERE run_id = ?",
        (runner.pid, runner.start_ticks, run_id),
    )


def record_composition(connection: sqlite3.Connection, run_id: str, composition_id: str) -> None:
    """The id of the graph of a run that still runs: all that outlives the service of its events.

    Worth a write only for a run that lasts; its end records the id anyway.
    """
    connection.execute(
        "UPDATE ledger SET composition_id = ? WHERE run_id = ?", (composition_id, run_id)
    )


def record_note(connection: sqlite3.Connection, run_id: str, note: str) -> None:
    """A remark about a run that still runs; those of its end come after it."""
    connection.execute(
        "UPDATE ledger SET notes = json_insert(coalesce(notes, '[]'), '$[#]', ?) "
        "WHERE run_id = ? AND status = 'running'",
        (note, run_id),
    )


def record_skipped(
    connection: sqlite3.Connection, fire: Fire, reason: str, open_run_id: str | None = None
) -> None:
    """The fire, waiting or new, ends without a run, in favour of `open_run_id` if there is one."""
    told = reason if open_run_id is None else f"{reason}, in favour of {open_run_id}"
    _enter(connection, _Entry(fire, RunStatus.SKIPPED, reason=told))


def record_missed(
    connection: sqlite3.Connection,
    job: str,
    first: datetime,
    last: datetime,
    count: int,
    reason: str,
) -> None:
    """`count` due instants, from `first` to `last`, passed without a run: one entry."""
    fire = Fire(job, first)
    _enter(connection, _Entry(fire, RunStatus.MISSED, reason=reason, last=last, count=count))


def record_refused(
    connection: sqlite3.Connection,
    fire: Fire,
    ending: RunEnding,
    owed: OwedDelivery | None = None,
) -> int | None:
    """The fire, waiting or new, ended before it had a runner: its start and its end at once."""
    record_start(connection, fire, ending.started_at)
    return record_end(connection, fire.run_id, ending, owed)


def record_end(
    connection: sqlite3.Connection,
    run_id: str,
    ending: RunEnding,
    owed: OwedDelivery | None = None,
) -> int | None:
    """The run's end, its trace and its webhook; returns the id of the delivery that is owed.

    A run ends once: told again, nothing changes, and the id is that of the delivery still owed
    from the first time. Raises `HistoryError` for a run that never started.
    """
    entry = _running_entry(connection, run_id)
    if entry is None:
        return _still_owed(connection, run_id)
    ended_at = ending.started_at + timedelta(milliseconds=ending.duration_ms)
    connection.execute(
        "UPDATE ledger SET status = ?, ended_us = ?, duration_ms = ?, error = ?, notes = ?, "
        "composition_id = coalesce(?, composition_id) WHERE entry = ?",
        (
            ending.status.value,
            to_us(ended_at),
            ending.duration_ms,
            _error_text(ending.error),
            _with_notes(connection, entry, ending.notes),
            ending.composition_id,
            entry,
        ),
    )
    _record_outcome(connection, entry, ending)
    if owed is None:
        return None
    owe(connection, entry, owed)
    return entry


def _error_text(error: ErrorRecord | None) -> str | None:
    return None if error is None else orjson.dumps(known_members_of(error)).decode()


def _with_notes(connection: sqlite3.Connection, entry: int, notes: tuple[str, ...]) -> str | None:
    """The notes of a run, those of its end last."""
    (earlier,) = connection.execute("SELECT notes FROM ledger WHERE entry = ?", (entry,)).fetchone()
    if not notes:
        return None if earlier is None else str(earlier)
    return orjson.dumps([*orjson.loads(earlier or "[]"), *notes]).decode()


def _record_outcome(connection: sqlite3.Connection, entry: int, ending: RunEnding) -> None:
    succeeded = ending.status is RunStatus.SUCCEEDED
    trace = None if ending.trace is None else write_message(ending.trace)
    connection.execute(
        "INSERT INTO outcome (entry, trace, output, stderr_tail, cpu_ms, peak_memory_bytes, "
        "stage_calls) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            entry,
            None if trace is None else packed(trace),
            packed(orjson.dumps(ending.output)) if succeeded else None,
            ending.stderr_tail,
            ending.usage.cpu_ms,
            ending.usage.peak_memory_bytes,
            ending.usage.stage_calls,
        ),
    )


@dataclass(frozen=True, slots=True)
class _Entry:
    """What an entry says when it is made; `last` and `count` differ only for missed fires."""

    fire: Fire
    status: RunStatus
    started_at: datetime | None = None
    reason: str | None = None
    last: datetime | None = None
    count: int = 1


def _enter(connection: sqlite3.Connection, entry: _Entry) -> None:
    """A new entry, or the next state of one that waits; raises when the fire is past that."""
    fire = entry.fire
    started = None if entry.started_at is None else to_us(entry.started_at)
    changing = (entry.status.value, entry.reason, started)
    if entry.status is not RunStatus.MISSED:  # what waits is under way, so it is never missed
        moved = connection.execute(
            "UPDATE ledger SET status = ?, reason = ?, started_us = ? "
            "WHERE run_id = ? AND status = 'waiting'",
            (*changing, fire.run_id),
        )
        if moved.rowcount:
            return
    due = to_us(fire.due)
    due_last = due if entry.last is None else to_us(entry.last)
    if not fire.manual:
        _advance(connection, fire, due, due_last)
    try:
        connection.execute(
            "INSERT INTO ledger (status, reason, started_us, run_id, job, manual, due_us, "
            "due_last_us, due_count) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*changing, fire.run_id, fire.job, fire.manual, due, due_last, entry.count),
        )
    except sqlite3.IntegrityError:
        raise HistoryError(
            f"{fire.run_id} is in the ledger already; a fire is recorded once"
        ) from None


def _advance(connection: sqlite3.Connection, fire: Fire, first: int, last: int) -> None:
    moved = connection.execute(
        "UPDATE job SET covered_us = ? WHERE name = ? AND covered_us < ?", (last, fire.job, first)
    )
    if moved.rowcount:
        return
    row = connection.execute("SELECT covered_us FROM job WHERE name = ?", (fire.job,)).fetchone()
    if row is not None:
        covered = instant_text(from_us(row[0]))
        raise HistoryError(
            f"the ledger covers the job {fire.job!r} up to {covered}; its fire of "
            f"{instant_text(fire.due)} cannot be recorded again"
        )
    connection.execute(
        "INSERT INTO job (name, first_seen_us, covered_us) VALUES (?, ?, ?)",
        (fire.job, first, last),
    )


def _running_entry(connection: sqlite3.Connection, run_id: str) -> int | None:
    """The entry of a run that runs; None when it has ended; raises when it never started."""
    row = connection.execute(
        "SELECT entry, status FROM ledger WHERE run_id = ?", (run_id,)
    ).fetchone()
    if row is None or row[1] == RunStatus.WAITING:
        met = "is not in the ledger" if row is None else "only waits"
        raise HistoryError(f"the end of {run_id} cannot be recorded: it {met}; it never started")
    return int(row[0]) if row[1] == RunStatus.RUNNING else None


def _still_owed(connection: sqlite3.Connection, run_id: str) -> int | None:
    row = connection.execute(
        "SELECT entry FROM ledger JOIN delivery USING (entry) WHERE run_id = ? AND state = 'owed'",
        (run_id,),
    ).fetchone()
    return None if row is None else int(row[0])
