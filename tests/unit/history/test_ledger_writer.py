"""Writes that outlast trouble with the disk, in their order."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest
from loguru import logger

from history_samples import fire, minute
from noether_supervisor.errors import HistoryError
from noether_supervisor.history import ledger
from noether_supervisor.history.deliveries import DeliveryBook
from noether_supervisor.history.writing import LedgerWriter
from noether_supervisor.storage.connection import Database

Play = Callable[[Callable[[LedgerWriter, Database], Awaitable[None]]], None]


@pytest.fixture
def play(path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Runs a scenario on a database of its own, impatiently."""
    monkeypatch.setattr("noether_supervisor.storage.opening.BUSY_SECONDS", 0.001)
    monkeypatch.setattr("noether_supervisor.history.writing._SECONDS_BETWEEN_TRIES", 0.001)

    def run(scenario: Callable[[LedgerWriter, Database], Awaitable[None]]) -> None:
        async def main() -> None:
            with Database.open(path) as database:
                await scenario(LedgerWriter(database), database)

        asyncio.run(main())

    return run


def test_writes_hold_in_the_order_in_which_they_were_handed_over(play: Play) -> None:
    async def scenario(writer: LedgerWriter, database: Database) -> None:
        def start(number: int) -> "asyncio.Future[None]":
            return writer.write(
                lambda connection: ledger.record_start(connection, fire(number), minute(number))
            )

        await asyncio.gather(*(start(number) for number in range(50)))
        assert await database.run(ledger.positions) == {"digest": minute(49)}

    play(scenario)


def test_what_the_ledger_refuses_holds_nobody_up(play: Play) -> None:
    def mistake(connection: sqlite3.Connection) -> None:
        ledger.first_seen(connection, "half", minute(0))
        raise TypeError("a mistake")

    def twice(connection: sqlite3.Connection) -> None:
        for _ in range(2):
            connection.execute(
                "INSERT INTO job (name, first_seen_us, covered_us) VALUES ('twice', 0, 0)"
            )

    async def scenario(writer: LedgerWriter, database: Database) -> None:
        futures = [
            writer.write(lambda connection: ledger.record_waiting(connection, fire(5))),
            writer.write(lambda connection: ledger.record_waiting(connection, fire(4))),
            writer.write(mistake),
            writer.write(twice),
            writer.write(lambda connection: ledger.record_waiting(connection, fire(6))),
        ]
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [
            type(None),
            HistoryError,
            TypeError,
            sqlite3.IntegrityError,
            type(None),
        ]
        assert await database.run(ledger.positions) == {"digest": minute(6)}

    play(scenario)


def test_a_database_that_cannot_now_is_asked_again_until_it_can(play: Play, path: Path) -> None:
    async def scenario(writer: LedgerWriter, database: Database) -> None:
        with closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            first = writer.write(lambda connection: ledger.record_waiting(connection, fire(1)))
            second = writer.write(lambda connection: ledger.record_waiting(connection, fire(2)))
            assert not await writer.settled(seconds=0.05)
            assert not first.done()
            other.rollback()
        await asyncio.gather(first, second)
        assert await writer.settled(seconds=30)
        assert await database.run(ledger.positions) == {"digest": minute(2)}

    play(scenario)


def test_without_writes_everything_is_settled(play: Play) -> None:
    async def scenario(writer: LedgerWriter, database: Database) -> None:
        assert await writer.settled(seconds=0)

    play(scenario)


def no_table(connection: sqlite3.Connection) -> None:
    connection.execute("SELECT * FROM nowhere")


def test_a_mistake_in_a_statement_is_given_back_and_holds_nobody_up(play: Play) -> None:
    async def scenario(writer: LedgerWriter, database: Database) -> None:
        mistake = writer.write(no_table)
        other = writer.write(lambda connection: ledger.record_waiting(connection, fire(1)))
        with pytest.raises(sqlite3.OperationalError, match="nowhere"):
            await mistake
        await other
        assert writer.broken is None

    play(scenario)


def lose_a_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("DROP TABLE job")


def scribble(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"?" * (path.stat().st_size - 4096))


@pytest.mark.parametrize("damage", [lose_a_table, scribble])
def test_damage_is_told_once_and_every_write_is_given_back(
    play: Play, path: Path, damage: Callable[[Path], None]
) -> None:
    told: list[str] = []
    broke: list[bool] = []

    async def scenario(writer: LedgerWriter, database: Database) -> None:
        writer.on_broken = lambda: broke.append(True)
        await writer.write(lambda connection: ledger.record_waiting(connection, fire(1)))
        damage(path)
        futures = [
            writer.write(lambda connection: ledger.record_waiting(connection, fire(2))),
            writer.write(lambda connection: ledger.record_waiting(connection, fire(3))),
        ]
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
        assert outcomes == [writer.broken] * 2
        with pytest.raises(HistoryError, match="a new history begins"):
            await writer.write(lambda connection: None)
        assert await writer.settled(seconds=30)

    sink = logger.add(lambda message: told.append(str(message)), level="ERROR")
    try:
        play(scenario)
    finally:
        logger.remove(sink)
    assert len(told) == 1
    assert broke == [True]


def test_whoever_waits_can_be_let_go_and_the_write_is_tried_on(play: Play, path: Path) -> None:
    async def scenario(writer: LedgerWriter, database: Database) -> None:
        with closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = writer.write(lambda connection: ledger.record_waiting(connection, fire(1)))
            writer.let_go()
            assert not waiting.done()
            while not waiting.done():
                await writer.settled(seconds=0.005)
                writer.let_go()
            with pytest.raises(HistoryError):
                await waiting
            other.rollback()
        assert await writer.settled(seconds=30)
        assert await database.run(ledger.positions) == {"digest": minute(1)}

    play(scenario)


def test_a_webhook_waits_for_the_database_too(play: Play, path: Path) -> None:
    async def scenario(writer: LedgerWriter, database: Database) -> None:
        with closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            asked = asyncio.create_task(DeliveryBook(writer).all_pending())
            done, _ = await asyncio.wait({asked}, timeout=0.05)
            assert not done
            other.rollback()
        assert await asked == []

    play(scenario)
