"""The outbox's rows."""

import asyncio
import sqlite3
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from history_samples import failed, fire, minute, owed, succeeded
from noether_supervisor.errors import UsageError
from noether_supervisor.history import ledger
from noether_supervisor.history.deliveries import (
    DeliveryBook,
    owe_again,
    owed_delivery,
    pending_deliveries,
    pending_delivery,
    record_attempt,
)
from noether_supervisor.history.reading import recent
from noether_supervisor.records import (
    Attempt,
    Delivery,
    Fire,
    OwedDelivery,
    PendingDelivery,
    RunEnding,
)
from noether_supervisor.storage.connection import Database

URL = "http://127.0.0.1:9/hook"
DELIVERED = Attempt("delivered", minute(1), http_status=503)
FAILED = Attempt("failed", minute(1), problem="nobody listens")
AGAIN = Attempt("owed", minute(1), 500, "answered 500", minute(1) + timedelta(seconds=7))


def owing(
    connection: sqlite3.Connection,
    number: int = 0,
    most_attempts: int = 1,
) -> int:
    of = fire(number)
    call = OwedDelivery(of.run_id, of.job, URL, b'{"n":%d}' % number, most_attempts)
    delivery_id = ledger.record_refused(connection, of, succeeded({"n": number}), call)
    assert delivery_id is not None
    return delivery_id


def shown(connection: sqlite3.Connection) -> str | None:
    return recent(connection)[0].delivery


def told(fire: Fire, ending: RunEnding, before: OwedDelivery | None) -> OwedDelivery:
    """What a configuration with a webhook would say: the output as body."""
    url = "http://new/" if before is None else f"{before.receiver}?new"
    return OwedDelivery(fire.run_id, fire.job, url, str(ending.output).encode(), 3)


def told_nobody(fire: Fire, ending: RunEnding, before: OwedDelivery | None) -> None:
    return None


def test_what_is_owed_is_found_with_its_body(connection: sqlite3.Connection) -> None:
    first, second = owing(connection, 1), owing(connection, 2, most_attempts=5)
    call = OwedDelivery(fire(2).run_id, "digest", URL, b'{"n":2}', 5)
    assert pending_deliveries(connection) == [
        PendingDelivery(first, URL),
        PendingDelivery(second, URL),
    ]
    assert owed_delivery(connection, second) == Delivery(second, call, attempts=0)
    assert pending_delivery(connection, second) == PendingDelivery(second, URL)


def test_an_answer_ends_it_whatever_it_was(connection: sqlite3.Connection) -> None:
    number = owing(connection)
    record_attempt(connection, number, DELIVERED)
    assert pending_deliveries(connection) == []
    assert owed_delivery(connection, number) is None
    assert pending_delivery(connection, number) is None
    assert shown(connection) == "delivered, answered 503"
    assert connection.execute("SELECT attempts, body FROM delivery").fetchone() == (1, None)


def test_a_failure_ends_it_and_keeps_its_body(connection: sqlite3.Connection) -> None:
    number = owing(connection)
    record_attempt(connection, number, FAILED)
    assert pending_deliveries(connection) == []
    assert shown(connection) == "failed: nobody listens"
    assert connection.execute("SELECT attempts, body FROM delivery").fetchone() == (1, b'{"n":0}')


def test_an_attempt_that_failed_leaves_it_owed_until_its_next(
    connection: sqlite3.Connection,
) -> None:
    number = owing(connection, most_attempts=3)
    record_attempt(connection, number, AGAIN)
    assert pending_delivery(connection, number) == PendingDelivery(number, URL, AGAIN.next_at)
    found = owed_delivery(connection, number)
    assert found is not None
    assert (found.attempts, found.owed.body) == (1, b'{"n":0}')
    assert shown(connection) == (
        "owed, attempt 1 of 3 failed: answered 500; tried again at 2026-04-14T08:31:07Z"
    )
    record_attempt(connection, number, Attempt("delivered", minute(2), http_status=204))
    assert shown(connection) == "delivered, answered 204 after 2 attempts"


def test_a_failure_after_several_attempts_says_so(connection: sqlite3.Connection) -> None:
    number = owing(connection, most_attempts=2)
    record_attempt(connection, number, AGAIN)
    record_attempt(connection, number, Attempt("failed", minute(2), 500, "answered 500"))
    assert shown(connection) == "failed after 2 attempts: answered 500"


def test_it_ends_once(connection: sqlite3.Connection) -> None:
    number = owing(connection)
    record_attempt(connection, number, Attempt("delivered", minute(1), http_status=200))
    record_attempt(connection, number, FAILED)
    assert shown(connection) == "delivered, answered 200"


def test_an_id_that_nobody_knows_owes_nothing(connection: sqlite3.Connection) -> None:
    assert owed_delivery(connection, 99) is None
    assert pending_delivery(connection, 99) is None


@pytest.mark.parametrize("attempt", [FAILED, AGAIN], ids=["failed", "owed"])
def test_a_kept_body_is_owed_again_as_it_was(
    connection: sqlite3.Connection, attempt: Attempt
) -> None:
    number = owing(connection)
    record_attempt(connection, number, attempt)
    assert owe_again(connection, fire().run_id, told) == number
    call = OwedDelivery(fire().run_id, "digest", f"{URL}?new", b'{"n":0}', 3)
    assert owed_delivery(connection, number) == Delivery(number, call, attempts=0)
    assert pending_delivery(connection, number) == PendingDelivery(number, f"{URL}?new")
    assert shown(connection) == "owed"


def test_a_body_that_went_with_its_delivery_is_made_again(connection: sqlite3.Connection) -> None:
    number = owing(connection)
    record_attempt(connection, number, DELIVERED)
    owe_again(connection, fire().run_id, told)
    found = owed_delivery(connection, number)
    assert found is not None
    assert found.owed.body == b"{'n': 0}"


def test_what_was_owed_before_is_at_hand(connection: sqlite3.Connection) -> None:
    met: list[OwedDelivery | None] = []

    def noted(fire: Fire, ending: RunEnding, before: OwedDelivery | None) -> OwedDelivery:
        met.append(before)
        return owed(fire)

    number = owing(connection, most_attempts=4)
    owe_again(connection, fire().run_id, noted)
    record_attempt(connection, number, DELIVERED)
    owe_again(connection, fire().run_id, noted)
    kept = OwedDelivery(fire().run_id, "digest", URL, b'{"n":0}', 4)
    assert met == [kept, OwedDelivery(fire().run_id, "digest", owed(fire()).receiver, b"")]


def test_a_run_that_owed_nothing_can_owe_it_now(connection: sqlite3.Connection) -> None:
    ledger.record_refused(connection, fire(), failed())
    number = owe_again(connection, fire().run_id, told)
    found = owed_delivery(connection, number)
    assert found is not None
    assert found.owed.receiver == "http://new/"


def test_the_ending_is_the_one_that_was_recorded(connection: sqlite3.Connection) -> None:
    by_hand = Fire("digest", minute(3) + timedelta(milliseconds=417), manual=True)
    endings = {
        fire(1): succeeded({"a": [1, 1.0, "ü"]}),
        fire(2): failed(),
        by_hand: succeeded(None),
    }
    met: list[tuple[Fire, RunEnding]] = []

    def noted(fire: Fire, ending: RunEnding, before: OwedDelivery | None) -> OwedDelivery:
        assert before is None
        met.append((fire, ending))
        return owed(fire)

    for each, ending in endings.items():
        ledger.record_refused(connection, each, ending)
        owe_again(connection, each.run_id, noted)
    assert met == list(endings.items())


def test_what_cannot_be_sent_again_is_told(connection: sqlite3.Connection) -> None:
    def refusal(run_id: str) -> str:
        with pytest.raises(UsageError) as caught:
            owe_again(connection, run_id, told_nobody)
        return caught.value.message

    ledger.record_missed(connection, "digest", minute(1), minute(2), 2, "service was down")
    ledger.record_skipped(connection, fire(3), "overlap")
    ledger.record_start(connection, fire(4), minute(4))
    ledger.record_refused(connection, fire(5), succeeded())
    assert "was missed" in refusal(fire(1).run_id)
    assert "was skipped" in refusal(fire(3).run_id)
    assert "has not ended" in refusal(fire(4).run_id)
    assert "its job has none in the configuration" in refusal(fire(5).run_id)
    assert f"did you mean {fire(5).run_id}" in refusal("digest@")
    assert "`history` lists" in refusal("other@20260414T083000Z")


def test_the_book_asks_the_same_questions(path: Path) -> None:
    async def scenario() -> None:
        with Database.open(path) as database:
            book = DeliveryBook(database)
            first = await database.run(partial(owing, number=1))
            second = await database.run(partial(owing, number=2))
            assert await book.all_pending() == [
                PendingDelivery(first, URL),
                PendingDelivery(second, URL),
            ]
            assert await book.pending(first) == PendingDelivery(first, URL)
            delivery = await book.owed(first)
            assert delivery is not None
            assert delivery.owed.body == b'{"n":1}'
            await book.attempted(first, Attempt("delivered", minute(3), http_status=204))
            await book.attempted(second, FAILED)
            assert await book.all_pending() == []
            found = await database.run(recent)
            assert [entry.delivery for entry in found] == [
                "failed: nobody listens",
                "delivered, answered 204",
            ]

    asyncio.run(scenario())
