"""SIGKILL at random instants, again and again: nothing is lost, nothing happens twice.

Jobs are due every second. In the end three lists have to agree: the instants that were due, the
entries of the ledger, and the webhooks that arrived. `NOETHER_CHAOS_KILLS` says how often to
kill, `NOETHER_CHAOS_SEED` repeats a run's instants; both are printed with the counts (`-s`).
"""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest

from ledger_reading import SECOND, assert_each_once, covered, whole_second_after
from noether_supervisor.webhooks.payload import webhook_id
from process_watch import living_descendants
from receivers import Call, Receiver, receiver
from running_service import HERE, Place, Service
from service_stages import spec, stage

pytestmark = pytest.mark.chaos

KILLS = int(os.environ.get("NOETHER_CHAOS_KILLS", "25"))
SEED = int(os.environ.get("NOETHER_CHAOS_SEED", random.randrange(2**32)))
LONGEST_LIFE_SECONDS = 3.0
WITHOUT_A_RUN = ("skipped", "missed")

MARKS = spec(
    "marks",
    """
import time

def execute(input):
    with open(input["file"], "a") as file:
        file.write("ran\\n")
    time.sleep(input["seconds"])
    return input["seconds"]
""",
)
"""Leaves a line for each time that it ran, and takes its time."""

JOBS: dict[str, dict[str, Any]] = {
    "quick": {"overlap": "allow", "catch_up": "all", "seconds": 0},
    "patient": {"overlap": "queue", "catch_up": "last", "seconds": 0.7},
    "long": {"overlap": "skip", "catch_up": "none", "seconds": 1.6},
    "replaced": {"overlap": "replace", "catch_up": "none", "seconds": 1.2},
}


def configure(place: Place, url: str, **more: Any) -> None:
    jobs = []
    for name, policy in JOBS.items():
        argument = {"file": str(place.folder / f"{name}.ran"), "seconds": policy["seconds"]}
        job = {"name": name, "graph": "marks.json", "cron": "* * * * *", "input": argument}
        policies = {key: policy[key] for key in ("overlap", "catch_up")}
        jobs.append({**job, **policies, "webhook": url, **more})
    place.configure(*jobs, max_concurrent_runs=8)


@pytest.fixture
def jobs(place: Place) -> Place:
    place.stages(MARKS)
    place.graph("marks", stage("marks"))
    return place


def wait_for_all(service: Service) -> None:
    """Until a run of each job has ended; one that is replaced every second never succeeds."""
    for name in JOBS:
        service.wait_for("ended", f"job={name} ")


def settle(place: Place, hooks: Receiver) -> list[dict[str, Any]]:
    """Lets the last runs end and whatever waits be dropped; the ledger, all of it closed."""
    with place.service(every_second=True) as service:
        wait_for_all(service)
        stopped_at = datetime.now(UTC)
        assert service.stop() == 0
    configure(place, hooks.url, enabled=False)
    with place.service(every_second=True) as service:
        assert service.stop() == 0
    entries = place.history()
    for name in JOBS:
        instants = covered([entry for entry in entries if entry["job"] == name])
        assert_each_once(instants)
        assert instants[-1] >= whole_second_after(stopped_at) - 2 * SECOND
    return entries


def check(place: Place, entries: list[dict[str, Any]], hooks: Receiver, what: str) -> None:
    """Whether due instants, ledger and webhooks agree; prints the counts."""
    statuses = Counter(entry["status"] for entry in entries)
    assert statuses["running"] == statuses["waiting"] == 0
    runs = [entry for entry in entries if entry["status"] not in WITHOUT_A_RUN]
    assert [entry for entry in runs if entry["ended_at"] is None] == []
    assert {entry["delivery"] for entry in runs} == {"delivered, answered 200"}
    calls = [hooks.calls.get_nowait() for _ in range(hooks.calls.qsize())]
    told = _by_id(calls)
    assert told.keys() == {webhook_id(entry["run_id"]) for entry in runs}
    for entry in runs:
        body = told[webhook_id(entry["run_id"])]
        assert (body["job"], body["fired_at"]) == (entry["job"], entry["due"])
        assert body["ok"] is (entry["status"] == "succeeded")
    for name in JOBS:
        mine = [entry for entry in runs if entry["job"] == name]
        ran = len((place.folder / f"{name}.ran").read_text().splitlines())
        # at most once each; one that was killed may have died before its first line
        assert sum(entry["status"] == "succeeded" for entry in mine) <= ran <= len(mine)
    state = place.folder / ".noether" / "scheduler"
    with closing(sqlite3.connect(state / "history.db")) as history:
        assert history.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert not (state / "work").exists() or list((state / "work").iterdir()) == []
    due = sum(entry["due_count"] for entry in entries)
    print(
        f"\nseed {SEED}: {what}; {due} instants of {len(JOBS)} jobs were due, each covered once; "
        f"{len(entries)} entries: {dict(statuses)}; {len(calls)} webhooks arrived for "
        f"{len(runs)} runs, {len(calls) - len(told)} of them repeated"
    )


def _by_id(calls: list[Call]) -> dict[str, dict[str, Any]]:
    told: dict[str, dict[str, Any]] = {}
    for call in calls:
        body = json.loads(call.body)
        assert told.setdefault(call.headers["webhook-id"], body) == body
    return told


def test_the_service_is_killed_again_and_again(jobs: Place) -> None:
    chance = random.Random(SEED)
    command = [sys.executable, str(HERE / "every_second_service.py")]
    starts = 0
    with receiver() as hooks:
        configure(jobs, hooks.url)
        for _ in range(KILLS):
            with jobs.started(command) as service:
                try:
                    code = service.process.wait(chance.uniform(0, LONGEST_LIFE_SECONDS))
                except subprocess.TimeoutExpired:
                    service.send(signal.SIGKILL)
                    code = service.ended()
                assert code == -signal.SIGKILL, service.log
                starts += "started: " in service.log
        entries = settle(jobs, hooks)
        check(jobs, entries, hooks, f"{KILLS} kills, {starts} of them after the start was complete")
    assert {entry["status"] for entry in entries} <= {
        "succeeded",
        "interrupted",
        *WITHOUT_A_RUN,
    }


def test_whatever_is_below_the_service_is_killed_again_and_again(jobs: Place) -> None:
    chance = random.Random(SEED)
    killed = 0
    with receiver() as hooks:
        configure(jobs, hooks.url)
        with jobs.service(every_second=True) as service:
            while killed < KILLS:
                service.wait_for(
                    "ended", f"job={chance.choice(list(JOBS))} ", count=killed // 5 + 1
                )
                below = sorted(living_descendants(service.pid))
                if below:
                    try:
                        os.kill(chance.choice(below), signal.SIGKILL)
                        killed += 1
                    except ProcessLookupError:
                        pass
            wait_for_all(service)
            assert service.stop() == 0
        entries = settle(jobs, hooks)
        check(jobs, entries, hooks, f"{killed} processes below the service were killed")
