"""The time that a run may spend waiting for its registry, and waiting that never outlasts it.

What blocks (requests, name lookups, a lock held by another run) happens in threads of its own,
which are left behind when the time is over or the run must stop: none of them can be broken off.
"""

import os
import select
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from noether_contract.outcomes import ErrorCode
from noether_runner.errors import RunnerError
from noether_runner.sandbox.cancellation import Cancellation

T = TypeVar("T")


class OutOfPatienceError(Exception):
    """All the time that there was for waiting has been spent."""


class Patience:
    """`seconds` of waiting in `all_of`, all its calls together; a cancellation ends it at once.

    Only waiting counts: stages that a running graph asks for have what resolution left over.
    """

    def __init__(self, seconds: float, cancellation: Cancellation | None = None) -> None:
        self.seconds = seconds
        self._cancellation = cancellation
        self._spent = 0.0
        self._began: float | None = None
        self._asleep = threading.Event()

    def left(self) -> float:
        """Seconds that are left, never less than 0."""
        began = self._began
        waiting = 0.0 if began is None else time.monotonic() - began
        return max(0.0, self.seconds - self._spent - waiting)

    def pause(self, seconds: float) -> bool:
        """For calls made by `all_of`: sleeps; False at once when there is less time left, or when
        the run must stop."""
        if seconds >= self.left():
            return False
        if self._cancellation is not None:
            return not self._cancellation.wait(seconds)
        self._asleep.wait(seconds)
        return True

    def all_of(self, calls: Sequence[Callable[[], T]], at_once: int = 1) -> list[T]:
        """The results of the calls, in their order, at most `at_once` of them running at a time.

        Raises what the first failed call raised, `OutOfPatienceError`, or `RunnerError` when the
        run must stop.
        """
        work = _Work(calls)
        self._began = time.monotonic()
        with ExitStack() as open_ends:
            ready = select.poll()
            waiting = set()
            for _ in range(min(at_once, len(calls))):
                end = work.start_thread()
                open_ends.callback(os.close, end)
                ready.register(end, select.POLLIN)
                waiting.add(end)
            if self._cancellation is not None:
                ready.register(self._cancellation.fileno(), select.POLLIN)
            try:
                while waiting:
                    self._stop_if_told()
                    for descriptor, _ in ready.poll(self._poll_ms()):
                        if descriptor in waiting:
                            waiting.remove(descriptor)
                            ready.unregister(descriptor)
            finally:
                work.abandon()
                self._spent += time.monotonic() - self._began
                self._began = None
        return work.results()

    def _poll_ms(self) -> float:
        left = self.left()
        if left <= 0:
            raise OutOfPatienceError
        deadline = self._cancellation.deadline if self._cancellation is not None else None
        if deadline is not None:
            left = min(left, max(0.0, deadline - time.monotonic()))
        # Rounded up: a poll that returns too early would only be repeated.
        return left * 1000 + 1

    def _stop_if_told(self) -> None:
        told = self._cancellation
        if told is None:
            return
        meanwhile = "while its stages were fetched from the registry"
        if told.cancelled:
            message = f"the run was stopped ({told.reason}) {meanwhile}"
            raise RunnerError(ErrorCode.RUN_INTERRUPTED, message)
        if told.deadline is not None and time.monotonic() >= told.deadline:
            message = f"the run reached its time limit {meanwhile}"
            raise RunnerError(ErrorCode.RUN_TIMED_OUT, message)


class _Work(Generic[T]):
    """Calls that threads take one by one."""

    def __init__(self, calls: Sequence[Callable[[], T]]) -> None:
        self._waiting: SimpleQueue[tuple[int, Callable[[], T]]] = SimpleQueue()
        for numbered in enumerate(calls):
            self._waiting.put(numbered)
        self._results: dict[int, T] = {}
        self._failures: dict[int, BaseException] = {}

    def start_thread(self) -> int:
        """A descriptor that becomes readable when the thread has nothing left to do."""
        ours, theirs = os.pipe2(os.O_CLOEXEC)
        threading.Thread(target=self._take_all, args=(theirs,), daemon=True).start()
        return ours

    def abandon(self) -> None:
        """No further call is started."""
        while True:
            try:
                self._waiting.get_nowait()
            except Empty:
                return

    def results(self) -> list[T]:
        """What the calls returned; raises what the first one that failed raised."""
        for place in sorted(self._failures):
            raise self._failures[place]
        return [self._results[place] for place in sorted(self._results)]

    def _take_all(self, end: int) -> None:
        try:
            while True:
                try:
                    place, call = self._waiting.get_nowait()
                except Empty:
                    return
                try:
                    self._results[place] = call()
                except BaseException as failure:
                    self._failures[place] = failure
        finally:
            # Only this thread knows this end, so nobody else's descriptor is ever closed here.
            os.close(end)
