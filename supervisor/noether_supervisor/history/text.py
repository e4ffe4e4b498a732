"""Words for a terminal: durations, instants, sizes, colours, and foreign text made harmless."""

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo

from noether_contract.outcomes import RunStatus

_CODES = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "dim": "2", "bold": "1"}

_MARKS = {
    RunStatus.SUCCEEDED: ("✓", "green"),
    RunStatus.WAITING: ("…", "cyan"),
    RunStatus.RUNNING: ("▸", "cyan"),
    RunStatus.SKIPPED: ("–", "dim"),
    RunStatus.MISSED: ("–", "yellow"),
    RunStatus.INTERRUPTED: ("✗", "yellow"),
}


def painted(text: str, colour: str, *, on: bool) -> str:
    """The text in a colour of `_CODES`, or unchanged."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if on and text else text


def status_text(status: RunStatus, *, colour: bool) -> str:
    """The mark and the word of a status: `✗ timed out`; every failure has a red cross."""
    mark, shade = _MARKS.get(status, ("✗", "red"))
    return painted(f"{mark} {status.value.replace('_', ' ')}", shade, on=colour)


def visible(text: str) -> str:
    """The text without the power to move a terminal's cursor: control characters are written out.

    Line feeds and tabs stay; a stage's output may hold anything.
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character in "\n\t" or character.isprintable()
        else f"\\x{ord(character):02x}"
        if ord(character) < 256
        else f"\\u{{{ord(character):x}}}"
        for character in text.replace("\r\n", "\n")
    )


def one_line(text: str, width: int = 80) -> str:
    """The first line of a text, cut to `width` characters with an ellipsis."""
    lines = visible(text).strip().splitlines() or [""]
    first = lines[0].replace("\t", " ")
    if len(first) > width:
        return f"{first[: width - 1]}…"
    return f"{first} …" if len(lines) > 1 else first


def duration_text(milliseconds: float) -> str:
    """`7 ms`, `1.24 s`, `3 min 20 s`, `2 h 05 min`, `3 d 04 h`."""
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours:02d} h"


def ago_text(then: datetime, now: datetime) -> str:
    """`3 min 20 s ago`, in whole seconds; `in 5 s` for an instant to come."""
    seconds = round((now - then) / timedelta(seconds=1))
    amount = f"{abs(seconds)} s" if abs(seconds) < 60 else duration_text(abs(seconds) * 1000)
    return f"in {amount}" if seconds < 0 else f"{amount} ago"


def instant_in(instant: datetime, zone: tzinfo) -> str:
    """`2026-04-14 08:30:00` in a zone; the heading of a table names the zone."""
    return instant.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def size_text(size_bytes: int) -> str:
    """`512 B`, `12.3 MB`."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def columns(rows: Sequence[Sequence[str]], *, colour: bool) -> list[str]:
    """Rows of equal length as aligned lines; the first is the heading.

    Cells hold plain text: colours go on afterwards, or they would count as width.
    """
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return [painted(lines[0], "bold", on=colour), *lines[1:]] if lines else []
