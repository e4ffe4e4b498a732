"""The commands of `noether-scheduler`, each beside a running service and without one."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from receivers import receiver
from running_service import BIN, Place, Service, Signpost
from service_stages import ECHO, FAIL, MEET, stage

BOTH = pytest.mark.parametrize("serving", [True, False], ids=["serving", "alone"])


@pytest.fixture
def jobs(place: Place) -> Place:
    """Two jobs that never fire by themselves: one that succeeds, one that fails."""
    place.stages(ECHO, FAIL, MEET)
    for name in ("echo", "fail", "meet"):
        place.graph(name, stage(name))
    good = {"name": "good", "graph": "echo.json", "input": {"a": 1}}
    place.configure(good, {"name": "bad", "graph": "fail.json"})
    return place


@contextmanager
def perhaps_serving(place: Place, serving: bool) -> Iterator[Service | None]:
    if not serving:
        yield None
        return
    with place.service() as service:
        yield service
        assert service.stop() == 0


@BOTH
def test_run_is_one_recorded_run_wherever_it_happens(jobs: Place, serving: bool) -> None:
    with perhaps_serving(jobs, serving):
        good, bad = jobs.run_job("good"), jobs.run_job("bad")
        assert (good.returncode, good.stdout) == (0, "good: succeeded\n")
        assert (bad.returncode, bad.stdout) == (1, "bad: failed\n")
        (entry,) = jobs.history("good")
        assert re.fullmatch(r"good@\d{8}T\d{9}Z-manual", entry["run_id"])
        assert (entry["status"], entry["manual"], entry["due_count"]) == ("succeeded", True, 1)
        shown = jobs.show(entry["run_id"])
        assert shown["output"] == {"a": 1}
        assert [each["stage_name"] for each in shown["trace"]["stages"]] == ["echo"]
        (failed,) = jobs.json("history", "--failed")
        assert (failed["job"], failed["error"]["error_class"]) == ("bad", "raised")
        assert "no such luck" in failed["error"]["message"]


@BOTH
def test_a_run_sends_its_webhook_before_the_command_ends_or_the_service_does(
    jobs: Place, serving: bool
) -> None:
    with receiver() as hooks:
        jobs.configure({"name": "good", "graph": "echo.json", "input": 5, "webhook": hooks.url})
        with perhaps_serving(jobs, serving):
            assert jobs.run_job("good").returncode == 0
        told = json.loads(hooks.next_call().body)
        assert hooks.calls.empty()
    (entry,) = jobs.history()
    assert (told["output"], told["fired_at"]) == (5, entry["due"])
    assert entry["delivery"] == "delivered, answered 200"


@BOTH
def test_run_of_a_job_that_nobody_knows(jobs: Place, serving: bool) -> None:
    with perhaps_serving(jobs, serving):
        ended = jobs.run_job("god")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "'god'" in ended.stderr
    assert "good" in ended.stderr


@BOTH
def test_what_is_printed_for_people(jobs: Place, serving: bool) -> None:
    with perhaps_serving(jobs, serving):
        assert "no runs yet" in jobs.call("noether-scheduler", "history").stdout
        jobs.run_job("good")
        jobs.run_job("bad")
        (entry,) = jobs.history("bad")
        status = jobs.call("noether-scheduler", "status")
        history = jobs.call("noether-scheduler", "history")
        show = jobs.call("noether-scheduler", "show", entry["run_id"])
        following = jobs.call("noether-scheduler", "next", "-n", "3")
        check = jobs.call("noether-scheduler", "check")
    for ended in (status, history, show, following, check):
        assert ended.returncode == 0, ended.stderr
        assert "\x1b" not in ended.stdout
    for name in ("good", "bad"):
        assert name in status.stdout
        assert name in history.stdout
    assert entry["run_id"] in show.stdout
    assert "fail" in show.stdout
    assert "no such luck" in show.stdout


@BOTH
def test_what_is_printed_for_programs(jobs: Place, serving: bool) -> None:
    with perhaps_serving(jobs, serving):
        jobs.run_job("good")
        status = {each["job"]: each for each in jobs.json("status")}
        assert status["good"]["last"]["status"] == "succeeded"
        assert status["bad"]["last"] is None
        assert status["good"]["next_due"].endswith("-01-01T00:00:00Z")
        coming = jobs.json("next", "--job", "good", "-n", "2")
        assert [each["job"] for each in coming] == ["good", "good"]
        assert jobs.json("check") == []
        assert isinstance(jobs.show(jobs.history()[0]["run_id"]), dict)


@BOTH
def test_alive_answers_whether_a_service_runs(jobs: Place, serving: bool) -> None:
    with perhaps_serving(jobs, serving):
        ended = jobs.call("noether-scheduler", "status", "--alive")
    assert ended.returncode == (0 if serving else 1)


def test_status_tells_what_is_running(jobs: Place) -> None:
    here, gate = Signpost(jobs.folder / "here"), Signpost(jobs.folder / "gate")
    argument = {"here": str(here.path), "gate": str(gate.path)}
    jobs.configure({"name": "slow", "graph": "meet.json", "input": argument})
    with (
        jobs.service(),
        jobs.started([str(BIN / "noether-scheduler"), "run", "slow"]) as asking,
    ):
        here.reached()
        (status,) = jobs.json("status")
        (entry,) = jobs.history()
        assert (status["running"], status["last"]) == (1, None)
        assert (entry["status"], entry["ended_at"]) == ("running", None)
        gate.wave_on()
        assert asking.ended() == 0
        (status,) = jobs.json("status")
        assert (status["running"], status["last"]["status"]) == (0, "succeeded")
    here.close()
    gate.close()


def test_show_of_a_run_that_nobody_knows(jobs: Place) -> None:
    ended = jobs.call("noether-scheduler", "show", "good@nowhere")
    assert ended.returncode == 2
    assert "good@nowhere" in ended.stderr


@pytest.mark.parametrize("words", ["status", "history", "show x", "run good"])
def test_a_state_directory_that_cannot_be_looked_into(jobs: Place, words: str) -> None:
    # as of a directory of another user, stat(2) of a name in it is an error
    jobs.configure({"name": "good", "graph": "echo.json"}, state_dir="x" * 300)
    ended = jobs.call("noether-scheduler", *words.split())
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "x" * 300 in ended.stderr
    assert "Traceback" not in ended.stderr


def test_check_finds_what_the_first_fire_would(jobs: Place) -> None:
    jobs.graph("wrong", stage("nobody"))
    jobs.configure(
        {"name": "lost", "graph": "nowhere.json"},
        {"name": "wrong", "graph": "wrong.json"},
        {"name": "good", "graph": "echo.json"},
    )
    ended = jobs.call("noether-scheduler", "check", "--json")
    found = {each["job"]: each for each in json.loads(ended.stdout)}
    assert ended.returncode == 1
    assert set(found) == {"lost", "wrong"}
    assert f"{jobs.folder}/nowhere.json" in found["lost"]["message"]
    assert "nobody" in found["wrong"]["message"]


def test_a_second_service_is_refused_and_names_the_first(jobs: Place) -> None:
    with jobs.service() as first:
        second = jobs.call("noether-scheduler")
        assert second.returncode not in (0, None)
        assert f"pid {first.pid}" in second.stderr
        assert jobs.run_job("good").returncode == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "Invalid scheduler config JSON: "),
        ('{"jobs": []}', "no jobs"),
        ('{"jobs": [{"name": "a", "cron": "* * *", "graph": "g"}]}', "jobs[0].cron"),
        ('{"jobs": [{"name": "a", "crn": "* * * * *", "graph": "g"}]}', "cron"),
    ],
)
def test_a_bad_configuration_is_no_service(place: Place, text: str, said: str) -> None:
    (place.folder / "scheduler.json").write_text(text)
    ended = place.call("noether-scheduler")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert said in ended.stderr


def test_a_configuration_that_is_not_there(place: Place) -> None:
    ended = place.call("noether-scheduler", "--config", "nowhere.json")
    assert ended.returncode == 2
    assert f"Failed to read config from {place.folder}/nowhere.json" in ended.stderr


def test_colours_are_for_terminals_that_want_them(jobs: Place) -> None:
    jobs.run_job("good")
    jobs.run_job("bad")

    def said(**wish: str) -> bytes:
        ours, theirs = os.openpty()
        subprocess.run(
            [str(BIN / "noether-scheduler"), "history"],
            cwd=jobs.folder,
            env=jobs.environment(**{"TERM": "xterm", **wish}),
            stdout=theirs,
            check=True,
        )
        os.close(theirs)
        text = os.read(ours, 65536)
        os.close(ours)
        return text

    assert b"\x1b[" in said()
    assert b"\x1b[" not in said(NO_COLOR="1")
    assert b"\x1b[" not in said(TERM="dumb")


def test_log_lines_as_json(jobs: Place) -> None:
    with jobs.service("--log-format", "json", "--log-level", "debug") as service:
        jobs.run_job("good")
        jobs.run_job("bad")
        assert service.stop() == 0
    lines: list[dict[str, Any]] = [json.loads(line) for line in service.lines]
    assert all({"time", "level", "message"} <= line.keys() for line in lines)
    about_runs = [line for line in lines if "run_id" in line]
    assert {line["job"] for line in about_runs} == {"good", "bad"}
    assert {line["status"] for line in about_runs if "status" in line} == {"succeeded", "failed"}
    assert all(line["run_id"].startswith(line["job"] + "@") for line in about_runs)


def test_the_log_level_from_the_environment(jobs: Place) -> None:
    with jobs.started(
        [str(BIN / "noether-scheduler")], environment={"NOETHER_LOG": "error"}
    ) as service:
        while jobs.call("noether-scheduler", "status", "--alive").returncode != 0:
            assert service.process.poll() is None
        jobs.run_job("good")
        jobs.run_job("bad")
        assert service.stop() == 0
    assert [("ERROR" in line, "job=bad" in line) for line in service.lines] == [(True, True)]
