"""`noether-scheduler` with a clock that a test drives: time passes when the test says so.

An entry point for tests only, which the product knows nothing of. `DRIVEN_START` is what the wall
clock shows at the start. Each line that comes on the FIFO `DRIVEN_BY` is `[PASSED, STEPPED]`, in
seconds: so much time passes, the alarm going off whenever it is set to; then the wall clock is
stepped, which the monotonic clock has no part in, as when it is set or the machine was asleep.
For each line the FIFO `DRIVEN_ANSWERS` gets one with the wall clock then.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from unittest.mock import patch

from noether_supervisor import opened, service
from noether_supervisor.cli import main


class DrivenClock:
    """Both clocks, at rest until somebody moves them."""

    def __init__(self, start: datetime) -> None:
        self.wall = start
        self.seconds = 1000.0

    def now(self) -> datetime:
        """The wall clock."""
        return self.wall

    def monotonic(self) -> float:
        """The monotonic clock."""
        return self.seconds

    def pass_until(self, instant: datetime) -> None:
        """Both clocks go on; never backwards."""
        self.seconds += max(0.0, (instant - self.wall).total_seconds())
        self.wall = max(self.wall, instant)


CLOCK = DrivenClock(datetime.fromisoformat(os.environ["DRIVEN_START"]))


class DrivenAlarm:
    """Stands where the service has its `WallAlarm`; moves the clock as it is told to."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_alarm: Callable[[], None]) -> None:
        self._loop = loop
        self._on_alarm = on_alarm
        self._instant: datetime | None = None
        self._lines = os.open(os.environ["DRIVEN_BY"], os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._answers = os.open(os.environ["DRIVEN_ANSWERS"], os.O_RDWR | os.O_CLOEXEC)
        self._text = b""
        self._told = loop.create_task(self._follow())

    def set(self, instant: datetime | None) -> None:
        """The next instant to go off at."""
        self._instant = instant

    def close(self) -> None:
        """No further call comes."""
        self._told.cancel()
        # before its number is that of something else
        self._loop.remove_reader(self._lines)
        os.close(self._lines)
        os.close(self._answers)

    async def _follow(self) -> None:
        while True:
            passed, stepped = json.loads(await self._line())
            await self._pass(CLOCK.wall + timedelta(seconds=passed))
            if stepped:
                CLOCK.wall += timedelta(seconds=stepped)
                self._on_alarm()
                await self._pass(CLOCK.wall)
            os.write(self._answers, f"{CLOCK.wall.isoformat()}\n".encode())

    async def _pass(self, until: datetime) -> None:
        while self._instant is not None and self._instant <= until:
            CLOCK.pass_until(self._instant)
            self._on_alarm()
            # whatever else is to be done in that instant
            await asyncio.sleep(0)
        CLOCK.pass_until(until)

    async def _line(self) -> bytes:
        while b"\n" not in self._text:
            ready = self._loop.create_future()
            self._loop.add_reader(self._lines, ready.set_result, None)
            await ready
            self._loop.remove_reader(self._lines)
            # a line at a time: what a killed service has not read is for the next one
            self._text += os.read(self._lines, 1)
        line, _, self._text = self._text.partition(b"\n")
        return line


if __name__ == "__main__":
    with (
        patch.object(opened, "SystemClock", lambda: CLOCK),
        patch.object(service, "WallAlarm", DrivenAlarm),
    ):
        sys.exit(main())
