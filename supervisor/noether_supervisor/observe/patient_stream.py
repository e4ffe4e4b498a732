"""Standard error that holds nobody up: a reader that stops reading costs lines, never the service.

Lines are written at once while the stream takes them. What it does not take waits, up to a bound,
for a thread of its own to write it; beyond the bound lines are dropped, and a line tells how many.
Nothing is written to a stream that is closed, or whose reader is gone.
"""

import atexit
import os
import select
import sys
import threading
from collections import deque
from typing import TextIO

MOST_WAITING_BYTES = 1024 * 1024
"""What waits for a reader before lines are dropped."""

_LAST_SECONDS = 1.0
"""How long the end of the process waits for a reader."""


class PatientStream:
    """Writes whole lines to a descriptor without ever waiting for its reader."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._ready = select.poll()
        self._ready.register(descriptor, select.POLLOUT)
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._dropped = 0
        self._writer: threading.Thread | None = None

    def write(self, lines: bytes) -> None:
        """Writes the lines now, or as soon as the stream takes them, or never."""
        with self._changed:
            if self._writer is None:
                lines = self._written(lines)
                if not lines:
                    return
                self._writer = threading.Thread(target=self._work_off, name="log", daemon=True)
                self._writer.start()
            elif self._waiting_bytes + len(lines) > MOST_WAITING_BYTES:
                self._dropped += lines.count(b"\n")
                return
            self._waiting.append(lines)
            self._waiting_bytes += len(lines)

    def flush(self, seconds: float) -> bool:
        """Whether everything that waits was written within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._writer is None, seconds)

    def _written(self, lines: bytes) -> bytes:
        """Writes as much as the stream takes without a wait; what is left of the lines."""
        while lines and self._ready.poll(0):
            try:
                # a pipe that is ready takes so much without a wait (pipe(7), PIPE_BUF)
                taken = os.write(self._descriptor, lines[: select.PIPE_BUF])
            except BlockingIOError:
                break
            except OSError:
                return b""  # nobody will read it
            lines = lines[taken:]
        return lines

    def _work_off(self) -> None:
        while True:
            with self._changed:
                if not self._waiting:
                    self._writer = None
                    self._changed.notify_all()
                    return
                lines = self._waiting.popleft()
                self._waiting_bytes -= len(lines)
                if self._dropped and not self._waiting:
                    self._waiting.append(self._told_of_loss())
            while lines := self._written(lines):
                self._ready.poll()

    def _told_of_loss(self) -> bytes:
        told = f"{self._dropped} lines of the log are lost: nobody read standard error for a while"
        self._dropped = 0
        return told.encode() + b"\n"


_STREAMS: dict[int, PatientStream] = {}


def say(text: str) -> None:
    """Writes lines to standard error, whatever that is by now; waits for nobody."""
    stream: TextIO | None = sys.stderr
    if stream is None:
        return
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        stream.write(text)  # an object that stands in for it
        return
    patient = _STREAMS.get(descriptor)
    if patient is None:
        patient = _STREAMS[descriptor] = PatientStream(descriptor)
        atexit.register(patient.flush, _LAST_SECONDS)
    patient.write(text.encode(stream.encoding, "backslashreplace"))
