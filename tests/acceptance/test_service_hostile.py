"""Stages that do harm, as jobs of a running service: each costs its own run, and nothing else."""

import json
import shutil
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ledger_reading import SECOND, assert_each_once, covered, whole_second_after
from noether_supervisor.records import instant_text
from process_watch import living_descendants
from receivers import receiver
from running_service import BIN, Place, Service
from service_stages import ECHO, HOSTILE, Hostile, stage

BEAT = {"name": "beat", "graph": "echo.json", "input": 1, "cron": "* * * * *", "overlap": "allow"}


def hostile_job(place: Place, hostile: Hostile, **more: Any) -> dict[str, Any]:
    place.graph(hostile.name, stage(hostile.name))
    graph = f"{hostile.name}.json"
    return {"name": hostile.name, "graph": graph, "timeout": 30, **dict(hostile.job), **more}


def below(place: Place, service: int) -> list[int]:
    """Processes of the service that still live in a private directory of a run."""
    work = str(place.folder / ".noether" / "scheduler" / "work")
    found = []
    for pid in living_descendants(service):
        try:
            where = str(Path(f"/proc/{pid}/cwd").readlink())
        except OSError:
            continue
        if where.startswith(work):
            found.append(pid)
    return found


def check_ending(hostile: Hostile, shown: dict[str, Any]) -> None:
    """The one terminal record of the run, and a trace that names the stage."""
    assert shown["status"] == hostile.status, shown["error"]
    trace = shown["trace"]
    (call,) = trace["stages"] + trace["open_stages"]
    assert call["stage_name"] == hostile.name
    assert trace["incomplete"] is (trace["stages"] == [])
    if trace["stages"]:
        assert call["error_class"] == hostile.error_class
    if hostile.status != "succeeded":
        assert hostile.name in shown["error"]["message"]


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.name)
def test_a_hostile_stage_costs_its_run_and_nothing_else(place: Place, hostile: Hostile) -> None:
    if hostile.language == "bash" and shutil.which("bash") is None:
        pytest.skip("bash is not there")
    place.stages(ECHO, hostile.spec)
    place.graph("echo", stage("echo"))
    with receiver() as hooks:
        place.configure(
            hostile_job(place, hostile, webhook=hooks.url),
            {"name": "other", "graph": "echo.json", "input": 1},
        )
        with place.service() as service:
            ended = place.run_job(hostile.name)
            assert below(place, service.pid) == []
            assert ended.returncode == (0 if hostile.status == "succeeded" else 1)
            (entry,) = place.history(hostile.name)
            check_ending(hostile, place.show(entry["run_id"]))
            told = json.loads(hooks.next_call().body)
            assert told["ok"] is (hostile.status == "succeeded")
            # whatever it did, the next run is as good as ever
            other = place.run_job("other")
            assert (other.returncode, other.stdout) == (0, "other: succeeded\n"), service.log
            assert service.stop() == 0
        assert hooks.calls.empty()


def test_the_others_fire_on_while_all_of_them_do_harm(place: Place) -> None:
    place.stages(ECHO, *(hostile.spec for hostile in HOSTILE))
    place.graph("echo", stage("echo"))
    # one that kills the nursery may cost runs that are just being started: the test below
    harmful = [hostile for hostile in HOSTILE if not hostile.name.endswith("all_above")]
    jobs = [hostile_job(place, hostile) for hostile in harmful]
    place.configure(BEAT, *jobs, max_concurrent_runs=64)
    run = [str(BIN / "noether-scheduler"), "run"]
    with place.service(every_second=True) as service:
        service.wait_for("status=succeeded", "job=beat")
        due = whole_second_after(datetime.now(UTC))
        with ExitStack() as opened:
            asking = {
                each.name: opened.enter_context(place.started([*run, each.name]))
                for each in harmful
            }
            ends = {name: one.ended() for name, one in asking.items()}
        after = datetime.now(UTC)
        wait_for_beat(service, after)
        assert service.stop() == 0
    assert ends == {each.name: 0 if each.status == "succeeded" else 1 for each in harmful}
    beats = {entry["due"]: entry for entry in place.history("beat")}
    while due <= after:
        entry = beats[instant_text(due)]
        assert (entry["status"], entry["due_count"]) == ("succeeded", 1)
        due += SECOND


def test_a_nursery_that_is_killed_or_stopped_costs_no_fire(place: Place) -> None:
    harmful = [each for each in HOSTILE if each.name.endswith("all_above")]
    place.stages(ECHO, *(each.spec for each in harmful))
    place.graph("echo", stage("echo"))
    place.configure(BEAT, *(hostile_job(place, each) for each in harmful))
    with place.service(every_second=True) as service:
        service.wait_for("status=succeeded", "job=beat")
        for hostile in harmful:
            assert place.run_job(hostile.name).returncode == 1
        wait_for_beat(service, datetime.now(UTC))
        assert service.stop() == 0
    beats = place.history("beat")
    assert_each_once(covered(beats))
    # a run that was just being started when the nursery died may have died with it
    assert {entry["status"] for entry in beats} <= {"succeeded", "crashed"}


def wait_for_beat(service: Service, moment: datetime) -> None:
    """Waits until a fire that was due after a moment has succeeded."""
    due = whole_second_after(moment)
    service.wait_for("ended", f"run_id=beat@{due:%Y%m%dT%H%M%SZ}", "status=succeeded")
