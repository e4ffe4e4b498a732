"""Branches at the same time, on a bounded number of threads (`graph.md` §4.2).

Whoever has branches to run hires the threads that are free and works itself until none is left,
so a nested composition never waits for a thread: it cannot deadlock, and it needs none to run.
"""

import itertools
import threading
from collections.abc import Callable, Sequence

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass

Task = Callable[[], JsonValue]


@dataclass(frozen=True, slots=True)
class Done:
    """A task's result."""

    value: JsonValue


@dataclass(frozen=True, slots=True)
class Broken:
    """What a task raised."""

    error: BaseException


class Crew:
    """The threads of one run: at most `threads` beside those that call `run_all`."""

    def __init__(self, threads: int) -> None:
        self._free = threads
        self._lock = threading.Lock()

    def run_all(self, tasks: Sequence[Task], wanted: int | None = None) -> list[Done | Broken]:
        """The endings of all tasks, in their order; returns when every task has ended.

        `wanted` bounds the tasks worth running at the same time (default: all of them).
        """
        at_once = len(tasks) if wanted is None else min(wanted, len(tasks))
        if at_once <= 1:
            return [_ending(task) for task in tasks]
        endings: list[Done | Broken | None] = [None] * len(tasks)
        turns = itertools.count()  # `next` on it is atomic: each task is taken once

        def work() -> None:
            while (turn := next(turns)) < len(tasks):
                endings[turn] = _ending(tasks[turn])

        hired = self._hire(work, at_once - 1)
        work()
        for thread in hired:
            thread.join()
        return [ending for ending in endings if ending is not None]

    def _hire(self, work: Callable[[], None], most: int) -> list[threading.Thread]:
        with self._lock:
            count = min(most, self._free)
            self._free -= count
        hired: list[threading.Thread] = []
        for _ in range(count):
            # A daemon: a run that is given up must not keep its process alive.
            thread = threading.Thread(target=self._shift, args=(work,), daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the operating system has no thread left: the caller works alone
                self._dismiss(count - len(hired))
                break
            hired.append(thread)
        return hired

    def _shift(self, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            self._dismiss(1)

    def _dismiss(self, count: int) -> None:
        with self._lock:
            self._free += count


def _ending(task: Task) -> Done | Broken:
    try:
        return Done(task())
    except BaseException as error:
        return Broken(error)
