"""DESIGN §5, the rows about the service: its start, its death, its idleness, ten thousand jobs.

Figures are printed beside what a bare interpreter takes on the same machine at the same time
(`yardstick.py`), never asserted.
"""

import contextlib
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.big_history import count_open, fill, job_name, leave_open
from bench.soak_samples import MB, NURSERY, looks
from bench.yardstick import yardstick_ms
from noether_supervisor.runs.process import children_of, descendants_of
from process_watch import command_of
from running_service import Place, Service

pytestmark = pytest.mark.bench

JOBS = 10_000
ENTRIES_OF_EACH = 100
OPEN_RUNS = 50
STARTS = 5
IDLE_SECONDS = 60.0
SETTLING_SECONDS = 10.0


def configure(place: Place, jobs: int) -> None:
    """Jobs with many different schedules in three zones; none of them is due for months."""
    place.configure(
        *(
            {
                "name": job_name(number),
                "cron": f"{number % 60} {number // 60 % 24} {number % 28 + 1} 1 *",
                "graph": "graph.json",
                "timezone": ("Europe/Madrid", "UTC", "America/New_York")[number % 3],
                "input": {"number": number},
            }
            for number in range(jobs)
        )
    )


@contextlib.contextmanager
def started(place: Place) -> Iterator[tuple[Service, float]]:
    """A service, and the milliseconds from its process to its word that it has started."""
    began = time.perf_counter()
    with place.service() as service:
        yield service, (time.perf_counter() - began) * 1000


def told(what: str, times: list[float], cpu: list[float], bare: list[float], target: str) -> str:
    ratio = statistics.median(own / other for own, other in zip(times, bare, strict=True))
    return (
        f"{what}: {statistics.median(times):.0f} ms ({statistics.median(cpu):.0f} ms of CPU) "
        f"beside {statistics.median(bare):.1f} ms of `python3 -I -c pass`: ratio {ratio:.0f} "
        f"(target {target})"
    )


def test_start_with_ten_thousand_jobs(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.graph("graph", {"op": "Const", "value": 1})
    print()
    for jobs in (1, JOBS):
        configure(place, jobs)
        times, cpu, bare = [], [], []
        for number in range(STARTS + 1):
            bare.append(yardstick_ms())
            with started(place) as (service, took):
                cpu.append(activity(service.pid)[0] * 1000)
                times.append(took)
                if number == 0:
                    print(f"first start with {jobs} jobs, nothing known: {took:.0f} ms")
                assert service.stop() == 0
        what, target = f"start with {jobs} jobs", "10,000 jobs: < 1 s"
        print(told(what, times[1:], cpu[1:], bare[1:], target))


def test_start_after_a_kill_with_a_million_records(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.graph("graph", {"op": "Const", "value": 1})
    configure(place, JOBS)
    state = tmp_path / ".noether" / "scheduler"
    history = state / "history.db"
    fill(history, JOBS, ENTRIES_OF_EACH)
    size = history.stat().st_size / MB
    times, cpu, bare = [], [], []
    for _ in range(STARTS):
        leave_open(history, OPEN_RUNS)
        assert count_open(history) == OPEN_RUNS
        bare.append(yardstick_ms())
        with started(place) as (service, took):
            # "started" is said after recovery: whatever was open is closed by then
            assert count_open(history) == 0
            cpu.append(activity(service.pid)[0] * 1000)
            times.append(took)
            service.process.kill()
            service.ended()
    what = f"start after kill -9, {JOBS} jobs, {JOBS * ENTRIES_OF_EACH} records ({size:.0f} MB)"
    print(f"\n{told(what, times, cpu, bare, '< 1 s')}, {OPEN_RUNS} open runs closed by then")


def test_idle_with_ten_thousand_jobs(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.graph("graph", {"op": "Const", "value": 1})
    print()
    for jobs in (1, JOBS):
        configure(place, jobs)
        with started(place) as (service, _):
            # the look at the graphs, and the runners that are kept ready
            wait(service, SETTLING_SECONDS)
            before = {pid: activity(pid) for pid in (service.pid, *descendants_of(service.pid))}
            wait(service, IDLE_SECONDS)
            for pid, (cpu, wakes) in before.items():
                cpu_now, wakes_now = activity(pid)
                held = looks(pid)
                assert held is not None
                who = role(service.pid, pid)
                print(
                    f"idle with {jobs} jobs, {who}: {held.resident / MB:.0f} MB, "
                    f"{(cpu_now - cpu) * 1000:.0f} ms CPU and {wakes_now - wakes} wake-ups in "
                    f"{IDLE_SECONDS:.0f} s"
                )
            assert service.stop() == 0
    print("(target for the service: < 100 MB, no CPU, a few wake-ups a minute)")


def wait(service: Service, seconds: float) -> None:
    """Lets time pass in which the service is measured; it may not end meanwhile."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        service.process.wait(seconds)
        pytest.fail(service.log)


def activity(pid: int) -> tuple[float, int]:
    """CPU seconds and context switches of a process so far, of all its threads."""
    cpu, switches = 0.0, 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        fields = (thread / "schedstat").read_text().split()
        cpu += int(fields[0]) / 1e9
        lines = (thread / "status").read_text().splitlines()
        switches += sum(int(line.split()[1]) for line in lines if line.startswith("voluntary"))
    return cpu, switches


def role(service: int, pid: int) -> str:
    if pid == service:
        return "service"
    if pid in children_of(service) and NURSERY in command_of(pid):
        return "nursery"
    return "a runner kept ready"
