"""SIGINT and SIGTERM for commands that run stages: the first asks, the second ends at once."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interruptible(cancel: Callable[[str], None]) -> Iterator[set[int]]:
    """Calls `cancel` with the reason at the first signal; gives the numbers of those seen.

    Only the main thread can enter. What the signals did before comes back at the end.
    """
    seen: set[int] = set()

    def stop(number: int, _frame: FrameType | None) -> None:
        if seen:
            os._exit(128 + number)
        seen.add(number)
        cancel(f"by {signal.Signals(number).name}")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield seen
    finally:
        for number, action in before.items():
            signal.signal(number, action)
