"""Environments that several need at once, and those that a graph needs."""

import fcntl
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from environment_steps import ENTRIES, Steps, done, environments, failure, fill
from noether_contract.outcomes import ErrorClass, ErrorCode
from noether_runner.errors import StageError
from noether_runner.languages.environments import needs
from noether_runner.languages.environments.place import Place
from noether_runner.sandbox.calls import ChildCall, ChildResult, EndedFor
from noether_runner.sandbox.cancellation import CancelSwitch
from noether_runner.sandbox.logs import Log
from stage_samples import sample


@pytest.fixture
def switch() -> Iterator[CancelSwitch]:
    made = CancelSwitch()
    yield made
    made.close()


class Telling(CancelSwitch):
    """Tells when somebody has begun to wait with it."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = threading.Event()

    def wait(self, seconds: float) -> bool:
        self.waits.set()
        return super().wait(seconds)


def locked(place: Place) -> int:
    place.lock.parent.mkdir()
    descriptor = os.open(place.lock, os.O_RDONLY | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def test_waiting_for_another_ends_with_the_run(tmp_path: Path, switch: CancelSwitch) -> None:
    found = environments(tmp_path, Steps())
    descriptor = locked(found.place_of(ENTRIES))
    switch.cancel("interrupted")
    assert failure(found, switch).code is ErrorCode.RUN_INTERRUPTED
    late = CancelSwitch(time.monotonic())
    assert failure(found, late).code is ErrorCode.RUN_TIMED_OUT
    late.close()
    os.close(descriptor)


def test_those_who_waited_get_what_was_built(tmp_path: Path, switch: CancelSwitch) -> None:
    """The other process is played by this one: it has the lock, and builds."""
    found = environments(tmp_path, Steps())
    place = found.place_of(ENTRIES)
    descriptor = locked(place)
    results: list[object] = []
    waiting = threading.Thread(target=lambda: results.append(found.find(ENTRIES, switch)))
    waiting.start()
    fill(place.building)
    place.complete()
    os.close(descriptor)
    waiting.join()
    assert [cast("Any", each).built_seconds for each in results] == [None]


def test_threads_that_waited_share_a_failure(tmp_path: Path) -> None:
    """The build does not end before all others are at the lock."""
    switches = [Telling() for _ in range(4)]
    errors: list[StageError] = []

    def pip(_: ChildCall) -> ChildResult:
        assert all(each.waits.wait(60) for each in switches if each is not steps.asked_by)
        return done(1)

    steps = Steps(pip)
    found = environments(tmp_path, steps)
    started = [
        threading.Thread(target=lambda each=each: errors.append(failure(found, each)))
        for each in switches
    ]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    for each in switches:
        each.close()
    assert [each.message for each in errors] == [errors[0].message] * 4
    assert len(steps.calls) == 2


def stages() -> list[Any]:
    return [
        sample("a", "# requires: tiny==1.0, bad\ndef execute(x): return x\n"),
        sample("b", "# requires: TINY == 1.0\ndef execute(x): return x\n"),
        sample("c", "# requires: other==2\ndef execute(x): return x\n"),
        sample("d", "# requires: tiny==1.0\nexecute() { echo 1; }\n", language="bash"),
        sample("e"),
    ]


def test_each_environment_is_told_once(tmp_path: Path) -> None:
    found = environments(tmp_path, Steps())
    told = cast("list[Mapping[str, Any]]", needs.described(stages(), found))
    assert [each["requires"] for each in told] == [["tiny==1.0"], ["other==2"]]
    assert [each["built"] for each in told] == [False, False]
    warnings = list(needs.environment_warnings(stages(), found))
    told_first = "stage \"a\": the entry 'bad' of '# requires:' is ignored: unpinned"
    assert warnings[0].partition(" (")[0] == told_first
    assert [warning.partition(" (")[0] for warning in warnings[1:]] == [
        f'stage "{name}": its environment' for name in "abc"
    ]


def test_a_failure_stops_no_other_build(tmp_path: Path, switch: CancelSwitch) -> None:
    steps = Steps(lambda call: done(int(b"tiny" in call.payload)))
    found = environments(tmp_path, steps)
    first, second = cast("list[Mapping[str, Any]]", needs.prepared(stages(), found, switch))
    assert first["built"] is False
    assert "pip ended with status 1" in first["error"]
    assert (second["built"], second["path"]) == (
        True,
        str(found.place_of(["other==2"]).directory),
    )
    assert list(needs.environment_warnings(stages()[2:], found)) == []
    (again,) = cast("list[Mapping[str, Any]]", needs.prepared(stages()[2:], found, switch))
    assert "seconds" not in again


def test_nothing_more_is_built_when_the_run_is_over(tmp_path: Path, switch: CancelSwitch) -> None:
    steps = Steps(lambda _: ChildResult(Log(), Log(), ended_for=EndedFor.CANCELLED))
    with pytest.raises(StageError) as caught:
        needs.prepared(stages(), environments(tmp_path, steps), switch)
    assert caught.value.error_class is ErrorClass.CANCELLED


def test_unpinned_entries_are_taken_where_that_is_allowed(tmp_path: Path) -> None:
    found = environments(tmp_path, Steps(), allow_unpinned=True)
    told = cast("list[Mapping[str, Any]]", needs.described(stages()[:1], found))
    assert told[0]["requires"] == ["bad", "tiny==1.0"]
