"""The writer's thread: order, group commit, failures that stay alone, closing."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from history_samples import fire, minute
from noether_supervisor.errors import HistoryError
from noether_supervisor.history import ledger
from noether_supervisor.storage.connection import Database, open_readonly

Work = Callable[[sqlite3.Connection], Any]


def insert(name: str) -> Work:
    return lambda connection: ledger.first_seen(connection, name, minute(0))


def names(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM job ORDER BY name")]


async def together(database: Database, *works: Work) -> list[Any]:
    """The outcomes of works that all wait when the writer turns to them."""
    gate = threading.Event()
    blocking = asyncio.create_task(database.run(lambda _: gate.wait()))
    tasks = [asyncio.create_task(database.run(work)) for work in works]
    await asyncio.sleep(0)  # each task hands its work over
    gate.set()
    await blocking
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_what_run_returned_is_committed(path: Path) -> None:
    async def scenario() -> None:
        with Database.open(path) as database:
            assert await database.run(insert("a")) == minute(0)
            with closing(open_readonly(path)) as reader:
                assert names(reader) == ["a"]

    asyncio.run(scenario())


def test_writes_that_wait_are_committed_together_and_in_order(path: Path) -> None:
    async def scenario() -> list[str]:
        statements: list[str] = []
        with Database.open(path) as database:
            await database.run(lambda connection: connection.set_trace_callback(statements.append))
            await together(database, *(insert(f"job-{number}") for number in range(50)))
        return statements

    statements = asyncio.run(scenario())
    inserts = [text for text in statements if text.startswith("INSERT")]
    assert [f"'job-{number}'" in text for number, text in enumerate(inserts)] == [True] * 50
    between = statements[statements.index(inserts[0]) : statements.index(inserts[-1])]
    assert "COMMIT" not in between


def test_a_failing_write_leaves_nothing_behind_and_undoes_no_other(path: Path) -> None:
    def half(connection: sqlite3.Connection) -> None:
        insert("half")(connection)
        connection.execute("INSERT INTO nowhere VALUES (1)")

    def mistake(connection: sqlite3.Connection) -> None:
        insert("mistake")(connection)
        raise ValueError("a mistake")

    def exhausted(connection: sqlite3.Connection) -> None:
        next(iter(()))

    async def scenario() -> tuple[list[Any], list[str]]:
        with Database.open(path) as database:
            outcomes = await together(
                database, insert("a"), half, insert("b"), mistake, exhausted, insert("c")
            )
            return outcomes, await database.run(names)

    outcomes, found = asyncio.run(scenario())
    assert found == ["a", "b", "c"]
    assert isinstance(outcomes[1], HistoryError)
    assert "no such table: nowhere" in outcomes[1].message
    assert isinstance(outcomes[3], ValueError)
    assert isinstance(outcomes[4], RuntimeError)


def test_a_full_disk_fails_the_writes_it_meets_and_no_later_one(path: Path) -> None:
    def fill(connection: sqlite3.Connection) -> None:
        ledger.record_start(connection, fire(), minute(0))
        connection.execute("UPDATE ledger SET notes = hex(zeroblob(4000000))")

    def limit(pages: int) -> Work:
        return lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()

    async def scenario() -> None:
        with Database.open(path) as database:
            pages = await database.run(
                lambda connection: connection.execute("PRAGMA page_count").fetchone()[0]
            )
            await database.run(limit(pages + 10))
            with pytest.raises(HistoryError, match=r"no space is left .*keep_days"):
                await database.run(fill)
            await database.run(limit(1_000_000))
            await database.run(insert("later"))
            assert await database.run(names) == ["later"]

    asyncio.run(scenario())


def test_a_lock_held_too_long_by_another_program_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("noether_supervisor.storage.opening.BUSY_SECONDS", 0.01)

    async def scenario() -> None:
        with Database.open(path) as database, closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(HistoryError, match="locked for too long"):
                await database.run(insert("a"))
            other.rollback()
            await database.run(insert("b"))
            assert await database.run(names) == ["b"]

    asyncio.run(scenario())


def test_whoever_stops_waiting_does_not_take_the_write_back(path: Path) -> None:
    async def scenario() -> list[str]:
        gate = threading.Event()
        with Database.open(path) as database:
            blocking = asyncio.create_task(database.run(lambda _: gate.wait()))
            task = asyncio.create_task(database.run(insert("a")))
            await asyncio.sleep(0)
            task.cancel()
            gate.set()
            await blocking
            return await database.run(names)

    assert asyncio.run(scenario()) == ["a"]


def test_closing_carries_out_what_was_handed_over_and_refuses_more(path: Path) -> None:
    async def scenario() -> None:
        database = Database.open(path)
        gate = threading.Event()
        tasks = [asyncio.create_task(database.run(lambda _: gate.wait()))]
        tasks += [asyncio.create_task(database.run(insert(f"job-{n}"))) for n in range(5)]
        await asyncio.sleep(0)
        gate.set()
        database.close()
        database.close()
        await asyncio.gather(*tasks)
        with pytest.raises(HistoryError, match="closed already"):
            await database.run(insert("late"))

    asyncio.run(scenario())
    with closing(open_readonly(path)) as reader:
        assert len(names(reader)) == 5
    assert [entry.name for entry in path.parent.iterdir()] == ["history.db"]


def test_many_commits_do_not_let_the_log_grow(path: Path) -> None:
    async def scenario() -> int:
        with Database.open(path) as database:
            for number in range(450):
                await database.run(insert(f"job-{number}"))
            return Path(f"{path}-wal").stat().st_size

    # 450 commits of some pages each: a log without checkpoints would hold them all.
    assert asyncio.run(scenario()) < 450 * 2 * 4096


def test_much_in_few_commits_does_not_let_the_log_grow(path: Path) -> None:
    async def scenario() -> None:
        with Database.open(path) as database:
            for turn in range(40):
                await database.run(partial(a_hundred_waiting, turn))
            # 4,000 entries are more than two megabytes of log
            assert Path(f"{path}-wal").stat().st_size < 1_000_000

    asyncio.run(scenario())


def a_hundred_waiting(turn: int, connection: sqlite3.Connection) -> None:
    for number in range(100):
        ledger.record_waiting(connection, fire(turn * 100 + number))


def test_a_loop_that_is_gone_does_not_disturb_the_writer(path: Path) -> None:
    gate = threading.Event()
    with Database.open(path) as database:

        async def leave_early() -> None:
            task = asyncio.create_task(database.run(lambda _: gate.wait()))
            await asyncio.sleep(0)
            task.cancel()

        asyncio.run(leave_early())
        gate.set()
        assert asyncio.run(database.run(names)) == []
