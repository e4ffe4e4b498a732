"""The outbox: who is called when, and what is recorded; the calls themselves are made up."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from history_samples import fire, minute, owed, succeeded, to_its_receiver
from noether_supervisor.errors import HistoryError, SupervisorError
from noether_supervisor.history import ledger
from noether_supervisor.history.deliveries import DeliveryBook
from noether_supervisor.history.reading import recent
from noether_supervisor.records import Attempt, Delivery, OwedDelivery
from noether_supervisor.storage.connection import Database
from noether_supervisor.webhooks.attempts import Answered, Unanswered
from noether_supervisor.webhooks.outbox import CALLS_AT_ONCE, CALLS_PER_RECEIVER, Outbox
from noether_supervisor.webhooks.terms import Terms


class StillClock:
    def now(self) -> datetime:
        return minute(9)

    def monotonic(self) -> float:
        return 0.0


@dataclass
class MadeUpSender:
    """Answers 200, or what `outcome` says; URLs with `slow` in them wait for `release`.

    `earlier` are the outcomes of the first calls.
    """

    outcome: Answered | Unanswered = field(default_factory=lambda: Answered(200))
    earlier: list[Answered | Unanswered] = field(default_factory=list)
    called: list[str] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0
    release: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False

    async def send(self, delivery: Delivery, terms: Terms) -> Answered | Unanswered:
        self.called.append(terms.url)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if "slow" in delivery.owed.receiver:
                await self.release.wait()
        finally:
            self.under_way -= 1
        return self.earlier.pop(0) if self.earlier else self.outcome

    async def close(self) -> None:
        self.closed = True


Scenario = Callable[[Database, MadeUpSender], Coroutine[Any, Any, None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Scenario], None]:
    """Runs a scenario on a database of its own."""

    def run(scenario: Scenario) -> None:
        async def main() -> None:
            with Database.open(tmp_path / "history.db") as database:
                await scenario(database, MadeUpSender())

        asyncio.run(main())

    return run


async def owing(
    database: Database, number: int, url: str = "http://fast/hook", most_attempts: int = 1
) -> int:
    """A run that has ended and owes a webhook to `url`."""
    call = replace(owed(fire(number), url), most_attempts=most_attempts)
    delivery_id = await database.run(
        lambda connection: ledger.record_refused(connection, fire(number), succeeded(), call)
    )
    assert delivery_id is not None
    return delivery_id


async def shown(database: Database) -> list[str | None]:
    entries = await database.run(lambda connection: recent(connection, "digest", limit=1000))
    return [entry.delivery for entry in reversed(entries)]


async def until(condition: Callable[[], bool]) -> None:
    """Lets the loop go on until the condition holds; a test that waits in vain is stopped."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)


def outbox_on(
    database: Database,
    sender: MadeUpSender,
    calls_at_once: int = CALLS_AT_ONCE,
    calls_per_receiver: int = CALLS_PER_RECEIVER,
) -> Outbox:
    return Outbox(
        DeliveryBook(database),
        sender,
        StillClock(),
        terms_for=to_its_receiver,
        calls_at_once=calls_at_once,
        calls_per_receiver=calls_per_receiver,
    )


def test_what_it_is_told_of_is_sent_and_recorded(play: Callable[[Scenario], None]) -> None:
    async def scenario(database: Database, sender: MadeUpSender) -> None:
        outbox = outbox_on(database, sender)
        await outbox.start()
        outbox.owe(await owing(database, 1))
        assert await outbox.stop(seconds=30) == 0
        assert await shown(database) == ["delivered, answered 200"]
        assert sender.closed

    play(scenario)


def test_what_was_owed_before_is_sent_at_the_start(play: Callable[[Scenario], None]) -> None:
    async def scenario(database: Database, sender: MadeUpSender) -> None:
        for number in range(20):
            await owing(database, number)
        outbox = outbox_on(database, sender)
        await outbox.start()
        assert await outbox.stop(seconds=30) == 0
        assert await shown(database) == ["delivered, answered 200"] * 20

    play(scenario)


def test_told_twice_it_is_sent_once(play: Callable[[Scenario], None]) -> None:
    async def scenario(database: Database, sender: MadeUpSender) -> None:
        number = await owing(database, 1)
        outbox = outbox_on(database, sender)
        outbox.owe(number)
        outbox.owe(number)
        await outbox.start()
        await outbox.stop(seconds=30)
        outbox.owe(number)
        assert sender.called == ["http://fast/hook"]

    play(scenario)


def test_no_answer_is_recorded_as_a_failure(play: Callable[[Scenario], None]) -> None:
    async def scenario(database: Database, sender: MadeUpSender) -> None:
        sender.outcome = Unanswered("nobody listens")
        await owing(database, 1)
        outbox = outbox_on(database, sender)
        await outbox.start()
        await outbox.stop(seconds=30)
        assert await shown(database) == ["failed: nobody listens"]

    play(scenario)


def test_a_slow_receiver_delays_nobody_else(play: Callable[[Scenario], None]) -> None:
    async def scenario(database: Database, sender: MadeUpSender) -> None:
        for number in range(50):
            await owing(database, number, "http://slow/hook")
        outbox = outbox_on(database, sender, calls_per_receiver=8)
        await outbox.start()
        await until(lambda: sender.under_way == 8)
        for number in range(50, 60):
            outbox.owe(await owing(database, number, "http://fast/hook"))
        await until(lambda: sender.called.count("http://fast/hook") == 10)
        assert sender.called.count("http://slow/hook") == 8
        sender.release.set()
        assert await outbox.stop(seconds=30) == 0
        assert sender.called.count("http://slow/hook") == 50

    play(scenario)


def test_free_places_go_round_among_the_receivers(play: Callable[[Scenario], None]) -> None:
    async def scenario(database: Database, sender: MadeUpSender) -> None:
        urls = [f"http://{name}/hook" for name in ("a", "a", "a", "b", "c", "a", "c")]
        for number, url in enumerate(urls):
            await owing(database, number, url)
        outbox = outbox_on(database, sender, calls_at_once=1)
        await outbox.start()
        await outbox.stop(seconds=30)
        assert [url[7] for url in sender.called] == ["a", "a", "b", "c", "a", "c", "a"]
        assert sender.most_under_way == 1

    play(scenario)


def test_the_number_of_calls_at_once_is_bounded(play: Callable[[Scenario], None]) -> None:
    async def scenario(database: Database, sender: MadeUpSender) -> None:
        for number in range(40):
            await owing(database, number, f"http://slow{number % 20}/hook")
        outbox = outbox_on(database, sender, calls_at_once=10)
        await outbox.start()
        await until(lambda: sender.under_way == 10)
        sender.release.set()
        await outbox.stop(seconds=30)
        assert sender.most_under_way == 10
        assert len(sender.called) == 40

    play(scenario)


def test_a_stop_waits_no_longer_than_it_may_and_drops_nothing(
    play: Callable[[Scenario], None],
) -> None:
    async def scenario(database: Database, sender: MadeUpSender) -> None:
        for number in range(10):
            await owing(database, number, "http://slow/hook")
        first = outbox_on(database, sender, calls_per_receiver=2)
        await first.start()
        await until(lambda: sender.under_way == 2)
        assert await first.stop(seconds=0) == 10
        assert sender.under_way == 0
        assert await shown(database) == ["owed"] * 10
        again = MadeUpSender()
        again.release.set()
        second = outbox_on(database, again)
        await second.start()
        assert await second.stop(seconds=30) == 0
        assert await shown(database) == ["delivered, answered 200"] * 10

    play(scenario)


def test_a_database_in_trouble_leaves_the_delivery_owed(play: Callable[[Scenario], None]) -> None:
    class FullDisk(DeliveryBook):
        async def attempted(self, delivery_id: int, attempt: Attempt) -> None:
            raise HistoryError("no space is left")

    async def scenario(database: Database, sender: MadeUpSender) -> None:
        await owing(database, 1)
        outbox = Outbox(FullDisk(database), sender, StillClock(), terms_for=to_its_receiver)
        await outbox.start()
        assert await outbox.stop(seconds=30) == 1
        assert await shown(database) == ["owed"]

    play(scenario)


def test_a_delivery_that_is_not_owed_any_more_is_not_sent(
    play: Callable[[Scenario], None],
) -> None:
    async def scenario(database: Database, sender: MadeUpSender) -> None:
        outbox = outbox_on(database, sender)
        outbox.owe(99)
        assert await outbox.stop(seconds=30) == 0
        assert sender.called == []

    play(scenario)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first wait between two attempts takes no time worth mentioning."""
    monkeypatch.setattr("noether_supervisor.webhooks.attempts.FIRST_WAIT_SECONDS", 0.001)


@pytest.mark.usefixtures("impatient")
def test_an_attempt_that_failed_is_made_again(play: Callable[[Scenario], None]) -> None:
    async def scenario(database: Database, sender: MadeUpSender) -> None:
        sender.earlier = [Answered(500), Unanswered("nobody listens")]
        number = await owing(database, 1, most_attempts=5)
        outbox = outbox_on(database, sender)
        outbox.owe(number)
        await until(lambda: len(sender.called) == 3)
        assert await outbox.stop(seconds=30) == 0
        assert await shown(database) == ["delivered, answered 200 after 3 attempts"]
        assert len(sender.called) == 3

    play(scenario)


@pytest.mark.usefixtures("impatient")
def test_after_the_last_attempt_it_has_failed(play: Callable[[Scenario], None]) -> None:
    async def scenario(database: Database, sender: MadeUpSender) -> None:
        sender.outcome = Answered(503)
        number = await owing(database, 1, most_attempts=3)
        outbox = outbox_on(database, sender)
        outbox.owe(number)
        await until(lambda: len(sender.called) == 3)
        assert await outbox.stop(seconds=30) == 0
        assert await shown(database) == ["failed after 3 attempts: answered 503"]
        assert len(sender.called) == 3

    play(scenario)


def test_an_attempt_that_is_put_off_takes_no_place_and_no_time_of_a_stop(
    play: Callable[[Scenario], None],
) -> None:
    async def scenario(database: Database, sender: MadeUpSender) -> None:
        sender.earlier = [Answered(500, retry_after_seconds=3600)]
        outbox = outbox_on(database, sender, calls_at_once=1)
        attempt = await outbox.owe_now(await owing(database, 1, most_attempts=2))
        assert attempt.next_at == minute(9) + timedelta(hours=1)
        outbox.owe(await owing(database, 2))
        await until(lambda: len(sender.called) == 2)
        assert await outbox.stop(seconds=3600) == 1
        again, waiting = MadeUpSender(), await shown(database)
        assert waiting[0] is not None
        assert waiting[0].startswith("owed, attempt 1 of 2 failed: answered 500; tried again")
        second = outbox_on(database, again)
        await second.start()
        assert await second.stop(seconds=3600) == 1
        assert again.called == []

    play(scenario)


def test_what_was_put_off_is_due_after_a_restart(play: Callable[[Scenario], None]) -> None:
    class LaterClock(StillClock):
        def now(self) -> datetime:
            return minute(9) + timedelta(hours=1)

    async def scenario(database: Database, sender: MadeUpSender) -> None:
        sender.earlier = [Answered(500, retry_after_seconds=3600)]
        outbox = outbox_on(database, sender)
        await outbox.owe_now(await owing(database, 1, most_attempts=2))
        await outbox.stop(seconds=30)
        later = Outbox(DeliveryBook(database), sender, LaterClock(), terms_for=to_its_receiver)
        await later.start()
        assert await later.stop(seconds=30) == 0
        assert await shown(database) == ["delivered, answered 200 after 2 attempts"]

    play(scenario)


def test_whoever_waits_for_it_has_it_sent_at_once(play: Callable[[Scenario], None]) -> None:
    async def scenario(database: Database, sender: MadeUpSender) -> None:
        sender.earlier = [Answered(500, retry_after_seconds=3600)]
        outbox = outbox_on(database, sender)
        number = await owing(database, 1, most_attempts=3)
        await outbox.owe_now(number)
        attempt = await outbox.owe_now(number)
        assert (attempt.state, attempt.http_status) == ("delivered", 200)
        assert await outbox.stop(seconds=30) == 0
        with pytest.raises(asyncio.CancelledError):
            await outbox.owe_now(number)

    play(scenario)


def test_whoever_waits_for_one_under_way_hears_of_that_attempt(
    play: Callable[[Scenario], None],
) -> None:
    async def scenario(database: Database, sender: MadeUpSender) -> None:
        outbox = outbox_on(database, sender)
        number = await owing(database, 1, "http://slow/hook")
        outbox.owe(number)
        await until(lambda: sender.under_way == 1)
        first, second = outbox.owe_now(number), outbox.owe_now(number)
        sender.release.set()
        assert (await first) == (await second)
        assert sender.called == ["http://slow/hook"]
        await outbox.stop(seconds=30)

    play(scenario)


def test_whoever_waits_for_one_that_is_not_owed_is_not_kept_waiting(
    play: Callable[[Scenario], None],
) -> None:
    async def scenario(database: Database, sender: MadeUpSender) -> None:
        outbox = outbox_on(database, sender)
        asked = outbox.owe_now(99)
        await until(asked.done)
        assert asked.cancelled()
        await outbox.stop(seconds=30)

    play(scenario)


def test_the_terms_are_asked_for_at_each_attempt(play: Callable[[Scenario], None]) -> None:
    async def scenario(database: Database, sender: MadeUpSender) -> None:
        urls = ["http://first/", "http://second/"]
        outbox = Outbox(
            DeliveryBook(database),
            sender,
            StillClock(),
            terms_for=lambda _: Terms(urls.pop(0), most_attempts=2),
        )
        sender.earlier = [Answered(500)]
        number = await owing(database, 1)
        await outbox.owe_now(number)
        await outbox.owe_now(number)
        assert sender.called == ["http://first/", "http://second/"]
        await outbox.stop(seconds=30)

    play(scenario)


def test_what_nobody_knows_where_to_send_stays_owed_until_somebody_does(
    play: Callable[[Scenario], None],
) -> None:
    known: set[str] = set()

    def terms_for(owed: OwedDelivery) -> Terms | None:
        return to_its_receiver(owed) if owed.job in known else None

    async def scenario(database: Database, sender: MadeUpSender) -> None:
        first, second, asked = [await owing(database, number) for number in range(3)]
        outbox = Outbox(DeliveryBook(database), sender, StillClock(), terms_for=terms_for)
        outbox.owe(first)
        outbox.owe(second)
        with pytest.raises(SupervisorError, match="no webhook of the job 'digest'"):
            await outbox.owe_now(asked)
        outbox.reconsider()
        assert await shown(database) == ["owed"] * 3
        known.add("digest")
        assert (await outbox.owe_now(asked)).state == "delivered"
        outbox.reconsider()
        assert await outbox.stop(seconds=30) == 0
        assert await shown(database) == ["delivered, answered 200"] * 3

    play(scenario)


def test_the_next_start_asks_again_where_to_send(play: Callable[[Scenario], None]) -> None:
    async def scenario(database: Database, sender: MadeUpSender) -> None:
        book = DeliveryBook(database)
        await owing(database, 1)
        outbox = Outbox(book, sender, StillClock(), terms_for=lambda _: None)
        await outbox.start()
        assert await outbox.stop(seconds=30) == 1
        second = outbox_on(database, sender)
        await second.start()
        assert await second.stop(seconds=30) == 0
        assert sender.called == ["http://fast/hook"]

    play(scenario)


def test_many_attempts_at_many_receivers_all_end(
    play: Callable[[Scenario], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("noether_supervisor.webhooks.attempts.FIRST_WAIT_SECONDS", 0.0001)

    async def scenario(database: Database, sender: MadeUpSender) -> None:
        sender.outcome = Answered(500)
        for number in range(40):
            await owing(database, number, f"http://r{number % 3}/", most_attempts=4)
        outbox = outbox_on(database, sender, calls_at_once=5, calls_per_receiver=2)
        await outbox.start()
        await until(lambda: len(sender.called) == 160)
        assert await outbox.stop(seconds=30) == 0
        assert await shown(database) == ["failed after 4 attempts: answered 500"] * 40

    play(scenario)
