"""A webhook that is owed survives the death of its service, and keeps its id."""

import asyncio
import signal
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from history_samples import fire, in_one_transaction, owed, succeeded, to_its_receiver
from noether_supervisor.clock import SystemClock
from noether_supervisor.history import ledger
from noether_supervisor.history.deliveries import DeliveryBook
from noether_supervisor.history.reading import recent
from noether_supervisor.storage.connection import Database, open_readonly
from noether_supervisor.webhooks.delivery import HttpSender
from noether_supervisor.webhooks.outbox import Outbox
from noether_supervisor.webhooks.payload import webhook_id
from receivers import receiver

SERVICE = """
import asyncio, sys
from pathlib import Path
from noether_supervisor.clock import SystemClock
from noether_supervisor.history.deliveries import DeliveryBook
from noether_supervisor.storage.connection import Database
from noether_supervisor.webhooks.delivery import HttpSender
from noether_supervisor.webhooks.outbox import Outbox
from noether_supervisor.webhooks.terms import Terms

async def main():
    clock = SystemClock()
    book = DeliveryBook(Database.open(Path(sys.argv[1])))
    outbox = Outbox(book, HttpSender(clock), clock, terms_for=lambda owed: Terms(owed.receiver))
    await outbox.start()
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def _no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


def test_a_crash_between_the_call_and_its_record_repeats_the_call_with_its_id(
    tmp_path: Path,
) -> None:
    path = tmp_path / "history.db"
    numbers = range(3)
    with receiver(slow=True) as it:
        for number in numbers:
            call = owed(fire(number), it.url, b'{"n":%d}' % number)
            in_one_transaction(
                path,
                partial(ledger.record_refused, fire=fire(number), ending=succeeded(), owed=call),
            )
        with subprocess.Popen([sys.executable, "-c", SERVICE, str(path)]) as child:
            try:
                first = [it.next_call() for _ in numbers]  # they arrived, and have no answer yet
            finally:
                child.send_signal(signal.SIGKILL)
        it.hold.set()

        async def next_service() -> None:
            clock = SystemClock()
            with Database.open(path) as database:
                book, sender = DeliveryBook(database), HttpSender(clock)
                outbox = Outbox(book, sender, clock, terms_for=to_its_receiver)
                await outbox.start()
                assert await outbox.stop(seconds=30) == 0

        asyncio.run(next_service())
        second = [it.next_call() for _ in numbers]
        assert it.calls.empty()

    ids = sorted(webhook_id(fire(number).run_id) for number in numbers)
    assert sorted(call.headers["webhook-id"] for call in first) == ids
    assert sorted(call.headers["webhook-id"] for call in second) == ids
    assert sorted(call.body for call in first) == sorted(call.body for call in second)
    with closing(open_readonly(path)) as reader:
        shown = [entry.delivery for entry in recent(reader)]
    assert shown == ["delivered, answered 200"] * 3
