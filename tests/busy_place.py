"""A busy service for chaos tests, and the comparison that each of them ends with.

Four jobs are due every second, each with another policy. Whatever was done to the service, in the
end three lists have to agree: the instants that were due, the entries of the ledger, the webhooks
that arrived. `compare` returns the counts as an `Account`.
"""

import json
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ledger_reading import SECOND, assert_each_once, covered, whole_second_after
from noether_supervisor.runs.leftovers import carrying
from noether_supervisor.storage.lock import LOCK_NAME
from noether_supervisor.webhooks.payload import webhook_id
from process_watch import command_of, wait_for_death
from receivers import Call, Receiver
from running_service import Place, Service
from service_stages import spec, stage

WITHOUT_A_RUN = ("skipped", "missed")
PEACEFUL = frozenset({"succeeded", "interrupted", *WITHOUT_A_RUN})
"""How entries end when nothing but the service itself is hurt."""

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

Instants = Callable[[list[dict[str, Any]]], list[datetime]]


@dataclass
class Account:
    """What one scenario did, and what it found in the end."""

    what: str
    kills: int = 0
    due: int = 0
    entries: int = 0
    runs: int = 0
    calls: int = 0
    repeated: int = 0
    statuses: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return (
            f"{self.what}; {self.due} instants were due, each covered once; {self.entries} "
            f"entries: {dict(self.statuses)}; {self.calls} webhooks arrived for {self.runs} runs, "
            f"{self.repeated} of them repeated"
        )


def prepare(place: Place) -> None:
    """Store and graph of the jobs."""
    place.stages(MARKS)
    place.graph("marks", stage("marks"))


def configure(place: Place, url: str, *, top: dict[str, Any] | None = None, **more: Any) -> None:
    """The four jobs; `more` are members of each, `top` such of the whole configuration."""
    jobs = []
    for name, policy in JOBS.items():
        argument = {"file": str(place.folder / f"{name}.ran"), "seconds": policy["seconds"]}
        job = {"name": name, "graph": "marks.json", "cron": "* * * * *", "input": argument}
        policies = {key: policy[key] for key in ("overlap", "catch_up")}
        jobs.append({**job, **policies, "webhook": hook_at(url), **more})
    place.configure(*jobs, **{"max_concurrent_runs": 8, **(top or {})})


def hook_at(url: str) -> dict[str, Any]:
    """A webhook whose receiver may take its time, on a machine that is busy with other things."""
    return {"url": url, "timeout": 60}


def wait_for_all(service: Service, count: int = 1) -> None:
    """Until so many runs of each job have ended; one that is replaced never succeeds."""
    for name in JOBS:
        service.wait_for("ended", f"job={name} ", count=count)


def settle(place: Place, url: str, **top: Any) -> list[dict[str, Any]]:
    """Lets the last runs end and whatever waits be dropped; the ledger, all of it closed."""
    configure(place, url, top=top)
    with place.service(every_second=True) as service:
        return finish(place, service, url, **top)


def finish(place: Place, service: Service, url: str, **top: Any) -> list[dict[str, Any]]:
    """The same for a service that still runs, and is to run on as if nothing had been."""
    wait_for_all(service)
    configure(place, url, top=top, enabled=False)
    stopped_at = datetime.now(UTC)
    service.send(signal.SIGHUP)
    service.wait_for("reloaded: ")
    assert service.stop() == 0, service.log
    no_traceback(service.log)
    entries = place.history()
    for name in JOBS:
        instants = covered([entry for entry in entries if entry["job"] == name])
        assert_each_once(instants)
        assert instants[-1] >= whole_second_after(stopped_at) - 2 * SECOND
    return entries


def no_traceback(said: str) -> None:
    """Whether nothing surprised a service or command; what its runners say is in quotes."""
    assert "\nTraceback" not in f"\n{said}", said


def compare(
    place: Place,
    entries: list[dict[str, Any]],
    hooks: Receiver,
    account: Account,
    *,
    allowed: frozenset[str] = PEACEFUL,
    state: Path | None = None,
    delivered: str = "delivered, answered 200",
) -> Account:
    """Whether ledger, webhooks, marks of the stages, database and processes agree; the counts.

    That each due instant is covered once has been looked at already.
    """
    statuses = Counter(entry["status"] for entry in entries)
    assert statuses.keys() <= allowed, statuses
    runs = [entry for entry in entries if entry["status"] not in WITHOUT_A_RUN]
    assert [entry for entry in runs if entry["ended_at"] is None] == []
    others = {entry["delivery"] for entry in runs if not entry["delivery"].startswith(delivered)}
    assert not others, f"expected {delivered!r}, met {others}"
    arrived = [hooks.calls.get_nowait() for _ in range(hooks.calls.qsize())]
    # one that is cut short is none: its caller was killed in the middle of it
    calls = [call for call in arrived if len(call.body) == int(header(call, "content-length"))]
    told = by_id(calls)
    assert told.keys() == {webhook_id(entry["run_id"]) for entry in runs}
    for entry in runs:
        body = told[webhook_id(entry["run_id"])]
        assert (body["job"], body["fired_at"]) == (entry["job"], entry["due"])
        assert body["ok"] is (entry["status"] == "succeeded")
    for marks in place.folder.glob("*.ran"):
        mine = [entry for entry in runs if entry["job"] == marks.stem]
        ran = len(marks.read_text().splitlines())
        # at most once each; one that was killed may have died before its first line
        assert sum(entry["status"] == "succeeded" for entry in mine) <= ran <= len(mine)
    check_state(state or place.folder / ".noether" / "scheduler")
    account.due += sum(entry["due_count"] for entry in entries)
    account.entries += len(entries)
    account.statuses += statuses
    account.runs += len(runs)
    account.calls += len(calls)
    account.repeated += len(calls) - len(told)
    return account


def check_state(state: Path) -> None:
    """Whether a database is intact, and nothing is left of runs: no directory, no process."""
    with closing(sqlite3.connect(state / "history.db")) as history:
        assert history.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert not (state / "work").exists() or list((state / "work").iterdir()) == []
    status = (state / LOCK_NAME).stat()
    for process in carrying(f"{status.st_dev:x}-{status.st_ino:x}"):
        told = command_of(process.pid)
        assert wait_for_death(process.pid), f"{process.pid} is left: {told}"


def by_id(calls: list[Call]) -> dict[str, dict[str, Any]]:
    """The bodies of the calls by their ids; the same id has to bring the same body."""
    told: dict[str, dict[str, Any]] = {}
    for call in calls:
        body = json.loads(call.body)
        assert told.setdefault(header(call, "webhook-id"), body) == body
    return told


def header(call: Call, name: str) -> str:
    """A header of a call; names of headers have no case."""
    return next(value for key, value in call.headers.items() if key.lower() == name)
