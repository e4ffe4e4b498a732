"""Finding and ending everything below a process, by `/proc` (`runtimes.md` §7.5).

Standard library only. A process that is a sub-reaper gets every orphan below it as a child, so
nothing escapes: not a double fork, not a session of its own. One pass can miss a process that is
forking at that moment; the callers repeat until no child is left.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterable

OnReaped = Callable[[int, int], None]
"""Called with process id and wait status of every child that was reaped."""


def children_of(pid: int) -> list[int]:
    """The children of a process, zombies included; empty when it is gone."""
    found: list[int] = []
    try:
        threads = _names(f"/proc/{pid}/task")
    except OSError:
        return found
    for thread in threads:
        try:
            found.extend(map(int, _content(f"/proc/{pid}/task/{thread}/children").split()))
        except FileNotFoundError:
            # a thread that has just ended, or a kernel without this file
            if os.access(f"/proc/{pid}/task/{thread}", os.F_OK):
                return _children_by_parent(pid)
        except OSError:
            continue
    return found


def descendants_of(roots: Iterable[int]) -> list[int]:
    """The given processes and all below them, parents before children."""
    found = list(dict.fromkeys(roots))
    seen = set(found)
    for pid in found:
        for child in children_of(pid):
            if child not in seen:
                seen.add(child)
                found.append(child)
    return found


def kill_trees(roots: Iterable[int]) -> list[int]:
    """SIGKILL the given processes and all below them; the ids that were there.

    They are stopped first, so that none can fork while the list is read.
    """
    roots = list(roots)
    for pid in descendants_of(roots):
        send_signal(pid, signal.SIGSTOP)
    found = descendants_of(roots)
    for pid in found:
        send_signal(pid, signal.SIGKILL)
    return found


def reap_ended(on_reaped: OnReaped) -> bool:
    """Reap the children that have ended, without waiting; False when no child is left at all."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True
        on_reaped(pid, status)


def end_all(on_reaped: OnReaped) -> int:
    """Kill and reap everything below the calling process (a sub-reaper); how many were killed."""
    killed: set[int] = set()
    while reap_ended(on_reaped):
        killed.update(kill_trees(children_of(os.getpid())))
        try:
            on_reaped(*os.waitpid(-1, 0))
        except ChildProcessError:
            break
    return len(killed)


def send_signal(pid: int, number: int) -> None:
    """Send a signal to a process that may be gone or not ours."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def start_ticks(pid: int) -> int:
    """When a process started, in clock ticks since boot: field 22 of /proc/PID/stat (proc(5))."""
    return int(_content(f"/proc/{pid}/stat").rpartition(b")")[2].split()[19])


def _children_by_parent(parent: int) -> list[int]:
    """The slow way for kernels built without the list of children: look at every process."""
    found = []
    for name in _names("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                after_name = _content(f"/proc/{name}/stat").rpartition(b")")[2].split()
                if int(after_name[1]) == parent:
                    found.append(int(name))
    return found


def _names(folder: str) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def _content(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(descriptor, 65536):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)
