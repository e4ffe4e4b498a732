"""What a run offers to those of its standard stages that the runner executes itself.

Other stages, the store, and processes that outlive a stage. The runner implements these
(`standard_stages.py`, `nested_calls.py`, `spawned.py`); tests may give simpler ones.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass

if TYPE_CHECKING:
    # stages that run in a process of their own must not pay for the models behind a record
    from noether_runner.stages.stage import Stage


@dataclass(frozen=True, slots=True)
class ChildCall:
    """One call that a higher-order stage makes: `reference` is whatever a graph may write."""

    reference: str
    argument: JsonValue


class ChildFailedError(Exception):
    """A stage that a higher-order stage called has failed; `message` is the child's own."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class CutShortError(Exception):
    """A call was stopped with what is around it; no standard stage may catch this."""


class TimeIsOverError(Exception):
    """A call within a time limit was stopped because the time was over."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How such a call ended: `output`, unless there is an `error`.

    `cut_short`: it was stopped because the others made it pointless; no failure of its own.
    """

    output: JsonValue = None
    error: ChildFailedError | None = None
    cut_short: bool = False


Pointless = Callable[[int, Ending], Iterable[int]]
"""Told of each ending as it comes; answers with the positions of calls that may be stopped."""


class StageCalls(Protocol):
    """The way from a higher-order stage to the stages it calls.

    Every call goes through the whole runner: resolution, effect policy, budget, limits, trace.
    """

    def call(self, reference: str, argument: JsonValue) -> JsonValue:
        """The child's output; raises `ChildFailedError`."""
        ...

    def within(self, seconds: float) -> "AbstractContextManager[StageCalls]":
        """Calls that are stopped when the time is over; leaving then raises `TimeIsOverError`."""
        ...

    def together(self, calls: Sequence[ChildCall], pointless: Pointless) -> list[Ending]:
        """All endings, in the order of the calls, which run at the same time."""
        ...

    def wait(self, seconds: float) -> None:
        """Sleeps; raises when the run has to stop meanwhile."""
        ...


class StageSource(Protocol):
    """The stages of the run's store and of the standard library."""

    def find(self, reference: str) -> "Stage | None":
        """The stage that a reference stands for, whatever its lifecycle; None when there is none.

        Raises `UncertainError` when several could be meant, or the record cannot be read.
        """
        ...

    def all(self) -> Iterable["Stage"]:
        """Every stage that can be read, in a fixed order."""
        ...


class UncertainError(Exception):
    """A stage cannot be told, although the store may hold it; the text says why."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program to start; `environment` is complete."""

    command: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str | None = None


class Processes(Protocol):
    """Processes that a run has started, and what it may do to others."""

    def start(self, program: Program) -> int:
        """Starts a program beside the run and gives its process id; raises `OSError`."""
        ...

    def wait(self, pid: int, seconds: float) -> bool:
        """Whether the process has ended within the time; raises when the run has to stop."""
        ...

    def send(self, pid: int, signal_number: int) -> bool:
        """Sends a signal; False when there is no such process or it is not ours to signal.

        Raises `NotYoursError` for a process of the scheduler.
        """
        ...


class NotYoursError(Exception):
    """The process belongs to the scheduler itself; no stage may signal it."""
