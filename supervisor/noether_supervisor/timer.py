"""One wall-clock alarm on the event loop that also notices when the clock is set.

On Linux a realtime timerfd with cancel-on-set (timerfd_create(2)) goes off at the instant, and
at once when the clock jumps or the machine wakes from suspend. Python has no binding for it
before 3.13, hence ctypes. Where the call is missing, the alarm looks at the clock every 30 s.
"""

import asyncio
import ctypes
import os
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from noether_supervisor.clock import Clock
from noether_supervisor.decisions.events import ClockJumped, Woke

_TFD_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_TFD_ABSOLUTE_CANCEL_ON_SET = 1 | 2
_FAR_AWAY_MICROSECONDS = 2**33 * 1_000_000
_LOOK_AGAIN_SECONDS = 30.0

JUMP_SECONDS = 60.0
"""A clock step of this size or more is a jump; less than cron's own resolution is lateness."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class WallAlarm:
    """Calls `on_alarm` on the loop at the instant set last, and whenever the clock was set.

    A call may come early, late or for nothing: whoever is called looks at the clock.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_alarm: Callable[[], None]) -> None:
        self._loop = loop
        self._on_alarm = on_alarm
        self._handle: asyncio.TimerHandle | None = None
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._open()
        if self._descriptor is not None:
            loop.add_reader(self._descriptor, self._went_off)

    def set(self, instant: datetime | None) -> None:
        """The next instant to go off at; None for "only when the clock is set"."""
        if self._descriptor is not None:
            self._arm(_FAR_AWAY_MICROSECONDS if instant is None else _microseconds(instant))
            return
        if self._handle is not None:
            self._handle.cancel()
        delay = _LOOK_AGAIN_SECONDS
        if instant is not None:
            delay = min(delay, max(0.0, (instant - datetime.now(UTC)).total_seconds()))
        self._handle = self._loop.call_later(delay, self._on_alarm)

    def close(self) -> None:
        """No further call comes."""
        if self._handle is not None:
            self._handle.cancel()
        if self._descriptor is not None:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int | None:
        try:
            clock_realtime = 0
            descriptor: int = self._libc.timerfd_create(clock_realtime, _TFD_NONBLOCK_CLOEXEC)
        except AttributeError:
            return None
        return descriptor if descriptor >= 0 else None

    def _arm(self, microseconds: int) -> None:
        # zero would disarm; an instant long gone goes off at once
        seconds, rest = divmod(max(1, microseconds), 1_000_000)
        setting = struct.pack("@qqqq", 0, 0, seconds, rest * 1000)
        armed = self._libc.timerfd_settime(
            self._descriptor, _TFD_ABSOLUTE_CANCEL_ON_SET, setting, None
        )
        if armed != 0 and ctypes.get_errno() != 0:
            # ECANCELED: the clock was set since the last look; the alarm is armed all the same
            self._loop.call_soon(self._on_alarm)

    def _went_off(self) -> None:
        assert self._descriptor is not None
        try:
            os.read(self._descriptor, 8)
        except BlockingIOError:
            return
        except OSError:
            # ECANCELED: the clock was set
            pass
        self._on_alarm()


class ClockWatch:
    """Tells lateness from a clock that was set: the wall clock is compared with the monotonic one.

    The monotonic clock stands still while the machine sleeps, so a suspend is a jump forwards. A
    step of less than `JUMP_SECONDS` counts as lateness, which drops no fire.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wall = clock.now()
        self._monotonic = clock.monotonic()

    def look(self) -> Woke | ClockJumped:
        """What the clocks say has happened since the last look."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        went_by = timedelta(seconds=monotonic - self._monotonic)
        drift = (now - self._wall) - went_by
        self._wall, self._monotonic = now, monotonic
        return ClockJumped(now) if abs(drift.total_seconds()) >= JUMP_SECONDS else Woke(now)


def _microseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)
