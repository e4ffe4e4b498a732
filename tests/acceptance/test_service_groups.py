"""A service that has been given a cgroup: every run gets its own, and none is left.

Skipped where no cgroup v2 can be made. What only controllers of the kernel's can hold is said
against folders in `tests/unit/runs/test_run_cgroups.py`.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from noether_supervisor.runs.cgroups import own_cgroup
from quick_commands import run_jobs, runs_of
from running_service import BIN, NEVER, Place, Service, Signpost
from service_stages import ECHO, GROWS_BY_PROCESSES, spec, stage

INSIDE = (
    "import os, sys\n"
    "with open(f'{sys.argv[1]}/cgroup.procs', 'w') as procs:\n"
    "    procs.write(str(os.getpid()))\n"
    "os.execv(sys.argv[2], sys.argv[2:])\n"
)

SWARM = spec(
    "swarm",
    """
import os, signal

def execute(input):
    for _ in range(20):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                signal.pause()
            os._exit(0)
    with open(input["here"], "w") as here:
        here.write("grown\\n")
    with open(input["gate"]) as gate:
        gate.readline()
    os._exit(3)
""",
)


@pytest.fixture
def group() -> Iterator[Path]:
    """A cgroup that is nobody's yet, below that of the tests."""
    proc = Path("/proc/self")
    own = own_cgroup((proc / "cgroup").read_text(), (proc / "mountinfo").read_text())
    made = Path() if own is None else own / f"noether-test-{os.getpid()}"
    try:
        made.mkdir()
    except OSError:
        pytest.skip("no cgroup v2 can be made here")
    try:
        yield made
    finally:
        for folder in (*made.iterdir(), made):
            with contextlib.suppress(NotADirectoryError):
                folder.rmdir()


@contextlib.contextmanager
def service_in(group: Path, place: Place) -> Iterator[Service]:
    program = str(BIN / "noether-scheduler")
    with place.started([sys.executable, "-c", INSIDE, str(group), program]) as service:
        service.wait_for("started: ")
        yield service


def members(group: Path) -> set[int]:
    return set(map(int, (group / "cgroup.procs").read_text().split()))


def test_every_run_is_in_a_cgroup_of_its_own(place: Place, group: Path) -> None:
    place.stages(ECHO, SWARM, GROWS_BY_PROCESSES.spec)
    here, gate = Signpost(place.folder / "here"), Signpost(place.folder / "gate")
    meeting = {"here": str(here.path), "gate": str(gate.path)}
    place.configure(
        {"name": "swarm", "graph": place.graph("swarm", stage("swarm")), "input": meeting},
        {"name": "grow", "graph": place.graph("grow", stage(GROWS_BY_PROCESSES.name))}
        | dict(GROWS_BY_PROCESSES.job),
        {"name": "other", "graph": place.graph("echo", stage("echo")), "cron": NEVER},
    )
    with service_in(group, place) as service:
        told = service.wait_for(f"cgroups in {group}: ")
        assert service.pid in members(group / "supervisor")
        # before the first nursery is ready, a runner is started by exec, and moved
        assert run_jobs(place, "other") == {"other": "succeeded"}
        with ThreadPoolExecutor(1) as pool:
            swarming = pool.submit(run_jobs, place, "swarm")
            here.reached()
            (busy,) = [run for run in group.glob("run-*") if len(members(run)) > 20]
            assert service.pid not in members(busy)
            gate.wave_on()
            assert swarming.result() == {"swarm": "failed"}
        assert not busy.exists()
        assert run_jobs(place, "grow") == {"grow": "out_of_memory"}
        (grown,) = runs_of(place, "grow")
        by_kernel = "memory.max" in grown["error"]["message"]
        assert by_kernel is ("memory" in told.split(str(group))[1])
        assert service.stop() == 0
    assert [left.name for left in group.iterdir() if left.is_dir()] == ["supervisor"]
    here.close()
    gate.close()
