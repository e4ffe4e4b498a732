"""Waiting for others, but not for ever."""

import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from noether_contract.outcomes import ErrorCode
from noether_runner.errors import RunnerError
from noether_runner.sandbox.cancellation import CancelSwitch
from noether_runner.stores.registry.patience import OutOfPatienceError, Patience


def test_results_come_in_the_order_of_the_calls() -> None:
    patience = Patience(60)
    calls: list[Callable[[], object]] = [partial(divmod, each, 7) for each in range(20)]
    assert patience.all_of(calls, at_once=4) == [divmod(number, 7) for number in range(20)]
    nothing: list[Callable[[], int]] = []
    assert patience.all_of(nothing) == []


def test_calls_run_at_the_same_time_up_to_a_bound() -> None:
    both = threading.Barrier(2)
    Patience(60).all_of([both.wait, both.wait], at_once=2)
    assert not both.broken


def test_the_first_failure_is_raised() -> None:
    def fail(text: str) -> int:
        raise ValueError(text)

    calls = [partial(int, "1"), partial(fail, "one"), partial(fail, "two")]
    with pytest.raises(ValueError, match="one"):
        Patience(60).all_of(calls, at_once=2)


def test_nothing_is_waited_for_when_the_time_is_over() -> None:
    hold = threading.Event()
    patience = Patience(0.02)
    started: list[int] = []

    def wait(number: int) -> bool:
        started.append(number)
        return hold.wait()

    try:
        with pytest.raises(OutOfPatienceError):
            patience.all_of([partial(wait, number) for number in range(3)])
        assert patience.left() == 0
        with pytest.raises(OutOfPatienceError):
            patience.all_of([hold.wait])
    finally:
        hold.set()
    assert started in ([], [0])


def test_time_between_waits_does_not_count() -> None:
    patience = Patience(1000)
    patience.all_of([lambda: None])
    left = patience.left()
    assert 0 < left < 1000
    assert patience.left() == left


def test_pauses_fit_or_are_not_made() -> None:
    patience = Patience(10)
    assert patience.all_of([partial(patience.pause, 0.0), partial(patience.pause, 11.0)]) == [
        True,
        False,
    ]


def test_a_pause_ends_when_the_run_must_stop() -> None:
    switch = CancelSwitch()
    patience = Patience(60, switch)
    switch.cancel("by SIGTERM")
    assert not patience.pause(30)
    with pytest.raises(RunnerError) as stopped:
        patience.all_of([lambda: 1])
    assert stopped.value.code is ErrorCode.RUN_INTERRUPTED
    assert "by SIGTERM" in stopped.value.message
    switch.close()


def test_the_deadline_of_the_run_counts() -> None:
    switch = CancelSwitch(time.monotonic() + 0.02)
    hold = threading.Event()
    try:
        with pytest.raises(RunnerError) as stopped:
            Patience(60, switch).all_of([hold.wait])
    finally:
        hold.set()
        switch.close()
    assert stopped.value.code is ErrorCode.RUN_TIMED_OUT
