"""Reading a stage's private channel: frames out of bytes that anybody may have written to.

Whatever is not a complete frame with the call's own token is skipped and not kept, so scribbling
over the channel costs nothing and forges nothing (`runtimes.md` §7.3).
"""

import re

_LONGEST_HEADER = 64
_MAX_ERROR_BYTES = 256 * 1024


class FrameReader:
    """Collects result and error of one stage call; `output_bytes` bounds the result.

    `result` and `error` are the payloads of the first complete frame of each kind, None before.
    `too_large` is set as soon as a longer result is announced or streamed. `incomplete` tells
    that a frame began and its payload never came in full. `streamed` tells that the language
    opened the stream form: then the result is all that followed, complete when the process ends.
    """

    def __init__(self, token: str, output_bytes: int) -> None:
        self._header = re.compile(rb"\n%s ([RES]) (\d{1,15})\n" % token.encode("ascii"))
        self._limit = output_bytes
        self._pending = bytearray()
        self._tag = b""
        self._missing = 0
        self._stream: bytearray | None = None
        self.result: bytes | None = None
        self.error: bytes | None = None
        self.too_large = False

    @property
    def streamed(self) -> bool:
        """Whether the result is everything after the opening of a stream."""
        return self._stream is not None

    @property
    def answered(self) -> bool:
        """Whether a whole result or error has arrived."""
        return self.result is not None or self.error is not None

    @property
    def incomplete(self) -> bool:
        """Whether a frame began and did not end."""
        return self._missing > 0

    def stream(self) -> bytes:
        """What was streamed so far."""
        return bytes(self._stream or b"")

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the channel."""
        if self._stream is not None:
            self._extend_stream(chunk)
            return
        self._pending += chunk
        while not (self.streamed or self.too_large):
            if self._missing:
                if len(self._pending) < self._missing:
                    return
                self._keep(bytes(self._pending[: self._missing]))
                del self._pending[: self._missing]
                self._missing = 0
                continue
            found = self._header.search(self._pending)
            if found is None:
                # a header may be cut anywhere; what lies before its longest form never counts
                del self._pending[:-_LONGEST_HEADER]
                return
            self._open(found)

    def _open(self, found: re.Match[bytes]) -> None:
        self._tag = found[1]
        length = int(found[2])
        del self._pending[: found.end()]
        if self._tag == b"S":
            self._stream = bytearray()
            rest = bytes(self._pending)
            self._pending.clear()
            self._extend_stream(rest)
        elif self._tag == b"R" and length > self._limit:
            self.too_large = True
        elif self._tag == b"E" and length > _MAX_ERROR_BYTES:
            return
        elif length == 0:
            self._keep(b"")
        else:
            self._missing = length

    def _keep(self, payload: bytes) -> None:
        if self._tag == b"R" and self.result is None:
            self.result = payload
        elif self._tag == b"E" and self.error is None:
            self.error = payload

    def _extend_stream(self, chunk: bytes) -> None:
        if self._stream is None or self.too_large:
            return
        self._stream += chunk
        if len(self._stream) > self._limit:
            self.too_large = True
            self._stream.clear()
