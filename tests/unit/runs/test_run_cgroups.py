"""Whose cgroup is divided among runs, and what is written there; against folders as the kernel's.

The kernel's own are tried in `tests/integration/test_run_groups.py`.
"""

import os
from pathlib import Path

import pytest

from noether_contract.messages import Limits
from noether_contract.run_groups import folder_in, option_for
from noether_supervisor.runs import cgroups
from noether_supervisor.runs.cgroups import NoGroupsError, RunGroup, RunGroups, own_cgroup
from noether_supervisor.runs.usage import most_processes, most_tree_bytes

MIB = 1024 * 1024
UNIFIED = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
HYBRID = (
    "31 23 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    "33 31 0:30 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
)
CONTAINED = "40 30 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n"


@pytest.mark.parametrize(
    ("memberships", "mounts", "found"),
    [
        ("0::/system.slice/n.service\n", UNIFIED, "/sys/fs/cgroup/system.slice/n.service"),
        ("8:pids:/x\n0::/a b\n", HYBRID, "/sys/fs/cgroup/unified/a b"),
        ("0::/\n", UNIFIED, "/sys/fs/cgroup"),
        ("0::/docker/abc/in\n", CONTAINED, "/sys/fs/cgroup/in"),
        ("0::/docker/abc\n", CONTAINED, "/sys/fs/cgroup"),
        ("0::/docker/abcd\n", CONTAINED, None),
        ("8:pids:/x\n", HYBRID, None),
        ("0::/x\n", "", None),
        ("", "", None),
    ],
)
def test_where_the_own_cgroup_is(memberships: str, mounts: str, found: str | None) -> None:
    assert own_cgroup(memberships, mounts) == (None if found is None else Path(found))


def made(folder: Path, *processes: int, controllers: str = "cpu memory pids") -> Path:
    """A folder as the kernel shows a cgroup below the root."""
    folder.mkdir(parents=True)
    (folder / "cgroup.type").write_text("domain\n")
    (folder / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in processes))
    (folder / "cgroup.controllers").write_text(controllers + "\n")
    (folder / "cgroup.subtree_control").write_text("")
    return folder


def proc_for(folder: Path, own: Path) -> Path:
    """What /proc/self says of a process in that cgroup."""
    proc = folder / "proc"
    proc.mkdir()
    (proc / "cgroup").write_text("0::/\n")
    (proc / "mountinfo").write_text(f"29 23 0:26 / {own} rw - cgroup2 cgroup2 rw\n")
    return proc


def test_a_cgroup_of_ones_own_is_taken(tmp_path: Path) -> None:
    own = made(tmp_path / "own", os.getpid(), controllers="cpu pids")
    leaf = own / "supervisor"
    leaf.mkdir()
    for name in ("cgroup.procs", "cpu.weight"):
        (leaf / name).touch()
    (own / "run-123").mkdir()
    groups = cgroups.take_place(proc_for(tmp_path, own))
    assert groups == RunGroups(str(own), ("pids", "cpu"))
    assert str(groups).endswith("each run's number of processes, share of processors")
    assert (leaf / "cgroup.procs").read_text() == str(os.getpid())
    assert int((leaf / "cpu.weight").read_text()) > 100
    # the kernel takes one after the other; in a file `+cpu` lies over the beginning of `+pids`
    assert (own / "cgroup.subtree_control").read_text() == "+cpus"
    assert not (own / "run-123").exists()


def test_no_controllers(tmp_path: Path) -> None:
    own = made(tmp_path / "own", os.getpid(), controllers="")
    (own / "supervisor").mkdir()
    (own / "supervisor" / "cgroup.procs").write_text("")
    groups = cgroups.take_place(proc_for(tmp_path, own))
    assert groups.controllers == ()
    assert "bounds none" in str(groups)


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    shared = made(tmp_path / "shared", os.getpid(), 1)
    unit = made(tmp_path / "system.slice" / "n.service", os.getpid())
    root = made(tmp_path / "root", os.getpid())
    (root / "cgroup.type").unlink()
    obstacles = {shared: "other processes", root: "root of all cgroups"}
    if os.geteuid() == 0:
        obstacles[unit] = "not delegated"
    for number, (own, obstacle) in enumerate(obstacles.items()):
        place = tmp_path / str(number)
        place.mkdir()
        with pytest.raises(NoGroupsError, match=obstacle):
            cgroups.take_place(proc_for(place, own))
        assert not (own / "supervisor").exists()
    with pytest.raises(NoGroupsError, match="no cgroup v2"):
        cgroups.take_place(tmp_path / "nowhere")


def test_limits_are_written_where_the_kernel_has_them(tmp_path: Path) -> None:
    for name in ("memory.max", "memory.swap.max", "memory.oom.group", "pids.max"):
        (tmp_path / name).touch()
    group = RunGroup(str(tmp_path))
    group.limit(Limits(memory_bytes=100 * MIB, max_processes=10))
    written = {path.name: int(path.read_text()) for path in tmp_path.iterdir()}
    assert written["memory.max"] == most_tree_bytes(100 * MIB)
    assert (written["memory.swap.max"], written["memory.oom.group"]) == (0, 1)
    assert written["pids.max"] == most_processes(10)


def test_without_controllers_nothing_is_written(tmp_path: Path) -> None:
    group = RunGroup(str(tmp_path))
    group.limit(Limits())
    group.kill()
    assert list(tmp_path.iterdir()) == []
    assert group.memory_excess() is None


def test_memory_that_the_kernel_refused(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(f"{300 * MIB}\n")
    (tmp_path / "memory.events").write_text("low 0\nmax 9\noom 1\noom_kill 0\n")
    group = RunGroup(str(tmp_path))
    assert group.memory_excess() is None
    (tmp_path / "memory.events").write_text("low 0\nmax 9\noom 1\noom_kill 2\n")
    assert "300 MiB" in str(group.memory_excess())


def test_a_runner_that_cannot_be_moved_goes_without(tmp_path: Path) -> None:
    assert RunGroups(str(tmp_path / "gone")).of(os.getpid()) is None


def test_the_folder_is_told_by_an_argument() -> None:
    assert (
        folder_in(["python", "-m", "x", option_for("/sys/fs/cgroup/a b")]) == "/sys/fs/cgroup/a b"
    )
    assert folder_in(["python", "-m", "x"]) is None
