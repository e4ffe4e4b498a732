"""One JSON document a line between supervisor and runner, with a cap on the length of a line.

The runner's standard output carries event lines and, last, the report line. A line that is not
one of ours (too long, not JSON, not a known kind) is counted and otherwise ignored: it can only
come from damage, and damage must not decide how a run is recorded.
"""

MAX_REQUEST_BYTES = 64 * 1024 * 1024
"""Longest request line a runner reads."""

MAX_LINE_BYTES = 64 * 1024 * 1024
"""Longest line a supervisor keeps; a longer one is dropped whole."""

MAX_OUTPUT_BYTES = 32 * 1024 * 1024
"""Longest graph output (compact JSON) a runner reports; a longer one fails the run."""


class LineSplitter:
    """Cuts a byte stream into lines, dropping lines longer than `limit` without keeping them.

    `feed` takes any slice of the stream and returns the complete lines in it, without the line
    feed. `dropped` counts the lines that were too long.
    """

    def __init__(self, limit: int = MAX_LINE_BYTES) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._overflowing = False
        self.dropped = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines completed by `chunk`."""
        lines: list[bytes] = []
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            self._keep(chunk[start:end])
            if self._overflowing:
                self.dropped += 1
            else:
                lines.append(b"".join(self._parts))
            self._parts.clear()
            self._size = 0
            self._overflowing = False
            start = end + 1
        self._keep(chunk[start:])
        return lines

    def _keep(self, piece: bytes) -> None:
        if not piece or self._overflowing:
            return
        self._size += len(piece)
        if self._size > self._limit:
            self._overflowing = True
            self._parts.clear()
            return
        self._parts.append(piece)
