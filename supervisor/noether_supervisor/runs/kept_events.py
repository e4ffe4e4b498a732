"""The events of a run that has not reported yet, kept for the trace of one that never will.

They are needed only if the runner dies, so they are kept as lines and read in full only then; and
they are kept in little memory, since a stage that gets at its runner's output may write as many
as it likes. What goes first when there are too many are the oldest ends of stage calls: what a run
was doing last, and what it was still doing, is told longest.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from noether_contract.messages import GraphRead, RunReport, StageEnded, StageEntry, StageStarted
from noether_contract.reading import EVENT

MAX_KEPT_BYTES = 8 * 1024 * 1024
"""What the events of one run may take here, read out included."""

EVENT_BYTES = 1024
"""What an event takes beside its text."""

EVENT_KINDS = frozenset({"graph_read", "stage_started", "stage_ended"})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run came, from its events: ended stage calls, and those that were still open.

    `forgotten` events came before these and were too many to be kept.
    """

    composition_id: str | None = None
    ended: tuple[StageEntry, ...] = ()
    open: tuple[StageStarted, ...] = ()
    forgotten: int = 0


class KeptEvents:
    """Takes events as they come, and gives the progress that they make."""

    def __init__(self) -> None:
        self._graph_read = b""
        self._opened: dict[int, bytes] = {}
        self._ended: deque[bytes] = deque()
        self._kept_bytes = 0
        self._forgotten = 0

    def keep(self, message: dict[str, Any], line: bytes) -> bool:
        """Takes an event, whose `kind` is one of ours; False when it cannot be one of a runner."""
        call = message.get("call")
        if message["kind"] == "graph_read":
            self._graph_read = line
            return True
        if not isinstance(call, int):
            return False
        self._drop(self._opened.pop(call, None))
        if message["kind"] == "stage_started":
            self._opened[call] = line
        else:
            self._ended.append(line)
        self._kept_bytes += len(line) + EVENT_BYTES
        while self._kept_bytes > MAX_KEPT_BYTES:
            self._forget_one()
        return True

    def clear(self) -> None:
        """The report has come, which tells all of it."""
        self._opened.clear()
        self._ended.clear()

    def progress(self) -> tuple[Progress, int]:
        """What the events say, and how many of them could not be read after all."""
        composition_id: str | None = None
        opened: list[StageStarted] = []
        ended: list[StageEntry] = []
        unreadable = 0
        for line in filter(None, (self._graph_read, *self._ended, *self._opened.values())):
            try:
                event = EVENT.validate_json(line)
            except ValidationError:
                unreadable += 1
                continue
            match event:
                case GraphRead():
                    composition_id = event.composition_id
                case StageStarted():
                    opened.append(event)
                case StageEnded():
                    ended.append(event.entry)
                case RunReport():
                    # kept apart, never among the events
                    unreadable += 1
        return Progress(composition_id, tuple(ended), tuple(opened), self._forgotten), unreadable

    def _forget_one(self) -> None:
        if self._ended:
            self._drop(self._ended.popleft())
        else:
            self._drop(self._opened.pop(next(iter(self._opened))))
        self._forgotten += 1

    def _drop(self, line: bytes | None) -> None:
        if line is not None:
            self._kept_bytes -= len(line) + EVENT_BYTES
