"""A service that is killed outright, and what the next one makes of what it left."""

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from ledger_reading import assert_each_once, covered
from process_watch import is_dead, living_descendants, wait_for_death
from receivers import Receiver, receiver
from running_service import BIN, Place, Service, Signpost
from service_stages import ECHO, MEET, stage


@pytest.fixture
def posts(tmp_path: Path) -> Iterator[list[Signpost]]:
    with ExitStack() as opened:
        made = [Signpost(tmp_path / name) for name in ("here", "gate")]
        for post in made:
            opened.callback(post.close)
        yield made


@pytest.fixture
def hooks() -> Iterator[Receiver]:
    with receiver() as it:
        yield it


@pytest.fixture
def jobs(place: Place) -> Place:
    place.stages(ECHO, MEET)
    for name in ("echo", "meet"):
        place.graph(name, stage(name))
    return place


def slow_job(posts: list[Signpost], **more: Any) -> dict[str, Any]:
    argument = {"here": str(posts[0].path), "gate": str(posts[1].path)}
    return {"name": "slow", "graph": "meet.json", "input": argument, **more}


def kill(service: Service) -> None:
    service.send(signal.SIGKILL)
    assert service.ended() == -signal.SIGKILL


def test_a_run_that_was_going_is_interrupted_and_told(
    jobs: Place, posts: list[Signpost], hooks: Receiver
) -> None:
    before = living_descendants()
    jobs.configure(slow_job(posts, webhook=hooks.url))
    with jobs.service() as service, jobs.started([str(BIN / "noether-scheduler"), "run", "slow"]):
        pid = int(posts[0].reached())
        kill(service)
        # its processes die with the service, before anybody looks
        assert wait_for_death(pid)
    for left in living_descendants() - before:
        assert wait_for_death(left)
    (entry,) = jobs.history()
    assert (entry["status"], entry["ended_at"], entry["delivery"]) == ("running", None, None)
    assert hooks.calls.empty()
    with jobs.service() as service:
        service.wait_for("interrupted: the service ended while it ran", "job=slow")
        call = hooks.next_call()
        (entry,) = jobs.history()
        assert service.stop() == 0
    told = json.loads(call.body)
    assert list(told) == ["job", "composition_id", "ok", "error", "duration_ms", "fired_at"]
    assert (told["ok"], told["fired_at"]) == (False, entry["due"])
    assert entry["status"] == "interrupted"
    assert entry["ended_at"] is not None
    assert jobs.show(entry["run_id"])["trace"]["incomplete"] is True
    assert hooks.calls.empty()
    # a third service finds nothing to do
    with jobs.service() as service:
        assert service.stop() == 0
    assert len(jobs.history()) == 1
    assert hooks.calls.empty()


def test_a_runner_that_cannot_notice_is_killed_by_the_next_service(
    jobs: Place, posts: list[Signpost]
) -> None:
    jobs.configure(slow_job(posts))
    with jobs.service() as service, jobs.started([str(BIN / "noether-scheduler"), "run", "slow"]):
        pid = int(posts[0].reached())
        service.wait_for("started", "job=slow")
        stage_init, zygote, runner, nursery = psutil.Process(pid).parents()[:4]
        for process in (nursery, runner, zygote, stage_init):
            process.suspend()
        kill(service)
    assert not is_dead(runner.pid)
    with jobs.service() as service:
        service.wait_for("killed what was left of its processes", "job=slow")
        assert wait_for_death(pid)
        for process in (runner, nursery):
            assert wait_for_death(process.pid)
        assert service.stop() == 0


def test_no_instant_is_lost_and_none_fires_twice(jobs: Place, hooks: Receiver) -> None:
    job = {"name": "beat", "graph": "echo.json", "cron": "* * * * *", "input": 1}
    jobs.configure({**job, "overlap": "allow", "webhook": hooks.url})
    for _ in range(2):
        with jobs.service(every_second=True) as service:
            service.wait_for("status=succeeded", count=2)
            kill(service)
    with jobs.service(every_second=True) as service:
        service.wait_for("status=succeeded")
        assert service.stop() == 0
    entries = jobs.history()
    assert_each_once(covered(entries))
    ended = [entry for entry in entries if entry["started_at"] is not None]
    assert {entry["status"] for entry in ended} <= {"succeeded", "interrupted"}
    calls: dict[str, dict[str, Any]] = {}
    while not hooks.calls.empty():
        call = hooks.next_call()
        told = json.loads(call.body)
        # a repeated delivery has the id and the words of the first
        assert calls.setdefault(call.headers["webhook-id"], told) == told
    assert sorted(told["fired_at"] for told in calls.values()) == sorted(
        entry["due"] for entry in ended
    )


def test_a_webhook_that_was_under_way_is_sent_again(jobs: Place) -> None:
    with receiver(slow=True) as hooks:
        jobs.configure({"name": "good", "graph": "echo.json", "input": 1, "webhook": hooks.url})
        with jobs.service() as service:
            assert jobs.run_job("good").returncode == 0
            first = hooks.next_call()
            kill(service)
        (entry,) = jobs.history()
        assert entry["delivery"] == "owed"
        hooks.hold.set()
        with jobs.service() as service:
            second = hooks.next_call()
            service.wait_for("answered 200")
            assert service.stop() == 0
        assert hooks.calls.empty()
    assert second.body == first.body
    assert second.headers["webhook-id"] == first.headers["webhook-id"]
    (entry,) = jobs.history()
    assert entry["delivery"] == "delivered, answered 200"


def test_a_fire_that_waited_starts_in_the_next_service(jobs: Place, posts: list[Signpost]) -> None:
    jobs.configure(
        slow_job(posts), {"name": "other", "graph": "echo.json", "input": 2}, max_concurrent_runs=1
    )
    run = [str(BIN / "noether-scheduler"), "run"]
    with jobs.service() as service, jobs.started([*run, "slow"]):
        posts[0].reached()
        with jobs.started([*run, "other"]) as asking:
            service.wait_for("due, waits for a free place", "job=other")
            # written, not only said
            while [entry["status"] for entry in jobs.history("other")] != ["waiting"]:
                assert service.process.poll() is None
            kill(service)
            assert asking.ended() != 0
            assert "history" in asking.log
    with jobs.service() as service:
        service.wait_for("ended", "job=other", "status=succeeded")
        assert service.stop() == 0
    assert [entry["status"] for entry in jobs.history("other")] == ["succeeded"]
    assert [entry["status"] for entry in jobs.history("slow")] == ["interrupted"]


def test_the_files_of_a_dead_service_are_in_nobodys_way(jobs: Place) -> None:
    jobs.configure({"name": "good", "graph": "echo.json"})
    state = jobs.folder / ".noether" / "scheduler"
    with jobs.service() as service:
        kill(service)
        assert (state / "control.sock").exists()
    assert jobs.call("noether-scheduler", "status", "--alive").returncode == 1
    assert jobs.run_job("good").returncode == 0
    (state / "work" / "left" / "over").mkdir(parents=True)
    with jobs.service() as service:
        assert not (state / "work" / "left").exists()
        assert jobs.run_job("good").returncode == 0
        assert service.stop() == 0
