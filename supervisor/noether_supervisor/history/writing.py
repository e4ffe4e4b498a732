"""Writing to the ledger without losing or reordering anything, whatever the disk does.

Writes hold in the order in which they were handed over: a job's position in the ledger only
moves forward. A write that the database cannot take now (disk full, locked, read-only) is tried
again until it can; whatever came after it waits. A write that the ledger itself refuses is given
back as its error and holds nobody up.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from loguru import logger

from noether_supervisor.errors import HistoryError
from noether_supervisor.storage.connection import Database

T = TypeVar("T")

_SECONDS_BETWEEN_TRIES = 1.0
_TRIES_BETWEEN_LOG_LINES = 60

_Pending = tuple[Callable[[sqlite3.Connection], Any], "asyncio.Future[Any]"]
_Outcome = tuple[Any, Exception | None]


class LedgerWriter:
    """Hands writes to the database one batch at a time; use it on one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pending: deque[_Pending] = deque()
        self._worker: asyncio.Task[None] | None = None

    def write(self, work: Callable[[sqlite3.Connection], T]) -> "asyncio.Future[T]":
        """Queues one write now; the future has its result once it is committed."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        # nobody need wait: an error that no one takes is logged below, not by the loop
        future.add_done_callback(_retrieved)
        self._pending.append((work, future))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work_off())
        return future

    async def settled(self, seconds: float) -> bool:
        """Whether everything handed over was written within so many seconds."""
        if self._worker is None:
            return True
        done, _ = await asyncio.wait({self._worker}, timeout=seconds)
        return bool(done)

    async def _work_off(self) -> None:
        while self._pending:
            batch = list(self._pending)
            self._pending.clear()
            outcomes = await self._carried_through(batch)
            for (_, future), (result, error) in zip(batch, outcomes, strict=True):
                if future.done():
                    continue
                if error is None:
                    future.set_result(result)
                else:
                    logger.error("the ledger refused a write: {}", error)
                    future.set_exception(error)

    async def _carried_through(self, batch: list[_Pending]) -> list[_Outcome]:
        tries = 0
        while True:
            try:
                outcomes = await self._database.run(lambda connection: _attempt(connection, batch))
            except HistoryError as error:
                if tries % _TRIES_BETWEEN_LOG_LINES == 0:
                    logger.error("history cannot be written, trying again: {}", error.message)
                tries += 1
                await asyncio.sleep(_SECONDS_BETWEEN_TRIES)
            else:
                if tries:
                    logger.info("history is written again; nothing was lost")
                return outcomes


def _attempt(connection: sqlite3.Connection, batch: list[_Pending]) -> list[_Outcome]:
    outcomes: list[_Outcome] = []
    for work, _ in batch:
        connection.execute("SAVEPOINT one")
        try:
            outcomes.append((work(connection), None))
        except sqlite3.OperationalError:
            raise  # the database cannot now: the whole batch is tried again
        except Exception as error:  # the ledger, or a mistake in the work: it holds nobody up
            connection.execute("ROLLBACK TO one")
            outcomes.append((None, error))
        connection.execute("RELEASE one")
    return outcomes


def _retrieved(future: "asyncio.Future[Any]") -> None:
    if not future.cancelled():
        future.exception()
