"""Linux processes: who is whose child, waiting without polling, killing whole trees.

A pid alone can come to mean another process; here a process is signalled through a pidfd
(pidfd_open(2)), or recognised by its pid together with its start time. Facts come from proc(5).
"""

import asyncio
import contextlib
import ctypes
import functools
import os
import select
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from noether_supervisor.records import RunnerProcess

_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37
_MAX_WALKS = 50


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """What /proc/PID/stat tells of a process."""

    pid: int
    state: str
    parent: int
    session: int
    start_ticks: int


def facts_of(pid: int) -> ProcessFacts | None:
    """The facts of a process; None when there is none of that pid any more."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name stands in brackets and may itself hold blanks and brackets.
    fields = text.rpartition(")")[2].split()
    return ProcessFacts(pid, fields[0], int(fields[1]), int(fields[3]), int(fields[19]))


def children_of(pid: int) -> set[int]:
    """The children of a process, zombies included; may miss some while the tree changes."""
    if not _kernel_lists_children():
        return _children_by_search(pid)
    children: set[int] = set()
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                text = (thread / "children").read_text(encoding="ascii")
                children.update(map(int, text.split()))
    return children


def descendants_of(pid: int) -> list[int]:
    """Children, their children and so on; parents stand before their children."""
    found: list[int] = []
    seen = {pid}
    level = [pid]
    while level:
        level = [child for parent in level for child in children_of(parent) if child not in seen]
        seen.update(level)
        found.extend(level)
    return found


def is_below(pid: int, ancestor: int) -> bool:
    """Whether a process descends from another one; a process is not below itself.

    One that is gone cannot be told from that, and counts as below.
    """
    while pid not in (ancestor, 0):
        facts = facts_of(pid)
        if facts is None or facts.parent == ancestor:
            return True
        pid = facts.parent
    return False


def kill_tree(pid: int, pidfd: int) -> None:
    """Kills a process and everything below it; returns without waiting for their end.

    Everything is stopped before anything is killed: a stopped process forks no more. What was
    forked in the instant before goes to the next sub-reaper above and is killed there.
    """
    _send(pidfd, signal.SIGSTOP)
    tree = {pid}
    with contextlib.ExitStack() as opened:
        below: list[int] = []
        for _ in range(_MAX_WALKS):
            fresh = [member for member in descendants_of(pid) if member not in tree]
            if not fresh:
                break
            tree.update(fresh)
            for member in fresh:
                member_fd = opened.enter_context(_opened(member))
                facts = facts_of(member)
                if member_fd is not None and facts is not None and facts.parent in tree:
                    _send(member_fd, signal.SIGSTOP)
                    below.append(member_fd)
        for member_fd in below:
            _send(member_fd, signal.SIGKILL)
        _send(pidfd, signal.SIGKILL)


def end_leftover(leftover: RunnerProcess, *, patience_seconds: float = 5.0) -> bool:
    """Kills the runner that a dead service left behind, with its tree; blocks until it is gone.

    True when there was one. Another process that has come to bear the pid is left alone.
    """
    with _opened(leftover.pid) as pidfd:
        facts = facts_of(leftover.pid)
        if pidfd is None or facts is None or facts.start_ticks != leftover.start_ticks:
            return False
        kill_tree(leftover.pid, pidfd)
        end = select.poll()
        end.register(pidfd, select.POLLIN)
        end.poll(patience_seconds * 1000)
        return True


def terminate(pidfd: int) -> None:
    """Asks a process to end (SIGTERM); nothing happens when it has ended already."""
    _send(pidfd, signal.SIGTERM)


async def gone(pidfd: int, patience_seconds: float | None = None) -> bool:
    """Waits for the end of a process; False when `patience_seconds` passed first."""
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def _ended() -> None:
        if not ended.done():
            ended.set_result(None)

    loop.add_reader(pidfd, _ended)
    try:
        await asyncio.wait_for(ended, patience_seconds)
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(pidfd)
    return True


def reap(pidfd: int) -> int | None:
    """The exit code of an ended child, negative for a signal; None when it is no child of ours."""
    with contextlib.suppress(ChildProcessError):
        found = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
        if found is not None:
            by_signal = found.si_code in (os.CLD_KILLED, os.CLD_DUMPED)
            return -found.si_status if by_signal else found.si_status
    return None


def hide_from_peers() -> None:
    """Refuses other processes of the same user our memory and `/proc/PID/environ` (prctl(2)).

    Stages may be such processes. Signals are not refused by this.
    """
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


class Subreaper:
    """Makes this process the parent of all orphans below it (prctl(2)), and finds the strays.

    Every process of a run lives in a session other than ours, since a runner begins its own and
    nothing can return to an old one. So a child of ours in another session that nobody answers
    for is a stray of a dead runner. Children that other code started plainly are left alone.
    """

    # A fact of the process, as being a sub-reaper is: shared by all launchers in it.
    _known: ClassVar[set[int]] = set()

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._before = ctypes.c_int()

    def open(self) -> None:
        """Orphans come to this process from now on."""
        self._libc.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(self._before), 0, 0, 0)
        self._libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def know(self, pid: int) -> None:
        """Somebody answers for this child from now on."""
        self._known.add(pid)

    def forget(self, pid: int) -> None:
        """Nobody answers for this child any more; it was reaped, or is a stray."""
        self._known.discard(pid)

    async def sweep(self, *, patience_seconds: float = 5.0) -> None:
        """Kills and reaps strays until none is left, or `patience_seconds` have passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_seconds):
                while strays := self._strays():
                    for stray in strays:
                        await _end_child(stray)

    def close(self) -> None:
        """Orphans go where they went before."""
        self._libc.prctl(_PR_SET_CHILD_SUBREAPER, self._before.value, 0, 0, 0)

    def _strays(self) -> list[int]:
        ours = os.getsid(0)
        unknown = children_of(os.getpid()) - self._known
        found = [facts for pid in unknown if (facts := facts_of(pid)) is not None]
        return [facts.pid for facts in found if facts.session != ours]


async def _end_child(pid: int) -> None:
    with _opened(pid) as pidfd:
        if pidfd is not None:
            kill_tree(pid, pidfd)
            await gone(pidfd)
            reap(pidfd)


@contextlib.contextmanager
def _opened(pid: int) -> Iterator[int | None]:
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        yield None
        return
    try:
        yield pidfd
    finally:
        os.close(pidfd)


def _send(pidfd: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        signal.pidfd_send_signal(pidfd, number)


@functools.cache
def _kernel_lists_children() -> bool:
    return Path(f"/proc/self/task/{os.getpid()}/children").exists()


def _children_by_search(pid: int) -> set[int]:
    """For kernels without /proc/PID/task/TID/children: every process that names this parent."""
    names = (path.name for path in Path("/proc").iterdir())
    found = (facts_of(int(name)) for name in names if name.isdigit())
    return {facts.pid for facts in found if facts is not None and facts.parent == pid}
