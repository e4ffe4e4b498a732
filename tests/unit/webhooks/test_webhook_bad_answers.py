"""Whatever a receiver answers: an outcome of the call, short, without the secrets of the URL."""

import asyncio
import socket
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bad_input import few, fewer, noise, odd_strings
from history_samples import fire, owed
from noether_supervisor.clock import SystemClock
from noether_supervisor.records import Delivery
from noether_supervisor.webhooks.attempts import Answered, Unanswered, asked_wait, attempt_of
from noether_supervisor.webhooks.delivery import HttpSender
from noether_supervisor.webhooks.terms import Terms
from receivers import raw_receiver

NOW = datetime(2026, 4, 14, 8, 30, tzinfo=UTC)
SECRET = "hunter2"

waits = st.one_of(
    odd_strings,
    st.integers(-(10**30), 10**30).map(str),
    st.sampled_from(
        [
            *("Wed, 21 Oct 2115 07:28:00 GMT", "Wed, 21 Oct 99999 07:28:00 GMT", "1e9", "0x10"),
            *("Wed, 99 Oct 2115 07:28:00 GMT", "Thu, 01 Jan 1970 00:00:00 -9999", "٣", "+5", "5;6"),
            *("Fri, 31 Dec 9999 23:59:60 GMT", "Mon, 01 Jan 0001 00:00:00 +1400", "NaN", "inf"),
        ]
    ),
)


@few
@given(text=waits, status=st.integers(100, 999), number=st.integers(1, 100), chance=st.floats(0, 1))
def test_whatever_it_asks_for_the_next_attempt_is_within_a_day(
    text: str, status: int, number: int, chance: float
) -> None:
    wait = asked_wait(text, NOW)
    assert wait is None or 0 <= wait < 1e12
    attempt = attempt_of(Answered(status, wait), number, 100, NOW, lambda: chance)
    if attempt.next_at is not None:
        assert 0 < (attempt.next_at - NOW).total_seconds() <= 86_400


heads = st.builds(
    lambda version, status, reason, headers: b"\r\n".join(
        [b" ".join([version, status, reason]), *headers, b"", b""]
    ),
    st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/9.9", b"ICY", b""]),
    st.sampled_from([b"200", b"204", b"100", b"301", b"503", b"99", b"1000", b"-1", b"abc", b""]),
    st.sampled_from([b"OK", b"", b"\xff\xfe", b"x" * 5000]),
    st.lists(
        st.sampled_from(
            [
                *(b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 99999999999"),
                *(b"Content-Length: x", b"Transfer-Encoding: chunked", b"Content-Encoding: gzip"),
                *(b"Retry-After: 5", b"Retry-After: \xff", b"no colon", b": no name", b"A:\0b"),
                *(b"Location: http://169.254.169.254/", b"X: " + b"y" * 70_000),
            ]
        ),
        max_size=3,
    ),
)
answers = st.tuples(st.one_of(heads, noise, st.just(b"")), noise).map(b"".join)


@pytest.fixture(scope="module")
def turning() -> Iterator[tuple[asyncio.Runner, HttpSender]]:
    """One loop and one sender for all examples: the first call of a sender costs 100 ms."""
    with pytest.MonkeyPatch.context() as patched, asyncio.Runner() as runner:
        patched.setenv("NO_PROXY", "127.0.0.1")
        sender = HttpSender(SystemClock())
        yield runner, sender
        runner.run(sender.close())


@fewer
@given(answers)
def test_any_bytes_are_an_outcome(
    turning: tuple[asyncio.Runner, HttpSender], answer: bytes
) -> None:
    def serve(caller: socket.socket) -> None:
        caller.recv(65536)
        caller.sendall(answer)

    runner, sender = turning
    with raw_receiver(serve) as url:
        url = url.replace("http://", f"http://me:{SECRET}@") + f"?key={SECRET}"
        call = sender.send(Delivery(1, owed(fire(), url)), Terms(url, 10))
        outcome = runner.run(call)
    if isinstance(outcome, Unanswered):
        assert not outcome.is_final
        assert SECRET not in outcome.problem
        assert len(outcome.problem) < 1000
    else:
        assert 100 <= outcome.http_status <= 999
