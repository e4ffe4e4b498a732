"""A cancellation within a cancellation: for calls that may have to stop before their run does."""

import select
import time
from types import TracebackType
from typing import Self

from noether_runner.sandbox.cancellation import Cancellation, CancelSwitch


class Narrowed:
    """A `Cancellation` that ends with `outer`, at a deadline of its own, or when it is told.

    Use it as a context: leaving gives its descriptors back.
    """

    def __init__(self, outer: Cancellation, deadline: float | None = None) -> None:
        self._outer = outer
        self._own = CancelSwitch(deadline)
        # one descriptor that is readable as soon as either of the two is
        self._either = select.epoll()
        self._either.register(outer.fileno(), select.EPOLLIN)
        self._either.register(self._own.fileno(), select.EPOLLIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._either.close()
        self._own.close()

    @property
    def cancelled(self) -> bool:
        """Whether this or the outer one was told to stop."""
        return self._own.cancelled or self._outer.cancelled

    @property
    def reason(self) -> str | None:
        """The outer one's reason before our own."""
        return self._outer.reason or self._own.reason

    @property
    def deadline(self) -> float | None:
        """The earlier of the two deadlines."""
        deadlines = [each.deadline for each in (self._outer, self._own)]
        return min((each for each in deadlines if each is not None), default=None)

    def cancel(self, reason: str) -> None:
        """Tell what runs under this one to stop; the outer one goes on."""
        self._own.cancel(reason)

    def wait(self, seconds: float) -> bool:
        """Sleep for `seconds`; True as soon as it must stop (told so, or at a deadline)."""
        until = time.monotonic() + seconds
        deadline = self.deadline
        expires = deadline is not None and deadline <= until
        if expires and deadline is not None:
            until = deadline
        poll = select.poll()
        poll.register(self._either, select.POLLIN)
        left_ms = max(0.0, (until - time.monotonic()) * 1000)
        return bool(poll.poll(left_ms)) or expires

    def fileno(self) -> int:
        """A descriptor that becomes, and stays, readable once either was told to stop."""
        return self._either.fileno()
