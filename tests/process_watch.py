"""Whose processes are left: orphans come to this process, so nothing that a test started escapes.

`nothing_left` makes the test process a sub-reaper (prctl(2)) and compares the tree below it
before and after. What is still dying gets a generous moment; what then lives is named and killed.
"""

import contextlib
import ctypes
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

from noether_supervisor.runs.process import descendants_of, facts_of

PATIENCE_SECONDS = 60
_PR_SET_CHILD_SUBREAPER = 36


@contextlib.contextmanager
def nothing_left() -> Iterator[None]:
    """Fails when a process that was not there before outlives the block."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    before = living_descendants()
    try:
        yield
        left = [told for pid in sorted(living_descendants() - before) if (told := _outlives(pid))]
        assert left == [], f"processes are left: {left}"
    finally:
        _reap_adopted(before)
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def living_descendants(pid: int | None = None) -> set[int]:
    """Every process below one (default: this one) that is not dead already."""
    return {below for below in descendants_of(pid or os.getpid()) if not is_dead(below)}


def is_dead(pid: int) -> bool:
    """Whether a process is gone, or a zombie that somebody has yet to reap."""
    facts = facts_of(pid)
    return facts is None or facts.state in "ZX"


def wait_for_death(pid: int, seconds: float = PATIENCE_SECONDS) -> bool:
    """Waits for the end of a process, whoever's child it is; False when it did not come."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        end = select.poll()
        end.register(pidfd, select.POLLIN)
        return bool(end.poll(seconds * 1000))
    finally:
        os.close(pidfd)


def command_of(pid: int) -> str:
    """The command line of a process, for messages; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        return ""


def _outlives(pid: int) -> str | None:
    command = command_of(pid)
    if wait_for_death(pid):
        return None
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return f"{pid} {command}"


def _reap_adopted(before: set[int]) -> None:
    """Reaps the dead orphans that came to us; our own children are reaped by who started them."""
    for pid in descendants_of(os.getpid()):
        if pid not in before and is_dead(pid):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
