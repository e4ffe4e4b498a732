"""What a runner wrote on its standard output and error, kept in bounded memory.

Lines are looked at as they come, but only their kind is read then; the events of a run whose
report arrives are never needed, so they are read in full only for a run that ends without one
(`kept_events.py`).
"""

from collections import deque
from dataclasses import dataclass, field

import orjson
from pydantic import ValidationError

from noether_contract.framing import LineSplitter
from noether_contract.messages import RunReport
from noether_contract.outcomes import RunStatus
from noether_contract.reading import REPORT
from noether_supervisor.runs.kept_events import EVENT_KINDS, KeptEvents, Progress

STDERR_TAIL_BYTES = 16 * 1024
"""How much of the end of a runner's standard error is kept."""

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
        self._events = KeptEvents()
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
        progress, unreadable = self._events.progress()
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
        if not isinstance(kind, str) or kind not in EVENT_KINDS:
            return False
        if kind == "graph_read" and isinstance(found := message.get("composition_id"), str):
            self.composition_id = found
        return self._events.keep(message, line)

    def _keep_report(self, message: dict[str, object]) -> bool:
        try:
            report = REPORT.validate_python(message)
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
