"""A cgroup v2 of its own for every run, where the service has been given a place for them.

What it adds to the limits of single processes and to the sampling of whole trees (`usage.py`):
the kernel holds the memory and the number of processes of a run together, at any instant, and
kills all of a run at once, however fast it forks. Without such a place everything else holds as
before. Rules: `runtimes.md` §7.6 and §7.11, cgroups(7), and of systemd that a service touches only
what is delegated to it.

The service moves itself out of the way into `supervisor/`, since a cgroup with processes of its
own cannot pass controllers on; the nursery, started later, comes along.
"""

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from noether_contract.messages import Limits
from noether_contract.run_groups import enter, group_path, write_knob
from noether_supervisor.runs.process import descendants_of
from noether_supervisor.runs.usage import most_processes, most_tree_bytes

CONTROLLERS = ("memory", "pids", "cpu")
"""What the service uses of what it may be given. The last one divides processors among groups
and not among processes: a run of many leaves the service its share."""

OWN_LEAF = "supervisor"

_OWN_CPU_WEIGHT = 1000
"""Ten times that of a run: the service uses little, and that without waiting."""

_UNIT_SUFFIXES = (".service", ".scope", ".slice")
_DELEGATED = ("user.delegate", "trusted.delegate")


class NoGroupsError(Exception):
    """Runs get no cgroups; the text says why, as the second half of a sentence."""


@dataclass(frozen=True, slots=True)
class RunGroup:
    """The cgroup of one run that is there."""

    path: str

    def limit(self, limits: Limits) -> None:
        """Bounds the run's processes together; what the kernel does not offer here is left out."""
        for name, value in (
            ("memory.max", most_tree_bytes(limits.memory_bytes)),
            ("memory.swap.max", 0),
            ("memory.oom.group", 1),
            ("pids.max", most_processes(limits.max_processes)),
        ):
            with contextlib.suppress(OSError):
                write_knob(f"{self.path}/{name}", str(value))

    def kill(self) -> None:
        """Kills everything in it at once (Linux 5.14)."""
        with contextlib.suppress(OSError):
            write_knob(f"{self.path}/cgroup.kill", "1")

    def memory_excess(self) -> str | None:
        """One sentence when the kernel has killed for memory in it."""
        events = _read(f"{self.path}/memory.events").split()
        counts = dict(zip(events[::2], events[1::2], strict=False))
        if counts.get("oom_kill", "0") == "0":
            return None
        most = _read(f"{self.path}/memory.max").strip()
        words = f"{int(most) // (1024 * 1024)} MiB" if most.isdigit() else "the memory there is"
        return (
            f"The processes of the run together used more than {words}, which is what memory_mb "
            "allows them (memory.max of its cgroup)."
        )

    def remove(self) -> None:
        """Removes it, once nothing lives in it."""
        with contextlib.suppress(OSError):
            Path(self.path).rmdir()


@dataclass(frozen=True, slots=True)
class RunGroups:
    """The folder of the cgroups of runs, and the controllers that hold in them."""

    folder: str
    controllers: tuple[str, ...] = ()

    def __str__(self) -> str:
        held = {"memory": "memory", "pids": "number of processes", "cpu": "share of processors"}
        named = ", ".join(held[name] for name in self.controllers)
        what = f"bounds each run's {named}" if named else "kills each run at once, but bounds none"
        return f"cgroups in {self.folder}: the kernel {what}"

    def of(self, pid: int) -> RunGroup | None:
        """The cgroup that a runner has entered, or enters now with all that it has started."""
        group = RunGroup(group_path(self.folder, pid))
        if _holds(group, pid):
            return group
        try:
            enter(group.path, pid)
            moved = {pid}
            # whoever is forked by one that has moved is in it already
            while late := [each for each in descendants_of(pid) if each not in moved]:
                for each in late:
                    with contextlib.suppress(ProcessLookupError):
                        write_knob(f"{group.path}/cgroup.procs", str(each))
                moved.update(late)
        except OSError:
            # it may have entered by itself at the same moment
            return group if _holds(group, pid) else None
        return group

    def sweep(self) -> None:
        """Removes the cgroups in which nothing lives any more."""
        for left in Path(self.folder).glob("run-*"):
            RunGroup(str(left)).remove()


def take_place(processes: Path = Path("/proc/self")) -> RunGroups:
    """Finds the service's own cgroup and makes it the folder of those of its runs.

    Raises `NoGroupsError` when it is not the service's to do so with; nothing is changed then.
    """
    own = own_cgroup(_read(str(processes / "cgroup")), _read(str(processes / "mountinfo")))
    if own is None:
        raise NoGroupsError("there is no cgroup v2 here")
    obstacle = _obstacle(own)
    if obstacle is not None:
        raise NoGroupsError(obstacle)
    leaf = own / OWN_LEAF
    try:
        leaf.mkdir(exist_ok=True)
        write_knob(str(leaf / "cgroup.procs"), str(os.getpid()))
    except OSError as error:
        raise NoGroupsError(f"{leaf} cannot be used: {error.strerror}") from None
    groups = RunGroups(str(own), tuple(_passed_on(own)))
    with contextlib.suppress(OSError):
        write_knob(str(leaf / "cpu.weight"), str(_OWN_CPU_WEIGHT))
    groups.sweep()
    return groups


def own_cgroup(memberships: str, mounts: str) -> Path | None:
    """Where the cgroup of a process is, from its /proc files `cgroup` and `mountinfo`."""
    paths = [line[3:] for line in memberships.splitlines() if line.startswith("0::")]
    for mount in (line.split() for line in mounts.splitlines()):
        if paths and "cgroup2" in mount[mount.index("-") :][1:2]:
            root, point = mount[3].rstrip("/"), mount[4]
            if f"{paths[0]}/".startswith(f"{root}/"):
                return Path(point + paths[0][len(root) :].rstrip("/"))
    return None


def _holds(group: RunGroup, pid: int) -> bool:
    return str(pid) in _read(f"{group.path}/cgroup.procs").split()


def _obstacle(own: Path) -> str | None:
    """Why a cgroup is not the service's own to divide; None when it is."""
    if not (own / "cgroup.type").exists():
        return "the service is in the root of all cgroups, which nobody has given to it"
    if not (os.access(own, os.W_OK) and os.access(own / "cgroup.procs", os.W_OK)):
        return f"{own} cannot be written"
    if own.name.endswith(_UNIT_SUFFIXES) and own.stat().st_uid == 0 and not _is_delegated(own):
        return f"{own} is not delegated (Delegate=yes of the unit)"
    others = {int(pid) for pid in _read(str(own / "cgroup.procs")).split()} - {os.getpid()}
    if others:
        return f"other processes are in {own} as well"
    return None


def _is_delegated(own: Path) -> bool:
    """What systemd writes on a cgroup that it gives away; root could write anywhere."""
    for name in _DELEGATED:
        with contextlib.suppress(OSError):
            if os.getxattr(own, name) == b"1":
                return True
    return False


def _passed_on(own: Path) -> Iterable[str]:
    """The controllers that hold below `own` from now on."""
    offered = _read(str(own / "cgroup.controllers")).split()
    for name in CONTROLLERS:
        if name in offered:
            with contextlib.suppress(OSError):
                write_knob(str(own / "cgroup.subtree_control"), f"+{name}")
                yield name


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
