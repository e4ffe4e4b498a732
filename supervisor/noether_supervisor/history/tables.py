"""The answers of `status`, `history` and `show` as lines of text; pure functions."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo

from pydantic import ValidationError

from noether_contract.outcomes import RunStatus
from noether_contract.reading import TRACE
from noether_supervisor.history.reading import JobSummary, RunDetails
from noether_supervisor.history.text import (
    ago_text,
    columns,
    duration_text,
    instant_in,
    one_line,
    painted,
    size_text,
    status_text,
    visible,
)
from noether_supervisor.history.tree import trace_lines
from noether_supervisor.records import LedgerEntry, instant_text

_OUTPUT_CHARACTERS = 4000


def status_lines(
    summaries: Sequence[JobSummary],
    now: datetime,
    *,
    next_due: Mapping[str, datetime | None] | None = None,
    zone: tzinfo = UTC,
    colour: bool = False,
) -> list[str]:
    """A table with one line a job: its last run and when, what is under way, when it is due next.

    The column of the next due instants appears only when `next_due` is given.
    """
    heading = ["JOB", "LAST RUN", "ENDED", "TOOK", "NOW"]
    rows = [heading + ([f"NEXT DUE ({_zone_name(zone, now)})"] if next_due is not None else [])]
    for summary in summaries:
        last = summary.last
        row = [
            visible(summary.job),
            "–" if last is None else status_text(last.status, colour=False),
            "" if last is None or last.ended_at is None else ago_text(last.ended_at, now),
            "" if last is None or last.duration_ms is None else duration_text(last.duration_ms),
            _under_way(summary),
        ]
        if next_due is not None:
            due = next_due.get(summary.job)
            row.append("–" if due is None else instant_in(due, zone))
        rows.append(row)
    lines = columns(rows, colour=colour)
    return _coloured(lines, [None if s.last is None else s.last.status for s in summaries], colour)


def history_lines(
    entries: Sequence[LedgerEntry], *, zone: tzinfo = UTC, colour: bool = False
) -> list[str]:
    """A table of entries: run, status, due instant, duration, and why where there is a reason."""
    zone_name = _zone_name(zone, entries[0].due) if entries else "UTC"
    rows = [["RUN", "STATUS", f"DUE ({zone_name})", "TOOK", "WHY"]]
    rows.extend(
        [
            visible(entry.run_id),
            status_text(entry.status, colour=False),
            instant_in(entry.due, zone),
            "" if entry.duration_ms is None else duration_text(entry.duration_ms),
            one_line(why(entry)),
        ]
        for entry in entries
    )
    return _coloured(columns(rows, colour=colour), [entry.status for entry in entries], colour)


def why(entry: LedgerEntry) -> str:
    """The reason of an entry in one text: its error, why it was skipped or missed, or nothing."""
    if entry.error is not None:
        return entry.error.message
    if entry.status is RunStatus.MISSED and entry.due_count > 1:
        span = f"{entry.due_count} fires until {instant_text(entry.due_last)}"
        return f"{span}: {entry.reason}" if entry.reason else span
    return entry.reason or ""


def show_lines(details: RunDetails, *, zone: tzinfo = UTC, colour: bool = False) -> list[str]:
    """Everything of one run: what it was, how it ended, its output, and its trace as a tree."""
    entry = details.entry
    facts = [("status", status_text(entry.status, colour=colour)), *_facts(details, zone)]
    width = max(len(name) for name, _ in facts)
    lines = [painted(visible(entry.run_id), "bold", on=colour)]
    lines += [f"  {name.ljust(width)}  {value}" for name, value in facts]
    if entry.trace_text is not None:
        lines += ["", *_trace_lines(entry.trace_text, colour=colour)]
    if entry.output_text is not None:
        lines += ["", "output", *_block(entry.output_text)]
    if details.stderr_tail:
        lines += ["", "standard error of the runner", *_block(details.stderr_tail)]
    return lines


def _facts(details: RunDetails, zone: tzinfo) -> list[tuple[str, str]]:
    entry, usage = details.entry, details.usage
    zone_name = _zone_name(zone, entry.due)
    facts = [
        ("started by hand" if entry.manual else "due", f"{instant_in(entry.due, zone)} {zone_name}")
    ]
    if entry.due_count > 1:
        facts.append(
            ("covers", f"{entry.due_count} fires until {instant_in(entry.due_last, zone)}")
        )
    if entry.started_at is not None:
        facts.append(("started", f"{instant_in(entry.started_at, zone)} {zone_name}"))
    if entry.duration_ms is not None:
        facts.append(("took", duration_text(entry.duration_ms)))
    if usage.stage_calls or usage.cpu_ms:
        peak = size_text(usage.peak_memory_bytes)
        cpu = duration_text(usage.cpu_ms)
        facts.append(("used", f"{usage.stage_calls} stage calls, {cpu} of CPU, {peak} at most"))
    if entry.composition_id is not None:
        facts.append(("composition", entry.composition_id))
    if entry.reason:
        facts.append(("why", visible(entry.reason)))
    if entry.error is not None:
        path, message = entry.error.path, entry.error.message
        is_told = f"at {path}" in message or message.startswith(f"{path}:")
        place = f" (at {path})" if path and not is_told else ""
        facts.append(("error", f"{visible(message)}{place}"))
    facts.extend(("note", visible(note)) for note in entry.notes)
    if entry.delivery is not None:
        facts.append(("webhook", visible(entry.delivery)))
    return facts


def _trace_lines(text: str, *, colour: bool) -> list[str]:
    try:
        trace = TRACE.validate_json(text)
    except ValidationError:
        return ["its trace was written by another version and is not shown; `--json` prints it"]
    return trace_lines(trace, colour=colour)


def _block(text: str) -> list[str]:
    shown = visible(text)
    cut = len(shown) - _OUTPUT_CHARACTERS
    if cut > 0:
        shown = f"{shown[:_OUTPUT_CHARACTERS]}\n… {cut} more characters; `--json` prints them all"
    return [f"  {line}" for line in shown.splitlines()]


def _under_way(summary: JobSummary) -> str:
    parts = []
    if summary.running:
        parts.append("running" if summary.running == 1 else f"{summary.running} running")
    if summary.waiting:
        parts.append(f"{summary.waiting} waiting")
    if summary.paused_since is not None:
        parts.append("paused")
    return ", ".join(parts)


def _coloured(lines: list[str], statuses: Sequence[RunStatus | None], colour: bool) -> list[str]:
    if not colour:
        return lines
    coloured = lines[:1]
    for line, status in zip(lines[1:], statuses, strict=True):
        plain = "" if status is None else status_text(status, colour=False)
        shaded = "" if status is None else status_text(status, colour=True)
        coloured.append(line.replace(plain, shaded, 1) if plain else line)
    return coloured


def _zone_name(zone: tzinfo, at: datetime) -> str:
    return at.astimezone(zone).tzname() or "local"
