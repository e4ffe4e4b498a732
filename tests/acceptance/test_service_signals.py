"""A service that is told to stop or to read its configuration again, and what systemd hears."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from process_watch import is_dead, living_descendants
from receivers import Receiver, receiver
from running_service import BIN, Place, Service, Signpost
from service_stages import ECHO, MEET, spec, stage

STOP_SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
STUBBORN = spec(
    "stubborn",
    """
import os, signal

def execute(input):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open(input["here"], "w") as here:
        here.write(f"{os.getpid()}\\n")
    while True:
        signal.pause()
""",
)


class Posts:
    """The two places where a stage and a test meet."""

    def __init__(self, folder: Path) -> None:
        self.here, self.gate = Signpost(folder / "here"), Signpost(folder / "gate")

    @property
    def argument(self) -> dict[str, str]:
        return {"here": str(self.here.path), "gate": str(self.gate.path)}

    def close(self) -> None:
        self.here.close()
        self.gate.close()


@pytest.fixture
def posts(tmp_path: Path) -> Iterator[Posts]:
    both = Posts(tmp_path)
    yield both
    both.close()


@pytest.fixture
def hooks() -> Iterator[Receiver]:
    with receiver() as it:
        yield it


@pytest.fixture
def jobs(place: Place) -> Place:
    place.stages(ECHO, MEET, STUBBORN)
    for name in ("echo", "meet", "stubborn"):
        place.graph(name, stage(name))
    return place


@contextmanager
def asked(place: Place, job: str) -> Iterator[Service]:
    """Somebody who waits for a run of the job."""
    with place.started([str(BIN / "noether-scheduler"), "run", job]) as asking:
        yield asking


def told(hooks: Receiver) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(hooks.next_call().body)
    return body


@STOP_SIGNALS
def test_a_run_within_the_grace_ends_well(
    jobs: Place, posts: Posts, hooks: Receiver, number: signal.Signals
) -> None:
    slow = {"name": "slow", "graph": "meet.json", "input": posts.argument, "webhook": hooks.url}
    jobs.configure(slow, shutdown_grace=60)
    with jobs.service() as service, asked(jobs, "slow") as asking:
        posts.here.reached()
        service.send(number)
        service.wait_for("stopping; running runs get 60 s")
        posts.gate.wave_on()
        assert (service.ended(), asking.ended()) == (0, 0)
    assert told(hooks)["output"] == "go"
    assert [entry["status"] for entry in jobs.history()] == ["succeeded"]


@pytest.mark.parametrize("name", ["meet", "stubborn"])
def test_a_run_beyond_the_grace_is_interrupted(
    jobs: Place, posts: Posts, hooks: Receiver, name: str
) -> None:
    slow = {"name": "slow", "graph": f"{name}.json", "input": posts.argument}
    jobs.configure({**slow, "webhook": hooks.url}, shutdown_grace=0.2)
    with jobs.service() as service, asked(jobs, "slow") as asking:
        pid = int(posts.here.reached())
        service.send(signal.SIGTERM)
        assert service.ended() == 0
        assert is_dead(pid)
        assert asking.ended() == 1
    body = told(hooks)
    assert (body["ok"], len(body["composition_id"])) == (False, 64)
    (entry,) = jobs.history()
    assert (entry["status"], entry["error"]["message"]) == ("interrupted", body["error"])
    assert "the service was told to stop" in body["error"]
    trace = jobs.show(entry["run_id"])["trace"]
    (call,) = trace["stages"] + trace["open_stages"]
    assert call["stage_name"] == name


def test_a_second_signal_waits_for_nobody(jobs: Place, posts: Posts, hooks: Receiver) -> None:
    slow = {"name": "slow", "graph": "stubborn.json", "input": posts.argument}
    jobs.configure({**slow, "webhook": hooks.url}, shutdown_grace=3600)
    with jobs.service() as service, asked(jobs, "slow") as asking:
        pid = int(posts.here.reached())
        service.send(signal.SIGTERM)
        service.wait_for("stopping; running runs get 3600 s")
        service.send(signal.SIGTERM)
        assert service.ended() == 0
        assert is_dead(pid)
        assert asking.ended() == 1
    assert told(hooks)["ok"] is False
    assert [entry["status"] for entry in jobs.history()] == ["interrupted"]


def test_a_second_signal_does_not_wait_for_a_slow_receiver(jobs: Place) -> None:
    with receiver(slow=True) as hooks:
        jobs.configure({"name": "good", "graph": "echo.json", "webhook": hooks.url})
        with jobs.service() as service:
            assert jobs.run_job("good").returncode == 0
            hooks.next_call()
            service.send(signal.SIGTERM)
            service.wait_for("stopping")
            service.send(signal.SIGTERM)
            assert service.ended() == 0
        # neither answered nor given up: it is owed to the next service
        assert [entry["delivery"] for entry in jobs.history()] == ["owed"]


def test_nothing_is_left_at_the_very_moment_of_the_end(jobs: Place) -> None:
    before = living_descendants()
    jobs.configure({"name": "good", "graph": "echo.json"})
    with jobs.service() as service:
        jobs.run_job("good")
        assert service.stop() == 0
        assert living_descendants() == before
    state = jobs.folder / ".noether" / "scheduler"
    assert not (state / "control.sock").exists()


def test_a_stopping_service_starts_nothing_new(jobs: Place, posts: Posts) -> None:
    slow = {"name": "slow", "graph": "meet.json", "input": posts.argument}
    jobs.configure(slow, {"name": "good", "graph": "echo.json"}, shutdown_grace=60)
    with jobs.service() as service, asked(jobs, "slow") as asking:
        posts.here.reached()
        service.send(signal.SIGTERM)
        service.wait_for("stopping")
        late = jobs.run_job("good")
        assert late.returncode == 2
        assert "stopping" in late.stderr
        posts.gate.wave_on()
        assert (service.ended(), asking.ended()) == (0, 0)


def test_a_good_configuration_is_taken_up(jobs: Place, posts: Posts) -> None:
    slow = {"name": "slow", "graph": "meet.json", "input": posts.argument}
    jobs.configure(slow)
    with jobs.service() as service, asked(jobs, "slow") as asking:
        posts.here.reached()
        jobs.configure({"name": "fresh", "graph": "echo.json", "input": 1})
        service.send(signal.SIGHUP)
        service.wait_for("reloaded: 1 jobs")
        assert jobs.run_job("fresh").returncode == 0
        # the run of a job that is gone goes on
        posts.gate.wave_on()
        assert asking.ended() == 0
        assert service.stop() == 0
    assert {entry["job"]: entry["status"] for entry in jobs.history()} == {
        "slow": "succeeded",
        "fresh": "succeeded",
    }


def test_a_bad_configuration_changes_nothing(jobs: Place) -> None:
    jobs.configure({"name": "good", "graph": "echo.json"})
    sound = (jobs.folder / "scheduler.json").read_text()
    with jobs.service() as service:
        for number, text in enumerate(("{", '{"jobs": [{"name": "good"}]}', '{"jobs": []}')):
            (jobs.folder / "scheduler.json").write_text(text)
            service.send(signal.SIGHUP)
            service.wait_for("not reloaded, the old configuration stays", count=number + 1)
        (jobs.folder / "scheduler.json").unlink()
        service.send(signal.SIGHUP)
        service.wait_for("not reloaded", count=4)
        (jobs.folder / "scheduler.json").write_text(sound)
        assert jobs.run_job("good").returncode == 0
        assert service.stop() == 0


def test_a_graph_that_is_missing_and_then_mended(jobs: Place, hooks: Receiver) -> None:
    jobs.configure(
        {"name": "late", "graph": "late.json", "webhook": hooks.url},
        {"name": "good", "graph": "echo.json"},
    )
    with jobs.service() as service:
        service.wait_for("its fires will fail until this is mended", "job=late", "late.json")
        assert jobs.run_job("late").returncode == 1
        body = told(hooks)
        assert list(body) == ["job", "composition_id", "ok", "error", "duration_ms", "fired_at"]
        assert (body["composition_id"], body["ok"]) == (None, False)
        assert f"{jobs.folder}/late.json" in body["error"]
        assert jobs.run_job("good").returncode == 0
        jobs.graph("late", {"op": "Const", "value": "here"})
        assert jobs.run_job("late").returncode == 0
        assert told(hooks)["output"] == "here"
        # a reload looks at new jobs as the start did, and again at what was broken
        names = {"late": "late.json", "good": "echo.json", "new": "new.json"}
        jobs.configure(*({"name": name, "graph": graph} for name, graph in names.items()))
        service.send(signal.SIGHUP)
        service.wait_for("its graph is mended", "job=late")
        service.wait_for("its fires will fail until this is mended", "job=new", "new.json")
        assert service.stop() == 0


def test_what_systemd_hears(jobs: Place) -> None:
    jobs.configure({"name": "good", "graph": "echo.json"})
    path = jobs.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(path))
        systemd.settimeout(60)

        def hear(word: str) -> str:
            while True:
                message = systemd.recv(4096).decode()
                if word in message:
                    return message

        heard = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "200000"}
        with jobs.service(environment=heard) as service:
            assert hear("READY=1").startswith("READY=1\nSTATUS=1 jobs")
            hear("WATCHDOG=1")
            hear("WATCHDOG=1")
            service.send(signal.SIGHUP)
            assert "MONOTONIC_USEC=" in hear("RELOADING=1")
            hear("READY=1")
            service.send(signal.SIGTERM)
            hear("STOPPING=1")
            assert service.ended() == 0


def test_an_abstract_notify_socket(jobs: Place) -> None:
    jobs.configure({"name": "good", "graph": "echo.json"})
    name = f"noether-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + name)
        systemd.settimeout(60)
        with jobs.service(environment={"NOTIFY_SOCKET": "@" + name}) as service:
            assert systemd.recv(4096).startswith(b"READY=1")
            assert service.stop() == 0
            assert systemd.recv(4096).startswith(b"STOPPING=1")
