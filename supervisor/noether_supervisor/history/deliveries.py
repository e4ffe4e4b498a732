"""The outbox's rows: which webhook calls are owed, when, and how each one ended.

A call is owed from the transaction of its run's end until it is delivered or has failed for good;
a crash in between leaves it owed, so it is repeated and never dropped (`scheduler.md` §3).
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from noether_contract.outcomes import RunStatus
from noether_supervisor.errors import UsageError
from noether_supervisor.history.reading import ending_of, show, similar_run_ids
from noether_supervisor.history.rows import from_us, to_us
from noether_supervisor.records import (
    Attempt,
    Delivery,
    Fire,
    OwedDelivery,
    PendingDelivery,
    RunEnding,
)

T = TypeVar("T")

_PENDING = "SELECT entry, receiver, next_us FROM delivery WHERE state = 'owed'"


def owe(connection: sqlite3.Connection, entry: int, owed: OwedDelivery) -> None:
    """The delivery is owed from now on, in the transaction of its run's end."""
    connection.execute(
        "INSERT INTO delivery (entry, receiver, body, most_attempts) VALUES (?, ?, ?, ?)",
        (entry, owed.receiver, owed.body, owed.most_attempts),
    )


def pending_deliveries(connection: sqlite3.Connection) -> list[PendingDelivery]:
    """Every delivery that is owed, the oldest first."""
    return [_pending(*row) for row in connection.execute(f"{_PENDING} ORDER BY entry")]


def pending_delivery(connection: sqlite3.Connection, delivery_id: int) -> PendingDelivery | None:
    """The delivery without its body; None when it is not owed any more."""
    row = connection.execute(f"{_PENDING} AND entry = ?", (delivery_id,)).fetchone()
    return None if row is None else _pending(*row)


def owed_delivery(connection: sqlite3.Connection, delivery_id: int) -> Delivery | None:
    """The delivery with its body; None when it is not owed any more."""
    row = connection.execute(
        "SELECT run_id, job, receiver, body, most_attempts, attempts "
        "FROM delivery JOIN ledger USING (entry) WHERE entry = ? AND state = 'owed'",
        (delivery_id,),
    ).fetchone()
    if row is None:
        return None
    *owed, attempts = row
    return Delivery(delivery_id, OwedDelivery(*owed), attempts)


def record_attempt(connection: sqlite3.Connection, delivery_id: int, attempt: Attempt) -> None:
    """One more attempt was made; nothing changes when the delivery is not owed any more.

    The body goes once it is delivered, and stays when it failed, to be sent again by hand.
    """
    next_us = None if attempt.next_at is None else to_us(attempt.next_at)
    ended_us = None if attempt.state == "owed" else to_us(attempt.at)
    connection.execute(
        "UPDATE delivery SET state = ?1, attempts = attempts + 1, http_status = ?2, problem = ?3, "
        "next_us = ?4, ended_us = ?5, body = CASE ?1 WHEN 'delivered' THEN NULL ELSE body END "
        "WHERE entry = ?6 AND state = 'owed'",
        (attempt.state, attempt.http_status, attempt.problem, next_us, ended_us, delivery_id),
    )


def owe_again(
    connection: sqlite3.Connection,
    run_id: str,
    told: Callable[[Fire, RunEnding, OwedDelivery | None], OwedDelivery | None],
) -> int:
    """Owes the webhook of a run that has ended once more, from its first attempt on; returns it.

    `told(fire, ending, before)` is what is owed, None when there is nobody to tell; `before` is
    what was owed already, if it was, with an empty body once that is gone. A body that was kept is
    sent as it was. Raises `UsageError` for a run that is unknown, has not ended, never ran or has
    no webhook.
    """
    details = show(connection, run_id)
    if details is None:
        near = similar_run_ids(connection, run_id)
        advice = f"did you mean {' or '.join(near)}?" if near else "`history` lists the run ids"
        raise UsageError(f"there is no run {run_id!r}; {advice}")
    status = details.entry.status
    if not status.is_terminal:
        raise UsageError(f"the run {run_id} has not ended; its webhook is sent when it has")
    if status in (RunStatus.SKIPPED, RunStatus.MISSED):
        raise UsageError(f"the fire {run_id} was {status.value}, so there is no run to tell of")
    fire, ending = ending_of(details)
    entry, receiver, body, most_attempts = connection.execute(
        "SELECT entry, receiver, body, most_attempts "
        "FROM ledger LEFT JOIN delivery USING (entry) WHERE run_id = ?",
        (run_id,),
    ).fetchone()
    before = None
    if receiver is not None:
        before = OwedDelivery(run_id, fire.job, receiver, body or b"", most_attempts)
    owed = told(fire, ending, before)
    if owed is None:
        raise UsageError(
            f"there is no webhook to send for {run_id}: its job has none in the configuration"
        )
    connection.execute(
        "INSERT INTO delivery (entry, receiver, body, most_attempts) VALUES (?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET receiver = excluded.receiver, "
        "body = coalesce(delivery.body, excluded.body), most_attempts = excluded.most_attempts, "
        "state = 'owed', attempts = 0, next_us = NULL, "
        "http_status = NULL, problem = NULL, ended_us = NULL",
        (entry, owed.receiver, owed.body, owed.most_attempts),
    )
    return int(entry)


class Runs(Protocol):
    """Carries out a piece of work on the history: a `Database`, or patiently a `LedgerWriter`."""

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What the work returns, once its writes are committed."""
        ...


class DeliveryBook:
    """The functions above as the outbox wants them; `runs` says how patiently."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    async def all_pending(self) -> Sequence[PendingDelivery]:
        """Every delivery that is owed, without its body."""
        return await self._runs.run(pending_deliveries)

    async def pending(self, delivery_id: int) -> PendingDelivery | None:
        """The delivery without its body, unless it is not owed any more."""
        return await self._runs.run(lambda connection: pending_delivery(connection, delivery_id))

    async def owed(self, delivery_id: int) -> Delivery | None:
        """The delivery with its body, unless it is not owed any more."""
        return await self._runs.run(lambda connection: owed_delivery(connection, delivery_id))

    async def attempted(self, delivery_id: int, attempt: Attempt) -> None:
        """One more attempt was made."""
        await self._runs.run(lambda connection: record_attempt(connection, delivery_id, attempt))


def _pending(entry: int, receiver: str, next_us: int | None) -> PendingDelivery:
    return PendingDelivery(entry, receiver, None if next_us is None else from_us(next_us))
