"""Who will not answer any more, and who is only slow; looked at in real processes."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from noether_supervisor.runs import silence
from noether_supervisor.runs.silence import ASLEEP_LOOKS, STOPPED_LOOKS, SilenceWatch, answer_of

MANY_LOOKS = 10 * ASLEEP_LOOKS


@contextmanager
def child(behaviour: Callable[[], object]) -> Iterator[int]:
    """A forked process that does this until it is killed."""
    pid = os.fork()
    if pid == 0:
        try:
            behaviour()
        finally:
            os._exit(1)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def spin() -> None:
    while True:
        pass


def until_state(pid: int, state: str) -> None:
    while SilenceWatch(pid)._look()[0] != state:
        time.sleep(0.001)


def looks_until_silent(pid: int) -> int:
    """How many looks after the first it takes."""
    watch = SilenceWatch(pid)
    assert not watch.is_silent()
    for look in range(1, MANY_LOOKS):
        if watch.is_silent():
            return look
    return MANY_LOOKS


def test_one_that_is_stopped_is_silent_soon() -> None:
    with child(spin) as pid:
        os.kill(pid, signal.SIGSTOP)
        os.waitpid(pid, os.WUNTRACED)
        assert looks_until_silent(pid) == STOPPED_LOOKS


def test_one_that_sleeps_on_is_silent_later() -> None:
    with child(signal.pause) as pid:
        until_state(pid, "S")
        assert looks_until_silent(pid) == ASLEEP_LOOKS


def test_one_that_works_or_waits_for_a_processor_is_not() -> None:
    with child(spin) as pid:
        until_state(pid, "R")
        assert looks_until_silent(pid) == MANY_LOOKS


def test_one_that_is_woken_now_and_then_is_not() -> None:
    questions_out, questions = os.pipe()
    answers, answers_in = os.pipe()

    def answer() -> None:
        while os.read(questions_out, 1):
            os.write(answers_in, b"!")

    with child(answer) as pid:
        watch = SilenceWatch(pid)
        for _ in range(MANY_LOOKS):
            os.write(questions, b"?")
            os.read(answers, 1)
            until_state(pid, "S")
            assert not watch.is_silent()
    for descriptor in (questions_out, questions, answers, answers_in):
        os.close(descriptor)


def test_one_that_is_gone_is_told_by_its_end() -> None:
    assert looks_until_silent(2**22 - 1) == MANY_LOOKS


def test_answers_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "LOOK_SECONDS", 0.001)

    async def ask(pid: int) -> str:
        turning = asyncio.get_running_loop()
        answer: asyncio.Future[str] = turning.create_future()
        turning.call_later(0.02, answer.set_result, "slow")
        return await answer_of(pid, answer, 1000.0)

    async def ask_in_vain(pid: int, patience_seconds: float) -> None:
        never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        with pytest.raises(TimeoutError):
            await answer_of(pid, never, patience_seconds)
        assert not never.cancelled()

    with child(spin) as pid:
        assert asyncio.run(ask(pid)) == "slow"
        asyncio.run(ask_in_vain(pid, 0.01))
        os.kill(pid, signal.SIGSTOP)
        asyncio.run(ask_in_vain(pid, 1000.0))
