"""`retry` of a job: attempts of the whole run inside one fire, one record, one webhook."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from process_watch import is_dead, nothing_left
from receivers import receiver
from running_service import Place, Signpost
from service_stages import spec, stage

FLAKY = spec(
    "flaky",
    """
import os

def execute(input):
    with open(input["log"], "a+") as log:
        log.seek(0)
        number = len(log.readlines()) + 1
        log.write(f"{os.environ['TMPDIR']}\\n")
    if number < input["good"]:
        raise ValueError(f"no luck at attempt {number}")
    return number
""",
)

WAITS = spec(
    "waits",
    """
import os

def execute(input):
    with open(input["here"], "w") as here:
        here.write(f"{os.getpid()}\\n")
    with open(input["gate"]) as gate:
        if gate.readline() == "fail\\n":
            raise ValueError("told to fail")
    return "went through"
""",
)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    it = Place(tmp_path)
    it.stages(FLAKY, WAITS)
    for name in ("flaky", "waits"):
        it.graph(name, stage(name))
    with nothing_left():
        yield it
    work = tmp_path / ".noether/scheduler/work"
    assert not work.exists() or list(work.iterdir()) == []


def configure(place: Place, good: int, **members: Any) -> Path:
    log = place.folder / "attempts.log"
    given = {"log": str(log), "good": good}
    place.configure({"name": "again", "graph": "flaky.json", "input": given, **members})
    return log


def test_attempts_go_on_until_one_succeeds_and_are_told_once(place: Place) -> None:
    with receiver() as it:
        retry = {"attempts": 4, "delay": 0.05, "backoff": 1.5}
        log = configure(place, 3, retry=retry, webhook=it.url)
        with place.service() as service:
            ended = place.run_job("again")
            assert (ended.returncode, ended.stdout) == (0, "again: succeeded\n")
            told = json.loads(it.next_call().body)
            assert service.stop() == 0
        assert it.calls.empty()
    assert (told["ok"], told["output"]) == (True, 3)
    folders = log.read_text().splitlines()
    assert len(set(folders)) == 3
    (entry,) = place.history("again")
    shown = place.show(entry["run_id"])
    assert (shown["status"], shown["output"], shown["usage"]["stage_calls"]) == ("succeeded", 3, 3)
    assert len(shown["notes"]) == 3
    for number in (1, 2):
        note = shown["notes"][number - 1]
        assert note.startswith(f"attempt {number} of 4 failed: ")
        assert f"no luck at attempt {number}" in note
        service.wait_for(note[:30], f"run_id={entry['run_id']}")
    assert "this is the end of attempt 3 of 4" in shown["notes"][2]
    assert (told["duration_ms"], told["composition_id"]) == (
        entry["duration_ms"],
        entry["composition_id"],
    )
    assert [each["stage_name"] for each in shown["trace"]["stages"]] == ["flaky"]


def test_after_the_last_attempt_the_fire_has_failed_as_the_last(place: Place) -> None:
    with receiver() as it:
        log = configure(place, 9, retry={"attempts": 2}, webhook=it.url)
        assert place.run_job("again").returncode == 1
        told = json.loads(it.next_call().body)
        assert it.calls.empty()
    assert "no luck at attempt 2" in told["error"]
    assert len(log.read_text().splitlines()) == 2
    (entry,) = place.history("again")
    assert (entry["status"], len(entry["notes"])) == ("failed", 2)
    assert "no luck at attempt 1" in entry["notes"][0]


def test_a_runner_that_dies_and_a_run_that_takes_too_long_are_tried_again(place: Place) -> None:
    place.stages(
        spec(
            "stuck",
            "import signal\n\ndef execute(input):\n    signal.pause()\n",
        )
    )
    place.graph("stuck", stage("stuck"))
    place.configure(
        {"name": "stuck", "graph": "stuck.json", "timeout": 0.3, "retry": {"attempts": 2}}
    )
    assert place.run_job("stuck").returncode == 1
    (entry,) = place.history("stuck")
    assert entry["status"] == "timed_out"
    assert entry["notes"][0].startswith("attempt 1 of 2 timed out: ")


def test_a_graph_that_is_wrong_is_not_tried_again(place: Place) -> None:
    place.write("wrong.json", {"description": "x", "version": "0.1.0", "root": {"op": "Nonsense"}})
    place.configure({"name": "wrong", "graph": "wrong.json", "retry": {"attempts": 5, "delay": 60}})
    assert place.run_job("wrong").returncode == 1
    (entry,) = place.history("wrong")
    assert (entry["status"], entry["notes"]) == ("failed", [])


@pytest.fixture
def posts(place: Place) -> Iterator[tuple[Signpost, Signpost]]:
    here, gate = Signpost(place.folder / "here"), Signpost(place.folder / "gate")
    yield here, gate
    here.close()
    gate.close()


def configure_waits(place: Place, posts: tuple[Signpost, Signpost], **members: Any) -> None:
    given = {"here": str(posts[0].path), "gate": str(posts[1].path)}
    job = {"name": "slow", "graph": "waits.json", "input": given, "timeout": 60, **members}
    place.configure(job, shutdown_grace=60)


def fail(gate: Signpost) -> None:
    """Lets the stage that waits there fail."""
    gate.path.write_text("fail\n")


def test_a_stop_ends_the_wait_for_the_next_attempt(
    place: Place, posts: tuple[Signpost, Signpost]
) -> None:
    here, gate = posts
    with receiver() as it:
        configure_waits(
            place, posts, cron="* * * * *", retry={"attempts": 3, "delay": 3600}, webhook=it.url
        )
        with place.service(every_second=True) as service:
            here.reached()
            fail(gate)
            service.wait_for("attempt 1 of 3 failed", "the next in 3600 s")
            # The fire counts as running: the next one is skipped in its favour.
            service.wait_for("skipped: overlap")
            (first, *_) = reversed(place.history("slow"))
            assert first["status"] == "running"
            assert first["notes"][0].startswith("attempt 1 of 3 failed")
            assert service.stop() == 0
        told = json.loads(it.next_call().body)
        assert it.calls.empty()
    (first, *_) = reversed(place.history("slow"))
    assert first["status"] == "interrupted"
    assert "Attempt 2 of 3 was not made; attempt 1 of 3 failed" in first["error"]["message"]
    assert told["error"] == first["error"]["message"]


def test_a_stop_during_a_later_attempt_ends_that_attempt(
    place: Place, posts: tuple[Signpost, Signpost]
) -> None:
    here, gate = posts
    configure_waits(place, posts, cron="* * * * *", retry={"attempts": 3})
    with place.service(every_second=True) as service:
        here.reached()
        fail(gate)
        second = int(here.reached())
        service.send(signal.SIGTERM)
        service.wait_for("stopping")
        service.send(signal.SIGTERM)  # apart, since two at once may arrive as one
        assert service.ended() == 0
    assert is_dead(second)
    (first, *_) = reversed(place.history("slow"))
    assert first["status"] == "interrupted"
    assert len(first["notes"]) == 2


def test_once_a_stop_is_asked_no_attempt_begins(
    place: Place, posts: tuple[Signpost, Signpost]
) -> None:
    here, gate = posts
    configure_waits(place, posts, cron="* * * * *", retry={"attempts": 3})
    with place.service(every_second=True) as service:
        here.reached()
        service.send(signal.SIGTERM)
        service.wait_for("stopping")
        fail(gate)
        assert service.ended() == 0
    (first, *_) = reversed(place.history("slow"))
    assert first["status"] == "interrupted"
    assert "told to fail" in first["error"]["message"]


def test_a_later_fire_takes_the_place_of_one_that_waits_for_its_next_attempt(
    place: Place, posts: tuple[Signpost, Signpost]
) -> None:
    here, gate = posts
    retry = {"attempts": 2, "delay": 3600}
    # every three seconds: the attempt has failed before the later fire would end it
    configure_waits(place, posts, cron="*/3 * * * *", overlap="replace", retry=retry)
    with place.service(every_second=True) as service:
        here.reached()
        fail(gate)
        service.wait_for("attempt 1 of 2 failed")
        service.wait_for("a later fire of its job took its place. Attempt 2 of 2 was not made")
        service.send(signal.SIGTERM)
        gate.wave_on()
        service.ended()
    (first, *_) = reversed(place.history("slow"))
    assert first["status"] == "interrupted"


def test_a_service_that_died_between_two_attempts_leaves_an_interrupted_fire(
    place: Place, posts: tuple[Signpost, Signpost]
) -> None:
    here, gate = posts
    with receiver() as it:
        retry = {"attempts": 2, "delay": 3600}
        configure_waits(place, posts, cron="* * * * *", retry=retry, webhook=it.url)
        with place.service(every_second=True) as service:
            here.reached()
            fail(gate)
            service.wait_for("attempt 1 of 2 failed")
            service.wait_for("skipped: overlap")
            service.send(signal.SIGKILL)
            service.ended()
        configure_waits(place, posts, retry=retry, webhook=it.url)
        with place.service() as second:
            assert json.loads(it.next_call().body)["ok"] is False
            assert second.stop() == 0
        assert it.calls.empty()
    (first, *_) = reversed(place.history("slow"))
    assert first["status"] == "interrupted"
    assert first["notes"][0].startswith("attempt 1 of 2 failed")
