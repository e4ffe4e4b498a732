"""What a person at `noether-run` sees while a graph runs: stages as they start and end.

On a terminal there is a line per ended call, and the open ones stand in a block at the bottom that
is drawn anew with each event (`TERM=dumb`: no block). Elsewhere progress is silent, as
`scheduler.md` §1 asks, and only calls that failed are told. `NO_COLOR` is honoured (no-color.org).
"""

import os
import threading
from typing import TextIO

from noether_contract.messages import Event, StageEnded, StageEntry, StageStarted

_GREEN, _RED, _DIM, _PLAIN = "\033[32m", "\033[31m", "\033[2m", "\033[0m"
_MAX_OPEN_SHOWN = 8


class Progress:
    """Draws events on a stream; safe to use from threads."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._watched = stream.isatty()
        self._live = self._watched and os.environ.get("TERM") != "dumb"
        self._coloured = self._live and not os.environ.get("NO_COLOR")
        self._open: dict[int, StageStarted] = {}
        self._drawn = 0
        self._lock = threading.Lock()

    def show(self, event: Event) -> None:
        """Draws what the event changes; other events than stage calls change nothing."""
        with self._lock:
            try:
                self._draw(event)
            except (OSError, ValueError):
                # nobody looks any more; the run goes on
                self._live = False

    def _draw(self, event: Event) -> None:
        if isinstance(event, StageStarted):
            self._open[event.call] = event
            if self._live:
                self._stream.write(self._erased() + self._block())
        elif isinstance(event, StageEnded):
            self._open.pop(event.call, None)
            ended = self._ended_line(event.entry) + "\n"
            if self._live:
                self._stream.write(self._erased() + ended + self._block())
            elif self._watched or event.entry.status != "Ok":
                self._stream.write(ended)
        self._stream.flush()

    def _erased(self) -> str:
        back = f"\033[{self._drawn}A\r\033[J" if self._drawn else ""
        self._drawn = 0
        return back

    def _block(self) -> str:
        shown = list(self._open.values())[:_MAX_OPEN_SHOWN]
        self._drawn = len(shown)
        return "".join(
            f"  {self._paint('…', _DIM)} {_name(started)}{_attempt(started.attempt)}\n"
            for started in shown
        )

    def _ended_line(self, entry: StageEntry) -> str:
        ok = entry.status == "Ok"
        mark = self._paint("✓", _GREEN) if ok else self._paint("✗", _RED)
        memo = " (from memory)" if entry.memoized else ""
        line = f"  {mark} {_name(entry)}{_attempt(entry.attempt)} {entry.duration_ms} ms{memo}"
        if entry.status != "Ok":
            reason = visible(entry.status.Failed.message.partition("\n")[0][:300])
            line += f"\n      {self._paint(reason, _RED)}"
        return line

    def _paint(self, text: str, colour: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self._coloured else text


def visible(text: str) -> str:
    """The text without power over a terminal: control characters as escapes, but line feed, tab."""
    if text.isprintable():
        return text
    return "".join(
        letter
        if letter in "\n\t" or letter.isprintable()
        else letter.encode("unicode_escape").decode()
        for letter in text
    )


def _name(call: StageStarted | StageEntry) -> str:
    name = call.stage_name or call.stage_id[:8]
    return visible(f"{name} [{call.path}]")


def _attempt(attempt: int) -> str:
    return f" (attempt {attempt})" if attempt > 1 else ""
