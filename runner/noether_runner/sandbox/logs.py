"""What a stage writes to standard output and error: the first and the last half of it is kept."""

from noether_contract.lean_dataclass import dataclass

MARK_ROOM = 64
"""Room for the words that stand in for what is missing: the shown text stays within the limit."""


@dataclass(frozen=True, slots=True)
class Log:
    """The kept bytes of one stream; `dropped` bytes between `head` and `tail` are lost."""

    head: bytes = b""
    tail: bytes = b""
    dropped: int = 0

    @property
    def truncated(self) -> bool:
        """Whether something is missing."""
        return self.dropped > 0

    def tail_bytes(self, count: int) -> bytes:
        """The last bytes of what is kept."""
        return (self.head + self.tail)[-count:] if len(self.tail) < count else self.tail[-count:]

    def cut(self, limit: int) -> "Log":
        """The same log as a buffer of `limit` bytes would have kept it."""
        buffer = LogBuffer(limit)
        buffer.feed(self.head)
        buffer.feed(self.tail)
        cut = buffer.log()
        if not self.dropped:
            return cut
        return Log(cut.head, cut.tail, cut.dropped + self.dropped)


class LogBuffer:
    """Takes a stream of any length and keeps at most `limit` bytes of it."""

    def __init__(self, limit: int) -> None:
        self._head_room = limit - limit // 2
        self._tail_room = limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._passed = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the stream."""
        free = self._head_room - len(self._head)
        if free > 0:
            self._head += chunk[:free]
            chunk = chunk[free:]
        if not chunk:
            return
        self._passed += len(chunk)
        self._tail += chunk[-self._tail_room :] if self._tail_room else b""
        # trimmed rarely, not at every chunk: moving bytes is what a flood would pay for
        if len(self._tail) > 2 * self._tail_room + 65536:
            del self._tail[: -self._tail_room]

    def log(self) -> Log:
        """What is kept."""
        tail = bytes(self._tail[-self._tail_room :]) if self._tail_room else b""
        dropped = self._passed - len(tail)
        if dropped == 0:
            return Log(bytes(self._head), tail)
        head = bytes(self._head[: max(0, len(self._head) - MARK_ROOM)])
        return Log(head, tail, dropped + len(self._head) - len(head))
