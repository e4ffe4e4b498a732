"""How a run is told to stop: a flag with a reason, and a descriptor that a poll loop can watch.

One `CancelSwitch` belongs to one run. Whoever waits (a stage call's poll loop, a Retry's delay)
sees the cancellation at once, without a thread or a timer of its own.
"""

import contextlib
import os
import select
import time
from typing import Protocol


class Cancellation(Protocol):
    """What code that may have to stop early can ask; safe to use from any thread."""

    @property
    def cancelled(self) -> bool:
        """Whether the run was told to stop."""

    @property
    def reason(self) -> str | None:
        """Why it was told to stop (a word such as `interrupted`); None while it was not."""

    @property
    def deadline(self) -> float | None:
        """The instant (`time.monotonic()`, seconds) at which the run must be over, if any."""

    def wait(self, seconds: float) -> bool:
        """Sleep for `seconds`; True as soon as the run must stop (told so, or at its deadline)."""

    def fileno(self) -> int:
        """A descriptor that becomes, and stays, readable once the run was told to stop."""


class CancelSwitch:
    """A `Cancellation` that can be thrown, once and for all.

    `cancel` takes no lock, so a signal handler may call it at any moment.
    """

    __slots__ = ("_deadline", "_event", "_reasons")

    def __init__(self, deadline: float | None = None) -> None:
        self._deadline = deadline
        self._reasons: list[str] = []
        self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return bool(self._reasons)

    @property
    def reason(self) -> str | None:
        """The reason given first; None while nobody called `cancel`."""
        return self._reasons[0] if self._reasons else None

    @property
    def deadline(self) -> float | None:
        """The instant (`time.monotonic()`, seconds) at which the run must be over, if any."""
        return self._deadline

    def cancel(self, reason: str) -> None:
        """Tell the run to stop; the first reason counts, further calls change nothing."""
        self._reasons.append(reason)
        if self._event >= 0:
            # whoever closes the switch meanwhile waits no more
            with contextlib.suppress(OSError):
                os.eventfd_write(self._event, 1)

    def wait(self, seconds: float) -> bool:
        """Sleep for `seconds`; True as soon as the run must stop (told so, or at its deadline)."""
        until = time.monotonic() + seconds
        expires = self._deadline is not None and self._deadline <= until
        if expires and self._deadline is not None:
            until = self._deadline
        poll = select.poll()
        poll.register(self._event, select.POLLIN)
        left_ms = max(0.0, (until - time.monotonic()) * 1000)
        return bool(poll.poll(left_ms)) or expires

    def fileno(self) -> int:
        """A descriptor that becomes, and stays, readable once `cancel` was called."""
        return self._event

    def close(self) -> None:
        """Give the descriptor back; call it when nobody waits any more."""
        event, self._event = self._event, -1
        if event >= 0:
            os.close(event)
