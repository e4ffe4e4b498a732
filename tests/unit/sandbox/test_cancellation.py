import select
import threading
import time
from collections.abc import Iterator

import pytest

from noether_runner.sandbox.cancellation import CancelSwitch


@pytest.fixture
def switch() -> Iterator[CancelSwitch]:
    switch = CancelSwitch()
    yield switch
    switch.close()


def readable(switch: CancelSwitch) -> bool:
    return bool(select.select([switch], [], [], 0)[0])


def test_before_it_is_thrown(switch: CancelSwitch) -> None:
    assert (switch.cancelled, switch.reason, switch.deadline) == (False, None, None)
    assert not readable(switch)
    assert not switch.wait(0)


def test_the_first_reason_counts_and_the_descriptor_stays_readable(switch: CancelSwitch) -> None:
    switch.cancel("interrupted")
    switch.cancel("later")
    assert (switch.cancelled, switch.reason) == (True, "interrupted")
    assert readable(switch)
    assert readable(switch)
    assert switch.wait(60)


def test_a_waiting_thread_is_woken(switch: CancelSwitch) -> None:
    woken: list[bool] = []
    thread = threading.Thread(target=lambda: woken.append(switch.wait(60)))
    thread.start()
    switch.cancel("interrupted")
    thread.join(30)
    assert woken == [True]


def test_waiting_ends_at_the_deadline() -> None:
    switch = CancelSwitch(deadline=time.monotonic())
    assert switch.wait(60)
    assert not switch.cancelled
    switch.close()


def test_waiting_shorter_than_the_deadline() -> None:
    switch = CancelSwitch(deadline=time.monotonic() + 3600)
    assert not switch.wait(0.001)
    switch.close()


def test_cancelling_after_closing_is_harmless() -> None:
    switch = CancelSwitch()
    switch.close()
    switch.close()
    switch.cancel("late")
    assert switch.reason == "late"
