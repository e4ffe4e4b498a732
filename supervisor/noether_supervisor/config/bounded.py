"""Reading files that somebody else named: never without end, and never waiting without end.

A device that gives for ever, or a pipe that nobody writes to, in the place of a file must not take
the service's memory or time, least of all in a reload. Pipes may be read: a shell's `<(…)` is one.
"""

import errno
import os
import select
import stat
import time
from pathlib import Path

PATIENCE_SECONDS = 5.0
"""How long a pipe may take to give all that it has."""

_CHUNK_BYTES = 1 << 20


def read_bounded(path: Path, most_bytes: int) -> bytes:
    """The content of a file; raises `OSError` with a sentence of its own when it is too much."""
    # Not to wait for a writer, should the path be a pipe.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                content = file.read(most_bytes + 1)
        else:
            content = _read_stream(descriptor, most_bytes)
    finally:
        os.close(descriptor)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"it is longer than {most_bytes} bytes")
    return content


def _read_stream(descriptor: int, most_bytes: int) -> bytes:
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    ends = time.monotonic() + PATIENCE_SECONDS
    content = bytearray()
    while len(content) <= most_bytes:
        left = ends - time.monotonic()
        if left <= 0 or not ready.poll(left * 1000):
            raise OSError(errno.ETIMEDOUT, f"it did not end within {PATIENCE_SECONDS:g} s")
        chunk = os.read(descriptor, _CHUNK_BYTES)
        if not chunk:
            break
        content += chunk
    return bytes(content)
