"""The questions of commands and pages: what ran lately, how a job stands, everything of one run."""

import sqlite3
from dataclasses import dataclass, replace
from datetime import datetime

import orjson
from pydantic import ValidationError

from noether_contract.messages import Trace, Usage
from noether_contract.reading import TRACE
from noether_supervisor.history.rows import fetch_entries, from_us, id_range, unpacked
from noether_supervisor.records import Fire, LedgerEntry, RunEnding

_FAILED = "l.status IN ('failed', 'timed_out', 'out_of_memory', 'crashed', 'interrupted')"


@dataclass(frozen=True, slots=True)
class JobSummary:
    """How one job stands: its last run that ended, and how many of its fires are under way.

    `paused_since` is set while somebody has paused it.
    """

    job: str
    position: datetime
    last: LedgerEntry | None
    running: int
    waiting: int
    paused_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunDetails:
    """Everything of one entry; `entry` has its output and trace as JSON texts."""

    entry: LedgerEntry
    usage: Usage
    stderr_tail: str


def recent(
    connection: sqlite3.Connection,
    job: str | None = None,
    failed: bool = False,
    limit: int = 20,
) -> list[LedgerEntry]:
    """The newest entries of one job or of all, without output and trace; `failed`: only failures.

    One job's are ordered by due instant, all jobs' by the moment at which they were recorded.
    """
    conditions = [_FAILED] if failed else []
    parameters: list[str | int] = []
    if job is not None:
        conditions.append("l.run_id >= ? AND l.run_id < ?")
        parameters.extend(id_range(job))
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    order = "l.entry" if job is None else "l.run_id"
    return fetch_entries(connection, f"{where} ORDER BY {order} DESC LIMIT ?", (*parameters, limit))


def show(connection: sqlite3.Connection, run_id: str) -> RunDetails | None:
    """Everything of one run, None when the history does not know it."""
    found = fetch_entries(connection, "WHERE l.run_id = ?", (run_id,))
    if not found:
        return None
    row = connection.execute(
        "SELECT trace, output, stderr_tail, cpu_ms, peak_memory_bytes, stage_calls "
        "FROM outcome JOIN ledger USING (entry) WHERE run_id = ?",
        (run_id,),
    ).fetchone()
    if row is None:
        return RunDetails(found[0], Usage(), "")
    trace, output, stderr_tail, cpu_ms, peak, calls = row
    entry = replace(found[0], trace_text=unpacked(trace), output_text=unpacked(output))
    usage = Usage(cpu_ms=cpu_ms, peak_memory_bytes=peak, stage_calls=calls)
    return RunDetails(entry, usage, stderr_tail)


def ending_of(details: RunDetails) -> tuple[Fire, RunEnding]:
    """The fire and the ending of a run that has ended, as they were when it was recorded.

    A trace of another version, which this one cannot read, is left out.
    """
    entry = details.entry
    ending = RunEnding(
        status=entry.status,
        started_at=entry.started_at or entry.due,
        duration_ms=entry.duration_ms or 0,
        composition_id=entry.composition_id,
        output=None if entry.output_text is None else orjson.loads(entry.output_text),
        error=entry.error,
        trace=_readable(entry.trace_text),
        usage=details.usage,
        notes=entry.notes,
        stderr_tail=details.stderr_tail,
    )
    return Fire(entry.job, entry.due, entry.manual), ending


def similar_run_ids(connection: sqlite3.Connection, text: str, limit: int = 5) -> list[str]:
    """The newest run ids that begin with `text`: what somebody may have meant."""
    rows = connection.execute(
        "SELECT run_id FROM ledger WHERE run_id >= ? AND run_id < ? ORDER BY run_id DESC LIMIT ?",
        (text, text + "\U0010ffff", limit),
    )
    return [run_id for (run_id,) in rows]


def summaries(connection: sqlite3.Connection) -> list[JobSummary]:
    """How every job stands that the history knows, in the order of their names."""
    running = _count(connection, "running")
    waiting = _count(connection, "waiting")
    last = {
        entry.job: entry
        for entry in fetch_entries(
            connection,
            # "A" follows "@": the bounds of `id_range`. Unary plus keeps SQLite from another index.
            "WHERE l.entry IN (SELECT (SELECT entry FROM ledger WHERE run_id >= name || '@' "
            "AND run_id < name || 'A' AND +status NOT IN ('skipped', 'missed', 'waiting', "
            "'running') ORDER BY run_id DESC LIMIT 1) FROM job)",
            (),
        )
    }
    rows = connection.execute(
        "SELECT name, covered_us, paused_us FROM job ORDER BY name"
    ).fetchall()
    return [
        JobSummary(
            name,
            from_us(us),
            last.get(name),
            running.get(name, 0),
            waiting.get(name, 0),
            None if paused_us is None else from_us(paused_us),
        )
        for name, us, paused_us in rows
    ]


def _readable(trace_text: str | None) -> Trace | None:
    if trace_text is None:
        return None
    try:
        return TRACE.validate_json(trace_text)
    except ValidationError:
        return None


def _count(connection: sqlite3.Connection, status: str) -> dict[str, int]:
    rows = connection.execute(
        # A literal, since a parameter would keep SQLite from the partial index.
        f"SELECT job, count(*) FROM ledger WHERE status = '{status}' GROUP BY job"  # noqa: S608 - one of two literals
    )
    return dict(rows.fetchall())
