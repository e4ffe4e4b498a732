"""Letting old entries go."""

import asyncio
import sqlite3
from pathlib import Path

from history_samples import fire, minute, owed, succeeded
from noether_supervisor.history import ledger
from noether_supervisor.history.deliveries import record_attempt
from noether_supervisor.history.reading import recent
from noether_supervisor.history.retention import (
    BATCH,
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
    assert prune(connection, "digest", keep_runs=3, keep_days=365, now=minute(10)) == 7
    assert minutes(connection) == [7, 8, 9]
    assert connection.execute("SELECT count(*) FROM outcome").fetchone() == (3,)
    assert prune(connection, "digest", keep_runs=3, keep_days=365, now=minute(10)) == 0


def test_what_is_too_old_goes(connection: sqlite3.Connection) -> None:
    for number in range(10):
        ended(connection, number)
    prune(connection, "digest", keep_runs=1000, keep_days=4 * DAY, now=minute(10))
    assert minutes(connection) == [6, 7, 8, 9]


def test_an_outage_is_as_old_as_its_last_instant(connection: sqlite3.Connection) -> None:
    ledger.record_missed(connection, "digest", minute(0), minute(2), 3, "service was down")
    ledger.record_missed(connection, "digest", minute(3), minute(9), 7, "service was down")
    prune(connection, "digest", keep_runs=1000, keep_days=4 * DAY, now=minute(10))
    assert minutes(connection) == [3]


def test_no_run_at_all_may_be_kept(connection: sqlite3.Connection) -> None:
    ended(connection, 0)
    assert prune(connection, "digest", keep_runs=0, keep_days=365, now=minute(1)) == 1


def test_what_is_open_or_owed_stays_and_the_position_too(connection: sqlite3.Connection) -> None:
    ledger.record_start(connection, fire(0), minute(0))
    ledger.record_waiting(connection, fire(1))
    delivery_id = ended(connection, 2, call=owed(fire(2)))
    ended(connection, 3)
    ended(connection, 4)
    assert delivery_id is not None
    prune(connection, "digest", keep_runs=1, keep_days=0, now=minute(100))
    assert minutes(connection) == [0, 1, 2]
    record_attempt(connection, delivery_id, Attempt("delivered", minute(5), 200))
    prune(connection, "digest", keep_runs=1, keep_days=0, now=minute(100))
    assert minutes(connection) == [0, 1]
    assert connection.execute("SELECT count(*) FROM delivery").fetchone() == (0,)
    assert ledger.positions(connection) == {"digest": minute(4)}


def test_jobs_with_similar_names_are_left_alone(connection: sqlite3.Connection) -> None:
    names = ("digest", "digest2", "digestA", "dig", "digest-", "Digest", "digest ü")
    for name in names:
        ended(connection, 0, name)
    assert prune(connection, "digest", keep_runs=0, keep_days=365, now=minute(1)) == 1
    assert {name for name in names if minutes(connection, name)} == set(names) - {"digest"}
    assert jobs_with_entries(connection) == sorted(names)


def test_much_is_deleted_in_small_batches(path: Path) -> None:
    def fill(connection: sqlite3.Connection) -> None:
        for number in range(BATCH + 50):
            ended(connection, number, "a")
            ended(connection, number, "b")

    async def scenario() -> None:
        commits: list[str] = []
        with Database.open(path) as database:
            await database.run(fill)
            await database.run(lambda connection: connection.set_trace_callback(commits.append))
            deleted = await prune_jobs(database, ["a", "b"], 10, 365, minute(10_000))
            assert deleted == 2 * (BATCH + 40)
            assert await database.run(minutes_of_both) == ([*range(240, 250)], [*range(240, 250)])
        assert commits.count("COMMIT") >= 4

    def minutes_of_both(connection: sqlite3.Connection) -> tuple[list[int], list[int]]:
        return minutes(connection, "a"), minutes(connection, "b")

    asyncio.run(scenario())
