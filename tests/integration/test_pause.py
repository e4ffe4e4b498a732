"""`pause` and `resume`: a job that is not due for a while, over reloads and restarts."""

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from noether_supervisor.history.pauses import paused_jobs
from noether_supervisor.storage.opening import reading
from process_watch import nothing_left
from running_service import Ended, Place, Service, Signpost
from service_stages import MEET, stage

BOTH = pytest.mark.parametrize("serving", [True, False], ids=["serving", "alone"])
SECOND = timedelta(seconds=1)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    it = Place(tmp_path)
    it.graph("one", {"op": "Const", "value": 1})
    it.configure({"name": "rare", "graph": "one.json"})
    with nothing_left():
        yield it


def perhaps_serving(place: Place, serving: bool) -> AbstractContextManager[Service | None]:
    return place.service() if serving else nullcontext()


def say(place: Place, command: str, job: str) -> Ended:
    return place.call("noether-scheduler", command, job)


def status(place: Place, job: str) -> dict[str, Any]:
    (found,) = [each for each in place.json("status") if each["job"] == job]
    return dict(found)


def instants(place: Place, job: str) -> list[datetime]:
    """Every instant that the ledger covers, in order; an entry of several is spread out."""
    covered = []
    for entry in reversed(place.history(job)):
        if not entry["manual"]:
            first = datetime.fromisoformat(entry["due"])
            covered += [first + number * SECOND for number in range(entry["due_count"])]
    return covered


@BOTH
def test_a_paused_job_is_not_due_and_says_so(place: Place, serving: bool) -> None:
    with perhaps_serving(place, serving):
        ended = say(place, "pause", "rare")
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.startswith("rare: paused")
        stands = status(place, "rare")
        assert (stands["paused"], stands["enabled"], stands["next_due"]) == (True, True, None)
        coming = place.call("noether-scheduler", "next", "--job", "rare", "-n", "1").stdout
        assert coming.endswith("  rare (paused)\n")
        assert [each["paused"] for each in place.json("next", "-n", "2")] == [True, True]
        assert "paused" in place.call("noether-scheduler", "status").stdout
        assert say(place, "pause", "rare").stdout == "rare: was paused already\n"
        assert say(place, "resume", "rare").stdout.startswith("rare: resumed; next due ")
        stands = status(place, "rare")
        assert stands["paused"] is False
        assert stands["next_due"] is not None
        assert say(place, "resume", "rare").stdout == "rare: was not paused\n"


@BOTH
def test_a_run_by_hand_means_it(place: Place, serving: bool) -> None:
    with perhaps_serving(place, serving):
        assert say(place, "pause", "rare").returncode == 0
        assert place.run_job("rare").returncode == 0
        assert status(place, "rare")["paused"] is True


@BOTH
def test_a_job_that_nobody_knows(place: Place, serving: bool) -> None:
    with perhaps_serving(place, serving):
        for command in ("pause", "resume"):
            ended = say(place, command, "rear")
            assert (ended.returncode, ended.stdout) == (2, "")
            assert "did you mean 'rare'?" in ended.stderr


def test_a_job_that_the_service_does_not_know_yet(place: Place) -> None:
    with place.service():
        place.configure({"name": "rare", "graph": "one.json"}, {"name": "new", "graph": "one.json"})
        ended = say(place, "pause", "new")
        assert ended.returncode == 2
        assert "reload it" in ended.stderr


def test_a_disabled_job_stays_disabled(place: Place) -> None:
    place.configure({"name": "rare", "graph": "one.json", "enabled": False})
    assert say(place, "pause", "rare").returncode == 0
    assert "disabled in the configuration" in say(place, "resume", "rare").stdout
    assert status(place, "rare")["next_due"] is None


def test_what_is_due_while_it_is_paused_is_not_due(place: Place) -> None:
    place.configure(
        {"name": "often", "cron": "* * * * *", "graph": "one.json", "catch_up": "all"},
        {"name": "other", "cron": "* * * * *", "graph": "one.json"},
    )
    with place.service(every_second=True) as service:
        service.wait_for("ended", "job=often")
        assert say(place, "pause", "often").returncode == 0
        paused_at = datetime.now(UTC)
        service.send(signal.SIGHUP)
        service.wait_for("reloaded")
        others = service.log.count("job=other")
        service.wait_for("job=other", count=others + 6)
        assert status(place, "often")["paused"] is True
        service.send(signal.SIGKILL)
        service.ended()
    with place.service(every_second=True) as service:
        service.wait_for("ended", "job=other", count=2)
        assert "job=often" not in service.log
        resumed_at = datetime.now(UTC)
        assert say(place, "resume", "often").returncode == 0
        service.wait_for("ended", "job=often", count=2)
        assert service.stop() == 0
    covered = instants(place, "often")
    assert len(covered) == len(set(covered))
    assert not [at for at in covered if paused_at < at <= resumed_at]
    before = [at for at in covered if at <= paused_at]
    after = [at for at in covered if at > resumed_at]
    for stretch in (before, after):
        assert stretch == [stretch[0] + number * SECOND for number in range(len(stretch))]
    # Nobody is told anything new: `other` went on all the while, missed or not.
    others_covered = instants(place, "other")
    assert others_covered == [
        others_covered[0] + number * SECOND for number in range(len(others_covered))
    ]


def test_what_was_missed_before_a_pause_without_a_service_is_in_the_ledger(place: Place) -> None:
    place.configure({"name": "often", "cron": "* * * * *", "graph": "one.json", "catch_up": "all"})
    with place.service(every_second=True) as service:
        service.wait_for("ended", "job=often")
        assert service.stop() == 0
    path = place.folder / ".noether/scheduler/history.db"
    # The real clockwork of the command counts minutes; what it has to cover is made long.
    _set_back(path, timedelta(hours=2))
    assert say(place, "pause", "often").returncode == 0
    (missed, *_) = place.history("often")
    assert (missed["status"], missed["reason"]) == ("missed", "service was down")
    assert 119 <= missed["due_count"] <= 121
    with reading(path) as connection:
        assert paused_jobs(connection) == {"often"}
    with place.service(every_second=True) as service:
        assert service.stop() == 0
    assert place.history("often")[0] == missed


def _set_back(path: Path, by: timedelta) -> None:
    """Moves the position of every job into the past, as if the service had been down since."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM ledger")
        connection.execute("UPDATE job SET covered_us = covered_us - ?", (by // SECOND * 10**6,))


def test_a_waiting_fire_of_a_paused_job_is_skipped(place: Place) -> None:
    place.stages(MEET)
    place.graph("meet", stage("meet"))
    here, gate = Signpost(place.folder / "here"), Signpost(place.folder / "gate")
    place.configure(
        {
            "name": "slow",
            "cron": "* * * * *",
            "graph": "meet.json",
            "input": {"here": str(here.path), "gate": str(gate.path)},
            "overlap": "queue",
        }
    )
    with place.service(every_second=True) as service:
        here.reached()
        service.wait_for("waits for a free place")
        assert say(place, "pause", "slow").returncode == 0
        service.wait_for("skipped: job paused")
        gate.wave_on()
        service.wait_for("ended", "job=slow")
        assert service.stop() == 0
    here.close()
    gate.close()
    statuses = [entry["status"] for entry in reversed(place.history("slow"))]
    assert statuses[:2] == ["succeeded", "skipped"]
    assert "running" not in statuses
