"""Stages that do harm, as jobs of a running service: each costs its own run, and nothing else."""

import contextlib
import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ledger_reading import SECOND, assert_each_once, covered, whole_second_after
from noether_supervisor.records import instant_text
from noether_supervisor.runs.process import descendants_of
from process_watch import is_dead, living_descendants, wait_for_death
from quick_commands import read, run_jobs, runs_of
from receivers import receiver
from running_service import Place, Service
from service_stages import ECHO, FLOODS, HOSTILE, Hostile, stage

BEAT = {"name": "beat", "graph": "echo.json", "input": 1, "cron": "* * * * *", "overlap": "allow"}

MOST_GROWTH = 16 * 1024 * 1024
"""What a flood of a million lines may add to the memory of the service."""

SOME = 8
"""Runs that would show a leak of one descriptor each; what a run has open itself is less."""

HARMFUL = [
    hostile
    for hostile in HOSTILE
    # one that ends the nursery may cost runs that are just being started: a test of its own
    if not hostile.name.endswith("all_above")
    and (hostile.language == "python" or shutil.which(hostile.language))
]
ABOVE = [hostile for hostile in HOSTILE if hostile.name.endswith("all_above")]


def hostile_job(place: Place, hostile: Hostile, **more: Any) -> dict[str, Any]:
    place.graph(hostile.name, stage(hostile.name))
    graph = f"{hostile.name}.json"
    return {"name": hostile.name, "graph": graph, "timeout": 60, **dict(hostile.job), **more}


def below(place: Place, service: int) -> list[int]:
    """Processes of the service that still live in a private directory of a run."""
    work = str(place.folder / ".noether" / "scheduler" / "work")
    found = []
    for pid in living_descendants(service):
        with contextlib.suppress(OSError):
            if str(Path(f"/proc/{pid}/cwd").readlink()).startswith(work):
                found.append(pid)
    return found


def check_ending(place: Place, hostile: Hostile) -> None:
    """The one terminal record of its one run, and a trace that names the stage."""
    (shown,) = runs_of(place, hostile.name)
    assert shown["status"] == hostile.status, shown["error"]
    trace = shown["trace"]
    assert trace["incomplete"] is (hostile.error_class is None and hostile.status != "succeeded")
    if not trace["incomplete"]:
        (call,) = trace["stages"]
        assert (call["stage_name"], call["error_class"]) == (hostile.name, hostile.error_class)
    if hostile.status != "succeeded":
        assert hostile.name in shown["error"]["message"]


def memory_of(pid: int) -> tuple[int, int]:
    """Bytes resident now, and at the most so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    facts = dict(line.split(":", 1) for line in lines)
    now, most = (int(facts[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
    return now, most


def descriptors_of(pid: int) -> int:
    """How many are open; 0 for a test that is not root's: the service hides from its peers."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir())) if os.geteuid() == 0 else 0


def zombies_of(pid: int) -> set[int]:
    return {below for below in descendants_of(pid) if is_dead(below)}


def run(place: Place, *hostiles: Hostile) -> None:
    """One run of each, at once, and they end as they have to."""
    ends = run_jobs(place, *(each.name for each in hostiles))
    assert ends == {each.name: each.status for each in hostiles}


def wait_for_beat(service: Service, moment: datetime) -> None:
    """Waits until a fire that was due after a moment has succeeded."""
    due = whole_second_after(moment)
    service.wait_for("ended", f"run_id=beat@{due:%Y%m%dT%H%M%SZ}", "status=succeeded")


def test_each_costs_its_own_run_and_nothing_else(place: Place) -> None:
    """All at once, while a job that is due every second goes on; and no webhook is lost."""
    place.stages(ECHO, *(hostile.spec for hostile in HARMFUL))
    place.graph("echo", stage("echo"))
    with receiver() as hooks:
        # more than one attempt: so many at once may keep a machine from answering in time
        webhook = {"url": hooks.url, "attempts": 10}
        jobs = [hostile_job(place, hostile, webhook=webhook) for hostile in HARMFUL]
        place.configure(BEAT, *jobs, max_concurrent_runs=64)
        with place.service(every_second=True) as service:
            service.wait_for("status=succeeded", "job=beat")
            due = whole_second_after(datetime.now(UTC))
            run(place, *HARMFUL)
            # those of beats end by themselves; nothing else may be there
            assert [pid for pid in below(place, service.pid) if not wait_for_death(pid)] == []
            after = datetime.now(UTC)
            wait_for_beat(service, after)
            told: dict[str, bool] = {}
            while len(told) < len(HARMFUL):
                hook = json.loads(hooks.next_call().body)
                told[hook["job"]] = hook["ok"]
            assert service.stop() == 0
    for hostile in HARMFUL:
        check_ending(place, hostile)
    assert told == {each.name: each.status == "succeeded" for each in HARMFUL}
    beats = {
        entry["due"]: entry
        for entry in read(place, "history", "-n", "1000000")
        if entry["job"] == "beat"
    }
    while due <= after:
        entry = beats[instant_text(due)]
        assert (entry["status"], entry["due_count"]) == ("succeeded", 1)
        due += SECOND


def test_floods_do_not_stay_with_the_service(place: Place) -> None:
    """Its memory is flat, at its peak too; and so are its descriptors."""
    floods = [each for each in FLOODS if each.status == "succeeded" or os.geteuid() == 0]
    place.stages(ECHO, *(flood.spec for flood in floods))
    place.graph("echo", stage("echo"))
    other = Hostile("other", "", status="succeeded")
    jobs = [hostile_job(place, flood) for flood in floods]
    place.configure({"name": "other", "graph": "echo.json"}, *jobs)
    with place.service() as service:
        for _ in range(2):
            run(place, other)
        before, descriptors = memory_of(service.pid), descriptors_of(service.pid)
        for flood in (*floods, *[other] * SOME):
            run(place, flood)
        grown = [now - then for now, then in zip(memory_of(service.pid), before, strict=True)]
        assert max(grown) <= MOST_GROWTH, grown
        assert descriptors_of(service.pid) < descriptors + SOME
        unreaped = zombies_of(service.pid)
        run(place, other)
        assert unreaped & zombies_of(service.pid) == set()
        assert service.stop() == 0
    for flood in floods:
        check_ending(place, flood)


def test_a_nursery_that_is_killed_or_stopped_costs_no_fire(place: Place) -> None:
    place.stages(ECHO, *(each.spec for each in ABOVE))
    place.graph("echo", stage("echo"))
    place.configure(BEAT, *(hostile_job(place, each) for each in ABOVE))
    with place.service(every_second=True) as service:
        service.wait_for("status=succeeded", "job=beat")
        for hostile in ABOVE:
            run(place, hostile)
        wait_for_beat(service, datetime.now(UTC))
        assert service.stop() == 0
    for hostile in ABOVE:
        check_ending(place, hostile)
    beats = read(place, "history", "--job", "beat", "-n", "1000000")
    assert_each_once(covered(beats))
    # a run that was just being started when the nursery died may have died with it
    assert {entry["status"] for entry in beats} <= {"succeeded", "crashed"}
