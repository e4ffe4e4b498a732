"""The one writer: a thread that owns the connection and commits waiting writes together.

Promises: writes are carried out in the order in which they were handed over; what `run` returned
is committed; a write that fails leaves nothing behind and undoes no other; while nobody writes,
the thread sleeps.
"""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from noether_supervisor.errors import HistoryError
from noether_supervisor.storage.opening import open_for_writing, open_readonly
from noether_supervisor.storage.trouble import database_trouble

__all__ = ["DATABASE_NAME", "Database", "open_readonly"]

DATABASE_NAME = "history.db"
"""Name of the database file in a `state_dir`."""

T = TypeVar("T")

_MOST_IN_ONE_COMMIT = 1000
_COMMITS_BETWEEN_CHECKPOINTS = 100
_CHANGES_BETWEEN_CHECKPOINTS = 500
"""Whichever comes first: starts and ends of runs are many small commits, pruning is a few large."""
_MOST_CHANGES_WITHOUT_CHECKPOINT = 1500
"""Then it is made although something waits: pruning hands over one slice after another."""


@dataclass(frozen=True, slots=True)
class _Write:
    work: Callable[[sqlite3.Connection], Any]
    future: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop


_Settled = tuple["asyncio.Future[Any]", Any, BaseException | None]


class Database:
    """The history database, open for writing; close it, or use it as a context manager.

    It does not keep a second service away: that is `StateLock`'s task, since commands write
    beside the service.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._queue: SimpleQueue[_Write | None] = SimpleQueue()
        self._gate = threading.Lock()
        self._closed = False
        self._commits = 0
        self._changes = 0
        self._thread = threading.Thread(target=self._serve, name="history", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, path: Path) -> "Database":
        """The database at `path`, created or brought up to date; raises `HistoryError`."""
        return cls(path, open_for_writing(path))

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work(connection)` returns, once its writes are committed.

        `work` runs in the writer's thread, in a transaction that it shares with other writes, so
        it must not commit or roll back itself. Its own exceptions come back as they are, SQLite's
        as `HistoryError`. Whoever stops waiting does not take the write back.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._gate:
            if self._closed:
                raise HistoryError(f"the run history {self.path} is closed already")
            self._queue.put(_Write(work, future, loop))
        return await future

    def close(self) -> None:
        """Carry out what was handed over, close the file; a second call does nothing."""
        with self._gate:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, closing = self._gather(first)
            _hand_back(batch, self._commit(batch))
            if closing:
                break
            self._checkpoint_when_quiet()
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()

    def _gather(self, first: _Write) -> tuple[list[_Write], bool]:
        batch = [first]
        while len(batch) < _MOST_IN_ONE_COMMIT:
            try:
                write = self._queue.get_nowait()
            except Empty:
                break
            if write is None:
                return batch, True
            batch.append(write)
        return batch, False

    def _commit(self, batch: list[_Write]) -> list[_Settled]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            settled: list[_Settled] = [(write.future, *self._attempt(write)) for write in batch]
            self._connection.execute("COMMIT")
        except BaseException as error:
            with contextlib.suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            return [(write.future, None, self._told(error)) for write in batch]
        self._commits += 1
        return settled

    def _attempt(self, write: _Write) -> tuple[Any, BaseException | None]:
        self._connection.execute("SAVEPOINT write")
        try:
            result = write.work(self._connection)
        except BaseException as error:
            if not self._connection.in_transaction:
                # A full disk or an I/O error ends the whole transaction: nothing of it holds.
                raise
            self._connection.execute("ROLLBACK TO write")
            self._connection.execute("RELEASE write")
            return None, self._told(error)
        self._connection.execute("RELEASE write")
        return result, None

    def _told(self, error: BaseException) -> BaseException:
        if isinstance(error, sqlite3.Error):
            return database_trouble(error, self.path)
        if isinstance(error, StopIteration):
            # A future refuses this one, and its waiter would wait for ever.
            return RuntimeError("a history function let StopIteration out")
        return error

    def _checkpoint_when_quiet(self) -> None:
        # Copying the log into the database takes some milliseconds: not while a fire waits.
        total = self._connection.total_changes
        changes = total - self._changes
        is_time = (
            self._commits >= _COMMITS_BETWEEN_CHECKPOINTS or changes >= _CHANGES_BETWEEN_CHECKPOINTS
        )
        if is_time and (self._queue.empty() or changes >= _MOST_CHANGES_WITHOUT_CHECKPOINT):
            self._commits, self._changes = 0, total
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _hand_back(batch: list[_Write], settled: list[_Settled]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Settled]] = {}
    for write, outcome in zip(batch, settled, strict=True):
        by_loop.setdefault(write.loop, []).append(outcome)
    for loop, outcomes in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, outcomes)


def _settle(outcomes: list[_Settled]) -> None:
    for future, result, error in outcomes:
        if future.done():  # its waiter was cancelled
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
