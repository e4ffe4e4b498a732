"""What a runner wrote on its standard output and error, kept in bounded memory.

Lines are looked at as they come, but only their kind is read then; the events of a run whose
report arrives are never needed, so they are read in full only for a run that ends without one.
"""

from collections import deque
from dataclasses import dataclass, field

import orjson
from pydantic import ValidationError

from noether_contract.framing import LineSplitter
from noether_contract.messages import (
    EVENT,
    GraphRead,
    RunReport,
    StageEnded,
    StageEntry,
    StageStarted,
)
from noether_contract.outcomes import RunStatus

MAX_KEPT_EVENT_BYTES = 64 * 1024 * 1024
"""Event lines kept for a partial trace; later ones of the run are counted as dropped."""

STDERR_TAIL_BYTES = 16 * 1024
"""How much of the end of a runner's standard error is kept."""

_EVENT_KINDS = frozenset({"graph_read", "stage_started", "stage_ended"})
_REPORT_STATUSES = frozenset(
    {
        RunStatus.SUCCEEDED,
        RunStatus.FAILED,
        RunStatus.TIMED_OUT,
        RunStatus.OUT_OF_MEMORY,
        RunStatus.CRASHED,
        RunStatus.INTERRUPTED,
    }
)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run came, from its events: ended stage calls, and those that were still open."""

    composition_id: str | None = None
    ended: tuple[StageEntry, ...] = ()
    open: tuple[StageStarted, ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """All that a runner told: its report, or how far it came; `dropped` lines were not ours."""

    report: RunReport | None = None
    progress: Progress = field(default_factory=Progress)
    dropped: int = 0


class EventStream:
    """Takes the bytes of a runner's standard output; `told` reads them out at the end.

    `composition_id` is known as soon as the runner has read the graph.
    """

    def __init__(self, run_id: str) -> None:
        self.composition_id: str | None = None
        self._run_id = run_id
        self._splitter = LineSplitter()
        self._events: list[bytes] = []
        self._kept_bytes = 0
        self._report: RunReport | None = None
        self._dropped = 0

    def feed(self, chunk: bytes) -> None:
        """Takes the next slice of the stream."""
        for line in self._splitter.feed(chunk):
            if not self._keep(line):
                self._dropped += 1

    def told(self) -> Told:
        """What the lines so far say; a last line without its end does not count."""
        dropped = self._dropped + self._splitter.dropped
        if self._report is not None:
            return Told(report=self._report, dropped=dropped)
        progress, unreadable = _progress(self._events)
        return Told(progress=progress, dropped=dropped + unreadable)

    def _keep(self, line: bytes) -> bool:
        try:
            message = orjson.loads(line)
        except orjson.JSONDecodeError:
            return False
        if not isinstance(message, dict):
            return False
        kind = message.get("kind")
        if kind == "report":
            return self._keep_report(message)
        # "kind" may be any JSON value, an unhashable list too
        if not isinstance(kind, str) or kind not in _EVENT_KINDS:
            return False
        if kind == "graph_read" and isinstance(found := message.get("composition_id"), str):
            self.composition_id = found
        self._kept_bytes += len(line)
        if self._kept_bytes > MAX_KEPT_EVENT_BYTES:
            return False
        self._events.append(line)
        return True

    def _keep_report(self, message: dict[str, object]) -> bool:
        try:
            report = RunReport.model_validate(message)
        except ValidationError:
            return False
        if report.run_id != self._run_id or report.status not in _REPORT_STATUSES:
            return False
        self._report = report
        self._events.clear()
        return True


class Tail:
    """The last `limit` bytes of a stream."""

    def __init__(self, limit: int = STDERR_TAIL_BYTES) -> None:
        self._limit = limit
        self._chunks: deque[bytes] = deque()
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        """Takes the next slice of the stream."""
        self._chunks.append(chunk[-self._limit :])
        self._size += len(self._chunks[-1])
        while self._size - len(self._chunks[0]) >= self._limit:
            self._size -= len(self._chunks.popleft())

    def text(self) -> str:
        """The tail as text; bytes that are no UTF-8, such as a character cut in two, are `�`."""
        return b"".join(self._chunks)[-self._limit :].decode("utf-8", errors="replace")


def _progress(lines: list[bytes]) -> tuple[Progress, int]:
    composition_id: str | None = None
    opened: dict[int, StageStarted] = {}
    ended: list[StageEntry] = []
    unreadable = 0
    for line in lines:
        try:
            event = EVENT.validate_json(line)
        except ValidationError:
            unreadable += 1
            continue
        match event:
            case GraphRead():
                composition_id = event.composition_id
            case StageStarted():
                opened[event.call] = event
            case StageEnded():
                opened.pop(event.call, None)
                ended.append(event.entry)
            case RunReport():
                # kept apart, never among the events
                unreadable += 1
    return Progress(composition_id, tuple(ended), tuple(opened.values())), unreadable
