"""The runner's one way to speak: event lines on a descriptor that nothing else can reach.

The runner takes descriptor 1 for itself at once and points standard output at standard error,
so that no stray `print`, in our code or a library's, can spoil the stream (DESIGN §1).
"""

import fcntl
import os
import threading

from noether_contract.messages import Event, StageEnded, StageStarted, write_message

MOST_EVENT_BYTES = 128 * 1024 * 1024
"""Starts and ends of stage calls that are told as they happen: a `Retry` may have attempts without
end, and a supervisor takes a runner that never stops writing for a broken one. The report follows.
"""

_LOWEST_PRIVATE_DESCRIPTOR = 64


def take_stdout(descriptor: int = 1) -> int:
    """Moves `descriptor` to a private, close-on-exec one and points standard output at 2."""
    private = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _LOWEST_PRIVATE_DESCRIPTOR)
    os.dup2(2, 1)
    return private


class Channel:
    """Event lines to the supervisor, each written whole and at once; safe to use from threads.

    When nobody reads any more, events are dropped: the lifeline ends the run, not a signal.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._broken = False
        self._event_bytes = 0

    def send(self, event: Event) -> None:
        """Writes one event as a line of compact JSON; of calls without end only the first ones."""
        line = write_message(event) + b"\n"
        with self._lock:
            if isinstance(event, StageStarted | StageEnded):
                self._event_bytes += len(line)
                if self._event_bytes > MOST_EVENT_BYTES:
                    return
            if not self._broken:
                self._write(line)

    def _write(self, line: bytes) -> None:
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except BrokenPipeError:
            self._broken = True
