"""The alarm on the wall clock, and telling a clock that was set from a moment's lateness."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noether_supervisor.decisions.events import ClockJumped, Woke
from noether_supervisor.timer import JUMP_SECONDS, ClockWatch, WallAlarm

EIGHT = datetime(2026, 4, 14, 8, tzinfo=UTC)


class TwoClocks:
    """A wall clock and a monotonic one that go as they are told."""

    def __init__(self) -> None:
        self.wall = EIGHT
        self.seconds = 1000.0

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.seconds

    def pass_time(self, wall_seconds: float, seconds: float | None = None) -> None:
        self.wall += timedelta(seconds=wall_seconds)
        self.seconds += wall_seconds if seconds is None else seconds


def test_time_that_only_passes_is_a_wake() -> None:
    clock = TwoClocks()
    watch = ClockWatch(clock)
    for seconds in (0, 0.5, 60, 86_400):
        clock.pass_time(seconds)
        assert watch.look() == Woke(clock.wall)


@pytest.mark.parametrize("step", [JUMP_SECONDS, 3600, -JUMP_SECONDS, -86_400])
def test_a_clock_that_was_set_far_is_a_jump_once(step: float) -> None:
    clock = TwoClocks()
    watch = ClockWatch(clock)
    clock.pass_time(5 + step, 5)
    assert watch.look() == ClockJumped(clock.wall)
    clock.pass_time(5)
    assert watch.look() == Woke(clock.wall)


@pytest.mark.parametrize("step", [0.9, 30, JUMP_SECONDS - 1, 1 - JUMP_SECONDS])
def test_a_small_correction_is_lateness(step: float) -> None:
    clock = TwoClocks()
    watch = ClockWatch(clock)
    clock.pass_time(step, 0)
    assert watch.look() == Woke(clock.wall)


def test_a_suspend_is_a_jump() -> None:
    clock = TwoClocks()
    watch = ClockWatch(clock)
    clock.pass_time(7200, 3)
    assert watch.look() == ClockJumped(clock.wall)


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(-1e5, 1e5)), max_size=20))
def test_every_look_tells_the_time_of_now(steps: list[tuple[float, float]]) -> None:
    clock = TwoClocks()
    watch = ClockWatch(clock)
    for passed, step in steps:
        clock.pass_time(passed + step, passed)
        seen = watch.look()
        assert seen.now == clock.wall
        if abs(step) > JUMP_SECONDS + 1:
            assert isinstance(seen, ClockJumped)
        elif abs(step) < JUMP_SECONDS - 1:
            assert isinstance(seen, Woke)


async def went_off(*instants: datetime | None) -> datetime:
    """When an alarm that was set to these instants, one after the other, went off."""
    loop = asyncio.get_running_loop()
    heard: asyncio.Future[datetime] = loop.create_future()

    def hear() -> None:
        if not heard.done():
            heard.set_result(datetime.now(UTC))

    alarm = WallAlarm(loop, hear)
    for instant in instants:
        alarm.set(instant)
    try:
        return await asyncio.wait_for(heard, 30)
    finally:
        alarm.close()
        alarm.close()


def test_it_goes_off_at_its_instant_and_not_before() -> None:
    due = datetime.now(UTC) + timedelta(milliseconds=150)
    assert asyncio.run(went_off(due)) >= due


def test_an_instant_that_is_gone_goes_off_at_once() -> None:
    asyncio.run(went_off(EIGHT - timedelta(days=20_000)))


def test_the_instant_set_last_counts() -> None:
    soon = datetime.now(UTC) + timedelta(milliseconds=50)
    late = datetime.now(UTC) + timedelta(milliseconds=300)
    assert asyncio.run(went_off(soon, late)) >= late
    asyncio.run(went_off(datetime.now(UTC) + timedelta(days=1), None, datetime.now(UTC)))


def test_without_a_timerfd_the_loop_itself_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WallAlarm, "_open", lambda _: None)
    due = datetime.now(UTC) + timedelta(milliseconds=150)
    early = timedelta(milliseconds=20)
    assert asyncio.run(went_off(datetime.now(UTC) + timedelta(days=9), due)) >= due - early
