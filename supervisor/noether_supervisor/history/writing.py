"""Writing to the ledger without losing or reordering anything, whatever the disk does.

Writes hold in the order in which they were handed over: a job's position in the ledger only
moves forward. A write that the database cannot take now (disk full, locked, read-only) is tried
again until it can; whatever came after it waits. A write that the ledger itself refuses is given
back as its error and holds nobody up. A database that cannot be written before somebody mends it
(damage, a missing table) is told once, and every write is given back.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from loguru import logger

from noether_supervisor.errors import HistoryError
from noether_supervisor.storage.connection import Database
from noether_supervisor.storage.trouble import is_of_the_file

T = TypeVar("T")

_SECONDS_BETWEEN_TRIES = 1.0
_TRIES_BETWEEN_LOG_LINES = 60

_Pending = tuple[Callable[[sqlite3.Connection], Any], "asyncio.Future[Any]"]
_Outcome = tuple[Any, Exception | None]


class LedgerWriter:
    """Hands writes to the database one batch at a time; use it on one event loop.

    `broken` is the trouble that lasts, once there is one: nothing is written any more.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pending: deque[_Pending] = deque()
        self._batch: list[_Pending] = []
        self._worker: asyncio.Task[None] | None = None
        self._tries = 0
        self.broken: HistoryError | None = None
        self.on_broken: Callable[[], None] = lambda: None

    def write(self, work: Callable[[sqlite3.Connection], T]) -> "asyncio.Future[T]":
        """Queues one write now; the future has its result once it is committed."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        # nobody need wait: an error that no one takes is logged below, not by the loop
        future.add_done_callback(_retrieved)
        if self.broken is not None:
            future.set_exception(self.broken)
            return future
        self._pending.append((work, future))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work_off())
        return future

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The result of one write, once it is committed."""
        return await self.write(work)

    async def settled(self, seconds: float) -> bool:
        """Whether everything handed over was written within so many seconds."""
        if self._worker is None:
            return True
        done, _ = await asyncio.wait({self._worker}, timeout=seconds)
        return bool(done)

    def let_go(self) -> None:
        """Whoever waits for what the database cannot take now waits no longer; it is tried on."""
        if not self._tries:
            return
        for _, future in (*self._batch, *self._pending):
            if not future.done():
                future.set_exception(HistoryError("it could not be written so far", may_pass=True))

    async def _work_off(self) -> None:
        while self._pending:
            self._batch = list(self._pending)
            self._pending.clear()
            outcomes = await self._carried_through(self._batch)
            for (_, future), (result, error) in zip(self._batch, outcomes, strict=True):
                if error is not None and error is not self.broken:
                    logger.error("the ledger refused a write: {}", error)
                if future.done():
                    continue
                if error is None:
                    future.set_result(result)
                else:
                    future.set_exception(error)
        self._batch = []

    async def _carried_through(self, batch: list[_Pending]) -> list[_Outcome]:
        while self.broken is None:
            try:
                outcomes = await self._database.run(lambda connection: _attempt(connection, batch))
            except HistoryError as error:
                if not error.may_pass:
                    self._break(error)
                    break
                if self._tries % _TRIES_BETWEEN_LOG_LINES == 0:
                    logger.error("history cannot be written, trying again: {}", error.message)
                self._tries += 1
                await asyncio.sleep(_SECONDS_BETWEEN_TRIES)
            else:
                if self._tries:
                    logger.info("history is written again; nothing was lost")
                self._tries = 0
                return outcomes
        return [(None, self.broken)] * len(batch)

    def _break(self, error: HistoryError) -> None:
        self.broken = error
        logger.critical("history cannot be written any more: {}", error.message)
        self.on_broken()


def _attempt(connection: sqlite3.Connection, batch: list[_Pending]) -> list[_Outcome]:
    outcomes: list[_Outcome] = []
    for work, _ in batch:
        connection.execute("SAVEPOINT one")
        try:
            outcomes.append((work(connection), None))
        except Exception as error:
            if isinstance(error, sqlite3.Error) and is_of_the_file(error, connection):
                raise  # the database cannot: the whole batch is tried again, or given up
            # the ledger, or a mistake in the work: it holds nobody up
            connection.execute("ROLLBACK TO one")
            outcomes.append((None, error))
        connection.execute("RELEASE one")
    return outcomes


def _retrieved(future: "asyncio.Future[Any]") -> None:
    if not future.cancelled():
        future.exception()
