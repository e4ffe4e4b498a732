"""Sends what is owed: at the start all of it, then what it is told of; each receiver apart.

Promises: an owed delivery is recorded as delivered or failed after its last attempt, never before,
so a crash repeats an attempt and drops no delivery. When the next attempt is due is recorded too,
so it is made by whichever service runs then. What nobody can say any more where to send stays owed
until the configuration says so again. A receiver that is slow or dead takes at most
`CALLS_PER_RECEIVER` places of `CALLS_AT_ONCE`, and free places go round among the receivers, so it
delays nobody else; one that waits for its next attempt takes none. Bodies are read when their call
is made: a queue of large outputs costs no memory.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from loguru import logger

from noether_supervisor.clock import Clock
from noether_supervisor.errors import SupervisorError
from noether_supervisor.records import Attempt, Delivery, OwedDelivery, PendingDelivery
from noether_supervisor.webhooks.attempts import (
    LONGEST_ASKED_SECONDS,
    Answered,
    Unanswered,
    attempt_of,
)
from noether_supervisor.webhooks.line import Line
from noether_supervisor.webhooks.target import redacted
from noether_supervisor.webhooks.terms import Terms

CALLS_AT_ONCE = 128
CALLS_PER_RECEIVER = 8


class Book(Protocol):
    """Where deliveries are owed, and where their attempts are recorded (`history.deliveries`)."""

    async def all_pending(self) -> Sequence[PendingDelivery]:
        """Every delivery that is owed."""
        ...

    async def pending(self, delivery_id: int) -> PendingDelivery | None:
        """The delivery without its body, None when it is not owed any more."""
        ...

    async def owed(self, delivery_id: int) -> Delivery | None:
        """The delivery with its body, None when it is not owed any more."""
        ...

    async def attempted(self, delivery_id: int, attempt: Attempt) -> None:
        """One more attempt was made."""
        ...


class Sender(Protocol):
    """Makes one call (`webhooks.delivery`)."""

    async def send(self, delivery: Delivery, terms: Terms) -> Answered | Unanswered:
        """The outcome of one call."""
        ...

    async def close(self) -> None:
        """No call will follow."""
        ...


class Outbox:
    """The deliveries of one service; used on one event loop, from `start` to `stop`.

    `terms_for` says how a delivery is made, each time one is; None: nobody knows where it goes now.
    `chance` gives numbers from 0 to 1, for the random part of the wait between two attempts.
    """

    def __init__(
        self,
        book: Book,
        sender: Sender,
        clock: Clock,
        *,
        terms_for: Callable[[OwedDelivery], Terms | None],
        chance: Callable[[], float] = random.random,
        calls_at_once: int = CALLS_AT_ONCE,
        calls_per_receiver: int = CALLS_PER_RECEIVER,
    ) -> None:
        self._book = book
        self._sender = sender
        self._clock = clock
        self._terms_for = terms_for
        self._chance = chance
        self._line = Line(calls_at_once, calls_per_receiver, self._begin)
        self._known: set[int] = set()
        self._putoff: dict[int, asyncio.TimerHandle] = {}
        self._aside: dict[int, OwedDelivery] = {}
        self._told: set[str] = set()
        self._asked: dict[int, asyncio.Future[Attempt]] = {}
        self._arriving: set[asyncio.Task[None]] = set()
        self._calling: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._stopped = False

    async def start(self) -> None:
        """Begin with everything that is owed from before; raises `HistoryError`."""
        for pending in await self._book.all_pending():
            if pending.id not in self._known:
                self._known.add(pending.id)
                self._line_up(pending)

    def owe(self, delivery_id: int) -> None:
        """A delivery is owed now, and recorded as such; told twice, it is sent once."""
        if self._stopped or delivery_id in self._known:
            return
        self._known.add(delivery_id)
        task = asyncio.create_task(self._admit(delivery_id))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    def reconsider(self) -> None:
        """The configuration has changed: what nobody knew where to send may have a receiver."""
        for delivery_id, owed in list(self._aside.items()):
            if self._terms_for(owed) is not None:
                self._told.discard(owed.job)
                self._forget(delivery_id)
                self.owe(delivery_id)

    def owe_now(self, delivery_id: int) -> "asyncio.Future[Attempt]":
        """The same for a delivery that somebody waits for; one that is put off is sent at once.

        The future has the attempt once it is recorded, or the error that kept it from being made;
        it is cancelled by a stop.
        """
        asked = self._asked.get(delivery_id)
        if asked is None:
            asked = self._asked[delivery_id] = asyncio.get_running_loop().create_future()
        if self._stopping:
            self._asked.pop(delivery_id).cancel()
            return asked
        timer = self._putoff.pop(delivery_id, None)
        if timer is not None:
            timer.cancel()
        if timer is not None or delivery_id in self._aside:
            self._forget(delivery_id)
        self.owe(delivery_id)
        return asked

    async def stop(self, seconds: float) -> int:
        """Send what is left for at most `seconds`; how many stay owed, for the next start.

        What waits for its next attempt goes on waiting then.
        """
        self._stopping = True
        for timer in self._putoff.values():
            timer.cancel()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while (busy := self._arriving | self._calling) and (left := deadline - loop.time()) > 0:
            await asyncio.wait(busy, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        self._stopped = True
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
        for asked in self._asked.values():
            asked.cancel()
        await self._sender.close()
        return len(self._known)

    async def _admit(self, delivery_id: int) -> None:
        try:
            pending = await self._book.pending(delivery_id)
        except SupervisorError as error:
            self._leave(delivery_id, error)
            return
        if pending is None:
            self._known.discard(delivery_id)
            self._tell(delivery_id, None)
        else:
            self._line_up(pending)

    def _line_up(self, pending: PendingDelivery) -> None:
        """Puts it in its receiver's line, now or when its next attempt is due."""
        wait = 0.0
        if pending.not_before is not None and pending.id not in self._asked:
            wait = (pending.not_before - self._clock.now()).total_seconds()
        if wait <= 0:
            self._line.add(pending.id, pending.receiver)
        elif not self._stopping:
            # Bounded, for a clock that was set back since.
            self._putoff[pending.id] = asyncio.get_running_loop().call_later(
                min(wait, LONGEST_ASKED_SECONDS), self._is_due, pending
            )

    def _is_due(self, pending: PendingDelivery) -> None:
        del self._putoff[pending.id]
        self._line.add(pending.id, pending.receiver)

    def _begin(self, delivery_id: int, receiver: str) -> None:
        task = asyncio.create_task(self._deliver(delivery_id), name=f"webhook-{delivery_id}")
        self._calling.add(task)
        task.add_done_callback(lambda task: self._done(task, receiver))

    def _done(self, task: "asyncio.Task[None]", receiver: str) -> None:
        self._calling.discard(task)
        if not self._stopped:
            self._line.ended(receiver)

    async def _deliver(self, delivery_id: int) -> None:
        attempt: Attempt | None = None
        try:
            delivery = await self._book.owed(delivery_id)
            if delivery is not None:
                terms = self._terms_for(delivery.owed)
                if terms is None:
                    self._put_aside(delivery)
                    return
                attempt = await self._attempt(delivery, terms)
                await self._book.attempted(delivery_id, attempt)
                # told once it is recorded: what the log says outlives a kill
                _say(delivery, terms, attempt)
        except SupervisorError as error:
            self._leave(delivery_id, error)
            return
        self._tell(delivery_id, attempt)
        if delivery is not None and attempt is not None and attempt.next_at is not None:
            self._line_up(PendingDelivery(delivery_id, delivery.owed.receiver, attempt.next_at))
        else:
            self._known.discard(delivery_id)

    async def _attempt(self, delivery: Delivery, terms: Terms) -> Attempt:
        outcome = await self._sender.send(delivery, terms)
        number, most = delivery.attempts + 1, terms.most_attempts
        return attempt_of(outcome, number, most, self._clock.now(), self._chance)

    def _put_aside(self, delivery: Delivery) -> None:
        job = delivery.owed.job
        told = f"the configuration has no webhook of the job {job!r}, so nobody knows where to send"
        if job not in self._told:
            self._told.add(job)
            logger.bind(job=job).warning("{} what its runs owe; it stays owed until it has", told)
        self._aside[delivery.id] = replace(delivery.owed, body=b"")
        asked = self._asked.pop(delivery.id, None)
        if asked is not None and not asked.done():
            asked.set_exception(SupervisorError(f"{told} it; put it back and ask again"))

    def _forget(self, delivery_id: int) -> None:
        self._known.discard(delivery_id)
        self._aside.pop(delivery_id, None)

    def _leave(self, delivery_id: int, error: SupervisorError) -> None:
        # It stays owed, and known, so that only the next start repeats it, under the same id.
        logger.error(
            "the delivery {} is sent at the next start, not now: {}", delivery_id, error.message
        )
        asked = self._asked.pop(delivery_id, None)
        if asked is not None and not asked.done():
            asked.set_exception(error)

    def _tell(self, delivery_id: int, attempt: Attempt | None) -> None:
        asked = self._asked.pop(delivery_id, None)
        if asked is None or asked.done():
            return
        if attempt is None:
            asked.cancel()
        else:
            asked.set_result(attempt)


def _say(delivery: Delivery, terms: Terms, attempt: Attempt) -> None:
    """One line of the log about an attempt."""
    log = logger.bind(job=delivery.owed.job, run_id=delivery.owed.run_id)
    number = delivery.attempts + 1
    shown = redacted(terms.url)
    if attempt.state == "delivered":
        log.info("webhook {} answered {}", shown, attempt.http_status)
        return
    # The problem of a call without an answer names the receiver itself.
    problem = attempt.problem if attempt.http_status is None else f"{shown} {attempt.problem}"
    if attempt.next_at is not None:
        wait = (attempt.next_at - attempt.at).total_seconds()
        told = "webhook attempt {} of {} failed: {}; the next in {:.0f} s"
        log.warning(told, number, terms.most_attempts, problem, wait)
    elif number > 1:
        log.error("webhook failed after {} attempts: {}", number, problem)
    else:
        log.warning("webhook failed: {}", problem)
