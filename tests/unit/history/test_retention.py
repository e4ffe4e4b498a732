"""Letting old entries go."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from history_samples import fire, minute, owed, succeeded
from noether_supervisor.history import ledger, retention
from noether_supervisor.history.deliveries import record_attempt
from noether_supervisor.history.reading import recent
from noether_supervisor.history.retention import (
    Retention,
    jobs_since,
    jobs_with_entries,
    prune,
    prune_jobs,
)
from noether_supervisor.records import Attempt, OwedDelivery
from noether_supervisor.storage.connection import Database

DAY = 1 / (24 * 60)
"""One minute in days: what the samples' fires are apart."""


def ended(
    connection: sqlite3.Connection,
    number: int,
    job: str = "digest",
    call: OwedDelivery | None = None,
) -> int | None:
    return ledger.record_refused(connection, fire(number, job), succeeded(), call)


def minutes(connection: sqlite3.Connection, job: str = "digest") -> list[int]:
    entries = recent(connection, job, limit=10_000)
    return sorted(round((entry.due - minute(0)).total_seconds() / 60) for entry in entries)


def test_the_newest_runs_stay(connection: sqlite3.Connection) -> None:
    for number in range(10):
        ended(connection, number)
    assert prune(connection, "digest", Retention(3, 365, minute(10))) == 7
    assert minutes(connection) == [7, 8, 9]
    assert connection.execute("SELECT count(*) FROM outcome").fetchone() == (3,)
    assert prune(connection, "digest", Retention(3, 365, minute(10))) == 0


def test_what_is_too_old_goes(connection: sqlite3.Connection) -> None:
    for number in range(10):
        ended(connection, number)
    prune(connection, "digest", Retention(1000, 4 * DAY, minute(10)))
    assert minutes(connection) == [6, 7, 8, 9]


def test_an_outage_is_as_old_as_its_last_instant(connection: sqlite3.Connection) -> None:
    ledger.record_missed(connection, "digest", minute(0), minute(2), 3, "service was down")
    ledger.record_missed(connection, "digest", minute(3), minute(9), 7, "service was down")
    prune(connection, "digest", Retention(1000, 4 * DAY, minute(10)))
    assert minutes(connection) == [3]


def test_no_run_at_all_may_be_kept(connection: sqlite3.Connection) -> None:
    ended(connection, 0)
    assert prune(connection, "digest", Retention(0, 365, minute(1))) == 1


def test_what_is_open_or_owed_stays_and_the_position_too(connection: sqlite3.Connection) -> None:
    ledger.record_start(connection, fire(0), minute(0))
    ledger.record_waiting(connection, fire(1))
    delivery_id = ended(connection, 2, call=owed(fire(2)))
    ended(connection, 3)
    ended(connection, 4)
    assert delivery_id is not None
    prune(connection, "digest", Retention(1, 0, minute(100)))
    assert minutes(connection) == [0, 1, 2]
    record_attempt(connection, delivery_id, Attempt("delivered", minute(5), 200))
    prune(connection, "digest", Retention(1, 0, minute(100)))
    assert minutes(connection) == [0, 1]
    assert connection.execute("SELECT count(*) FROM delivery").fetchone() == (0,)
    assert ledger.positions(connection) == {"digest": minute(4)}


def test_jobs_with_similar_names_are_left_alone(connection: sqlite3.Connection) -> None:
    names = ("digest", "digest2", "digestA", "dig", "digest-", "Digest", "digest ü")
    for name in names:
        ended(connection, 0, name)
    assert prune(connection, "digest", Retention(0, 365, minute(1))) == 1
    assert {name for name in names if minutes(connection, name)} == set(names) - {"digest"}
    assert jobs_with_entries(connection) == sorted(names)


def test_pruning_can_be_ended_after_any_entry(connection: sqlite3.Connection) -> None:
    for number in range(5):
        ended(connection, number)
    keep = Retention(1, 365, minute(5))
    assert prune(connection, "digest", keep, is_over=lambda: True) == 1
    assert minutes(connection) == [1, 2, 3, 4]
    assert prune(connection, "digest", keep) == 3


def test_other_writes_come_between_two_slices(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "SLICE_ENTRIES", 1)
    monkeypatch.setattr(retention, "PAUSE_SECONDS", 0)

    def fill(connection: sqlite3.Connection) -> None:
        for number in range(20):
            ended(connection, number, "a")
            ended(connection, number, "b")

    async def scenario() -> None:
        commits: list[str] = []
        with Database.open(path) as database:
            await database.run(fill)
            await database.run(lambda connection: connection.set_trace_callback(commits.append))
            # one that the history does not know is nobody's business
            deleted = await prune_jobs(
                database, ["a", "unknown", "b"], Retention(10, 365, minute(10_000))
            )
            assert deleted == 20
            assert await database.run(lambda history: minutes(history, "a")) == [*range(10, 20)]
            assert await database.run(lambda history: minutes(history, "b")) == [*range(10, 20)]
        assert commits.count("COMMIT") > 20

    asyncio.run(scenario())


def test_jobs_with_new_entries_are_told_from_the_others(connection: sqlite3.Connection) -> None:
    assert jobs_since(connection, 0) == ([], 0)
    ended(connection, 0, "b")
    ended(connection, 1, "a")
    names, newest = jobs_since(connection, 0)
    assert names == ["a", "b"]
    ended(connection, 2, "b")
    assert jobs_since(connection, newest) == (["b"], newest + 1)
