"""Webhook calls over real HTTP on loopback."""

import asyncio
import logging
import socket
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from history_samples import fire, owed, succeeded, to_its_receiver
from noether_supervisor.clock import SystemClock
from noether_supervisor.history import ledger
from noether_supervisor.history.deliveries import DeliveryBook
from noether_supervisor.history.reading import recent
from noether_supervisor.records import Delivery
from noether_supervisor.storage.connection import Database
from noether_supervisor.webhooks.attempts import Answered, Unanswered
from noether_supervisor.webhooks.delivery import HttpSender
from noether_supervisor.webhooks.outbox import Outbox
from noether_supervisor.webhooks.payload import webhook_id
from noether_supervisor.webhooks.terms import Terms
from receivers import raw_receiver, receiver, unused_url

BODY = '{"job":"digest","ok":true,"output":"ü"}'.encode()


@pytest.fixture(autouse=True)
def _no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


def send(url: str, body: bytes = BODY, call_seconds: float = 30) -> Answered | Unanswered:
    async def scenario() -> Answered | Unanswered:
        sender = HttpSender(SystemClock())
        try:
            delivery = Delivery(1, owed(fire(), url, body))
            return await sender.send(delivery, Terms(url, call_seconds))
        finally:
            await sender.close()

    return asyncio.run(scenario())


def test_the_call_is_the_documented_one() -> None:
    before = int(SystemClock().now().timestamp())
    with receiver() as it:
        assert send(it.url) == Answered(200)
        call = it.next_call()
    assert call.path == "/hook"
    assert call.body == BODY
    assert call.headers["Content-Type"] == "application/json"
    assert call.headers["User-Agent"].startswith("noether-scheduler/")
    assert call.headers["webhook-id"] == webhook_id(fire().run_id)
    after = int(SystemClock().now().timestamp())
    assert before <= int(call.headers["webhook-timestamp"]) <= after


@pytest.mark.parametrize("status", [201, 204, 400, 404, 410, 429, 500, 503])
def test_any_answer_is_an_answer(status: int) -> None:
    with receiver(status=status, answer=b"") as it:
        assert send(it.url) == Answered(status)


def test_redirects_are_not_followed() -> None:
    with receiver() as elsewhere:
        there = {"Location": elsewhere.url}
        with receiver(status=307, headers=there) as it:
            assert send(it.url) == Answered(307)
        assert elsewhere.calls.empty()


def test_a_user_in_the_url_becomes_basic_authentication() -> None:
    with receiver() as it:
        send(it.url.replace("http://", "http://me:secret@"))
        assert it.next_call().headers["Authorization"] == "Basic bWU6c2VjcmV0"


def test_nobody_listens() -> None:
    url = unused_url()
    outcome = send(url.replace("/hook", "/secret").replace("http://", "http://me:secret@"))
    assert isinstance(outcome, Unanswered)
    assert "127.0.0.1" in outcome.problem
    assert outcome.problem.endswith("could not be called: Connection refused")
    assert "secret" not in outcome.problem


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/secret", "http://[/secret", "secret", ""])
def test_a_url_that_leads_nowhere_is_a_failure_and_not_shown(url: str) -> None:
    outcome = send(url)
    assert isinstance(outcome, Unanswered)
    assert "/secret" not in outcome.problem


def test_a_receiver_that_does_not_answer_is_given_up() -> None:
    with receiver(slow=True) as it:
        outcome = send(it.url, call_seconds=0.05)
    assert isinstance(outcome, Unanswered)
    assert "did not answer within 0.05 s" in outcome.problem


def test_a_receiver_that_hangs_up_is_a_failure() -> None:
    def silent(caller: socket.socket) -> None:
        caller.recv(65536)

    with raw_receiver(silent) as url:
        assert isinstance(send(url), Unanswered)


def test_a_receiver_that_does_not_speak_http_is_a_failure() -> None:
    with raw_receiver(lambda caller: caller.sendall(b"220 mail.example.com ESMTP\r\n")) as url:
        assert isinstance(send(url), Unanswered)


def test_an_endless_answer_is_not_read_to_its_end() -> None:
    sent = 0

    def endless(caller: socket.socket) -> None:
        nonlocal sent
        caller.recv(65536)
        caller.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:  # until the caller hangs up
            sent += caller.send(b"x" * 65536)

    with raw_receiver(endless) as url:
        assert send(url) == Answered(200)
    assert sent < 64 * 1024 * 1024


def test_an_answer_that_breaks_off_is_still_an_answer() -> None:
    def broken(caller: socket.socket) -> None:
        caller.recv(65536)
        caller.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 1000\r\n\r\nnot all of it")

    with raw_receiver(broken) as url:
        assert send(url) == Answered(202)


def test_an_answer_that_trickles_is_an_answer_when_its_status_is_there() -> None:
    done = threading.Event()

    def trickling(caller: socket.socket) -> None:
        caller.recv(65536)
        caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n.")
        done.wait()

    with raw_receiver(trickling) as url:
        try:
            assert send(url, call_seconds=1) == Answered(200)
        finally:
            done.set()


def test_names_that_cannot_be_looked_up_delay_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stuck, released = threading.Semaphore(0), threading.Event()
    look_up = socket.getaddrinfo

    def resolver(host: str, *rest: Any, **options: Any) -> Any:
        if host in ("stuck.example", b"stuck.example"):
            stuck.release()
            released.wait()
            raise socket.gaierror(socket.EAI_AGAIN, "the name server does not answer")
        return look_up("127.0.0.1", *rest, **options)

    async def scenario(port: str) -> list[Answered | Unanswered]:
        sender = HttpSender(SystemClock())

        async def call(host: str) -> Answered | Unanswered:
            url = f"http://{host}:{port}/"
            return await sender.send(Delivery(1, owed(fire(), url)), Terms(url, 30))

        hanging = [asyncio.create_task(call("stuck.example")) for _ in range(40)]
        for _ in hanging:
            await asyncio.to_thread(stuck.acquire)
        outcome = await call("fine.example")
        released.set()
        outcomes = [outcome, *await asyncio.gather(*hanging)]
        await sender.close()
        return outcomes

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    monkeypatch.setenv("NO_PROXY", "*")
    with receiver() as it:
        outcomes = asyncio.run(scenario(it.url.split(":")[2].split("/")[0]))
    assert outcomes[0] == Answered(200)
    assert all(isinstance(outcome, Unanswered) for outcome in outcomes[1:])


def test_a_large_body_arrives_whole() -> None:
    body = b'"' + b"x" * (8 * 1024 * 1024) + b'"'
    with receiver() as it:
        assert send(it.url, body) == Answered(200)
        assert it.next_call().body == body


def test_nothing_of_the_url_reaches_the_logs_of_the_library(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with receiver() as it:
        send(it.url.replace("/hook", "/secret?secret"))
    assert not [record for record in caplog.records if "secret" in record.getMessage()]


def test_an_idle_service_has_not_loaded_an_http_client() -> None:
    code = (
        "import sys, noether_supervisor.webhooks.outbox, noether_supervisor.webhooks.delivery;"
        "sys.exit('httpx' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_hanging_receiver_delays_nobody_else(tmp_path: Path) -> None:
    async def scenario(slow_url: str, fast_url: str) -> None:
        with Database.open(tmp_path / "history.db") as database:
            for number in range(30):
                url = slow_url if number < 20 else fast_url
                call = owed(fire(number), url)
                await database.run(
                    partial(ledger.record_refused, fire=fire(number), ending=succeeded(), owed=call)
                )
            clock = SystemClock()
            outbox = Outbox(
                DeliveryBook(database), HttpSender(clock), clock, terms_for=to_its_receiver
            )
            await outbox.start()
            arrived = [await asyncio.to_thread(fast.next_call) for _ in range(10)]
            assert len({call.headers["webhook-id"] for call in arrived}) == 10
            assert slow.calls.qsize() <= 8
            slow.hold.set()
            assert await outbox.stop(seconds=30) == 0
            entries = await database.run(lambda connection: recent(connection, limit=100))
            assert [entry.delivery for entry in entries] == ["delivered, answered 200"] * 30

    with receiver(slow=True) as slow, receiver() as fast:
        asyncio.run(scenario(slow.url, fast.url))
