"""The end of a runner's standard input reaches whoever asked for it."""

import os
import select
import signal
import socket
from collections.abc import Iterator

import pytest

from noether_runner.lifeline import hold_on
from noether_runner.sandbox.cancellation import CancelSwitch

PATIENCE_MS = 30_000


@pytest.fixture
def switch() -> Iterator[CancelSwitch]:
    before = signal.getsignal(signal.SIGIO)
    made = CancelSwitch()
    yield made
    signal.signal(signal.SIGIO, before)
    made.close()


def is_cancelled(switch: CancelSwitch) -> bool:
    poll = select.poll()
    poll.register(switch.fileno(), select.POLLIN)
    return bool(poll.poll(PATIENCE_MS))


def test_the_end_of_a_pipe(switch: CancelSwitch) -> None:
    ours, theirs = os.pipe()
    hold_on(ours, switch.cancel)
    os.write(theirs, b"of no interest")
    assert not switch.cancelled
    os.close(theirs)
    assert is_cancelled(switch)
    assert switch.reason == "the supervisor is gone"
    os.close(ours)


def test_a_pipe_that_has_ended_before(switch: CancelSwitch) -> None:
    ours, theirs = os.pipe()
    os.close(theirs)
    hold_on(ours, switch.cancel)
    assert switch.cancelled
    os.close(ours)


def test_what_is_no_pipe(switch: CancelSwitch) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        hold_on(ours.fileno(), switch.cancel)
        theirs.close()
        assert is_cancelled(switch)
