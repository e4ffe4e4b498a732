"""Fires of the clock: overlap, cap, outages; and one test that waits for a true minute."""

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger_reading import SECOND, assert_each_once, covered, instant
from receivers import receiver
from running_service import BIN, Place, Signpost
from service_stages import ECHO, MEET, stage

EVERY = "* * * * *"
"""Every minute; in a service with the quicker clockwork every second."""


@pytest.fixture
def jobs(place: Place) -> Place:
    place.stages(ECHO, MEET)
    for name in ("echo", "meet"):
        place.graph(name, stage(name))
    return place


@pytest.fixture
def posts(tmp_path: Path) -> Iterator[list[Signpost]]:
    """Two pairs of posts: where a stage says that it is there, and where it waits."""
    with ExitStack() as opened:
        made = [Signpost(tmp_path / name) for name in ("here-1", "gate-1", "here-2", "gate-2")]
        for post in made:
            opened.callback(post.close)
        yield made


def slow_job(posts: list[Signpost], **more: Any) -> dict[str, Any]:
    argument = {"here": str(posts[0].path), "gate": str(posts[1].path)}
    return {"name": "slow", "graph": "meet.json", "cron": EVERY, "input": argument, **more}


def test_a_fire_that_is_due_while_its_job_runs_is_skipped(
    jobs: Place, posts: list[Signpost]
) -> None:
    with receiver() as hooks:
        jobs.configure(slow_job(posts, webhook=hooks.url), shutdown_grace=0)
        with jobs.service(every_second=True) as service:
            posts[0].reached()
            service.wait_for("skipped: overlap", "job=slow", count=2)
            posts[1].wave_on()
            service.wait_for("ended", "status=succeeded")
            posts[0].reached()
            posts[1].wave_on()
            service.wait_for("ended", "status=succeeded", count=2)
            assert service.stop() == 0
        entries = jobs.history("slow")
        ran = [entry for entry in entries if entry["status"] == "succeeded"]
        told = [json.loads(hooks.next_call().body)["fired_at"] for _ in ran]
        while not hooks.calls.empty():
            # a run that the stop interrupted may have been told as well
            assert json.loads(hooks.next_call().body)["ok"] is False
    assert sorted(told) == sorted(entry["due"] for entry in ran)
    assert_each_once(covered(entries))
    first = ran[-1]["run_id"]
    skipped = [entry for entry in entries if first in (entry["reason"] or "")]
    assert len(skipped) >= 2
    assert all(entry["started_at"] is None for entry in skipped)


def test_queue_lets_one_fire_wait(jobs: Place, posts: list[Signpost]) -> None:
    jobs.configure(slow_job(posts, overlap="queue"), shutdown_grace=0)
    with jobs.service(every_second=True) as service:
        posts[0].reached()
        service.wait_for("due, waits for a free place")
        service.wait_for("skipped: queue full")
        (status,) = jobs.json("status")
        assert (status["running"], status["waiting"]) == (1, 1)
        posts[1].wave_on()
        posts[0].reached()
        posts[1].wave_on()
        service.wait_for("ended", "status=succeeded", count=2)
        assert service.stop() == 0
    entries = sorted(jobs.history("slow"), key=lambda entry: str(entry["due"]))
    assert [entry["status"] for entry in entries[:2]] == ["succeeded", "succeeded"]
    assert_each_once(covered(entries))


def test_replace_ends_the_run_before(jobs: Place, posts: list[Signpost]) -> None:
    with receiver() as hooks:
        jobs.configure(slow_job(posts, overlap="replace", webhook=hooks.url), shutdown_grace=0)
        with jobs.service(every_second=True) as service:
            posts[0].reached()
            service.wait_for("status=interrupted")
            assert service.stop() == 0
        ran = [entry for entry in jobs.history("slow") if entry["started_at"] is not None]
        told = [json.loads(hooks.next_call().body) for _ in ran]
    assert {body["fired_at"]: body["ok"] for body in told} == {each["due"]: False for each in ran}
    errors = {body["fired_at"]: body["error"] for body in told}
    first = ran[-1]
    assert (first["status"], first["error"]["message"]) == ("interrupted", errors[first["due"]])
    assert "a later fire of its job took its place" in errors[first["due"]]
    entries = jobs.history("slow")
    assert_each_once(covered(entries))


def test_allow_runs_side_by_side(jobs: Place, posts: list[Signpost]) -> None:
    jobs.configure(slow_job(posts, overlap="allow"), max_concurrent_runs=2, shutdown_grace=0)
    with jobs.service(every_second=True) as service:
        posts[0].reached()
        posts[0].reached()
        service.wait_for("due, waits for a free place")
        (status,) = jobs.json("status")
        assert (status["running"], status["waiting"] >= 1) == (2, True)
        posts[1].wave_on()
        service.wait_for("ended", "status=succeeded")
        posts[0].reached()
        assert service.stop() == 0
    assert_each_once(covered(jobs.history("slow")))


def test_due_runs_wait_when_there_is_no_place(jobs: Place, posts: list[Signpost]) -> None:
    first = slow_job(posts, cron="0 0 1 1 *")
    jobs.configure(first, {"name": "other", "graph": "echo.json"}, max_concurrent_runs=1)
    run = [str(BIN / "noether-scheduler"), "run"]
    with jobs.service() as service, jobs.started([*run, "slow"]) as one:
        posts[0].reached()
        with jobs.started([*run, "other"]) as two:
            service.wait_for("due, waits for a free place", "job=other")
            waiting = {each["job"]: each["waiting"] for each in jobs.json("status")}
            assert waiting == {"slow": 0, "other": 1}
            posts[1].wave_on()
            assert (one.ended(), two.ended()) == (0, 0)
        assert service.stop() == 0


@pytest.mark.parametrize("catch_up", ["none", "last", "all"])
def test_what_was_due_while_the_service_was_down(jobs: Place, catch_up: str) -> None:
    job = {"name": "beat", "graph": "echo.json", "cron": EVERY, "input": 1, "overlap": "allow"}
    jobs.configure({**job, "catch_up": catch_up})
    with jobs.service(every_second=True) as service:
        service.wait_for("ended", "status=succeeded")
        assert service.stop() == 0
    last = max(covered(jobs.history("beat")))
    # the command that looks takes a moment, but what must pass is a few seconds of the outage
    while datetime.now(UTC) < last + 4 * SECOND:
        assert jobs.call("noether-scheduler", "status", "--alive").returncode == 1
    with jobs.service(every_second=True) as service:
        service.wait_for("ended", "status=succeeded", count=2)
        assert service.stop() == 0
    entries = jobs.history("beat")
    assert_each_once(covered(entries))
    missed = [entry for entry in entries if entry["status"] == "missed"]
    assert len(missed) == (0 if catch_up == "all" else 1)
    if missed:
        assert "service was down" in missed[0]["reason"]
        assert missed[0]["due_count"] >= (3 if catch_up == "none" else 2)
    assert all(entry["status"] in ("missed", "succeeded") for entry in entries)


def test_a_job_that_is_taken_out_and_put_back_goes_on_where_it_was(jobs: Place) -> None:
    beat = {"name": "beat", "graph": "echo.json", "cron": EVERY, "input": 1, "overlap": "allow"}
    other = {"name": "other", "graph": "echo.json", "input": 2}
    jobs.configure(beat, other)
    with jobs.service(every_second=True) as service:
        service.wait_for("status=succeeded", "job=beat")
        for number in (1, 2):
            jobs.configure(other)
            service.send(signal.SIGHUP)
            service.wait_for("reloaded: 1 jobs", count=number)
            assert jobs.run_job("other").returncode == 0
            ran = sum("job=beat" in line and "status=succeeded" in line for line in service.lines)
            jobs.configure(beat, other)
            service.send(signal.SIGHUP)
            service.wait_for("reloaded: 2 jobs", count=number)
            service.wait_for("status=succeeded", "job=beat", count=ran + 1)
        assert service.stop() == 0
    entries = jobs.history("beat")
    assert_each_once(covered(entries))
    assert {entry["status"] for entry in entries} <= {"succeeded", "missed", "skipped"}
    assert "cannot be recorded" not in service.log


def test_three_jobs_fire_on_a_true_minute(jobs: Place) -> None:
    """The one test that waits for the clock of the wall: at most a minute."""
    names = ["one", "three", "two"]
    with receiver() as hooks:
        jobs.configure(
            *(
                {
                    "name": name,
                    "graph": "echo.json",
                    "cron": EVERY,
                    "input": name,
                    "webhook": hooks.url,
                }
                for name in names
            )
        )
        with jobs.service() as service:
            started = service.wait_for("started: ")
            due = started.partition("first fire ")[2][:20]
            service.wait_for("status=succeeded", count=3)
            for _ in range(2):
                service.wait_for("answered 200", count=3)
            coming = jobs.json("next", "-n", "3")
            assert service.stop() == 0
        told = sorted(
            (json.loads(hooks.next_call().body) for _ in names), key=lambda each: each["job"]
        )
        assert hooks.calls.empty()
    assert [each["job"] for each in told] == names
    assert [each["output"] for each in told] == names
    assert {each["fired_at"] for each in told} == {due}
    assert instant(due).second == 0
    for name in names:
        (entry,) = jobs.history(name)
        assert (entry["status"], entry["due"], entry["manual"]) == ("succeeded", due, False)
        assert entry["run_id"] == f"{name}@{instant(due):%Y%m%dT%H%M%SZ}"
        trace = jobs.show(entry["run_id"])["trace"]
        assert (trace["status"], trace["incomplete"], len(trace["stages"])) == ("Ok", False, 1)
    following = instant(due) + timedelta(minutes=1)
    assert {each["job"] for each in coming} == set(names)
    assert all(instant(each["due"]) >= following for each in coming)
