"""The cgroup of a run: named after the runner's process, entered by the runner itself.

The supervisor has made the folder for them and looks after each (`runs/cgroups.py`); a runner
that the nursery forks ahead of need goes into its own before it has a single child, so whatever a
run starts is in it. Entering costs the kernel several milliseconds, which nobody waits for then.
"""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

_OPTION = "--groups="


def option_for(folder: str) -> str:
    """The argument by which the nursery is told where the cgroups of runs are."""
    return _OPTION + folder


def folder_in(arguments: Iterable[str]) -> str | None:
    """What `option_for` says among other arguments; None without it."""
    told = (word.removeprefix(_OPTION) for word in arguments if word.startswith(_OPTION))
    return next(told, None)


def group_path(folder: str, pid: int) -> str:
    """Where the cgroup of the run with this runner is."""
    return f"{folder}/run-{pid}"


def enter_own_group(folder: str | None) -> None:
    """Puts the calling process into a cgroup of its own; one that cannot have one goes without."""
    if folder is not None:
        with contextlib.suppress(OSError):
            enter(group_path(folder, os.getpid()), os.getpid())


def enter(path: str, pid: int) -> None:
    """Makes a cgroup, in which no earlier process may have left its counts, and moves a process.

    Raises OSError when that is impossible.
    """
    group = Path(path)
    with contextlib.suppress(FileNotFoundError):
        group.rmdir()
    group.mkdir()
    try:
        write_knob(f"{path}/cgroup.procs", str(pid))
    except OSError:
        group.rmdir()
        raise


def remove_group(folder: str | None, pid: int) -> None:
    """Removes the cgroup of a runner, if there is one in which nothing lives any more."""
    if folder is not None:
        with contextlib.suppress(OSError):
            Path(group_path(folder, pid)).rmdir()


def write_knob(path: str, value: str) -> None:
    """Writes one of the kernel's files, which must be there; raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode("ascii"))
    finally:
        os.close(descriptor)
