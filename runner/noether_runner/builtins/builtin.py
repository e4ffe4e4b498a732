"""What a standard stage is to the runner: a name, a function, and where that function runs.

A theme (one module of this package) exports `STAGES`, a tuple of `Builtin`. Most stages are plain
functions of their input; the others are handed a `Context`, which is all they may know of the run
that calls them.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Protocol, TypeAlias

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass

if TYPE_CHECKING:
    # stages that run in a process of their own have no use for it, and import quicker without
    from noether_runner.builtins.surroundings import Processes, StageCalls, StageSource


class BuiltinError(Exception):
    """A standard stage failed; `message` is normative (`stdlib.md` §1.5)."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Context(Protocol):
    """What a standard stage may ask of its run."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that stages of this run see, and no others."""
        ...

    def warn(self, text: str) -> None:
        """Adds a warning to the trace: the result is as specified, and something was ignored."""
        ...

    def log(self, text: str) -> None:
        """Adds text to the captured output of the stage, as it is."""
        ...

    @property
    def reach(self) -> "Reach":
        """The rest of the run; stages that run in a process of their own have none of it."""
        ...


class Reach(Protocol):
    """The run around a standard stage that is executed by the runner itself."""

    def go_on(self) -> None:
        """Returns at once while the stage may go on, else raises; for stages that may take long."""
        ...

    @property
    def calls(self) -> "StageCalls":
        """Calls other stages, by any reference that a graph may use."""
        ...

    @property
    def stages(self) -> "StageSource":
        """Looks stages up in the run's store."""
        ...

    @property
    def processes(self) -> "Processes":
        """Processes that belong to the run and end with it."""
        ...


class Place(Enum):
    """Where a standard stage is executed."""

    RUNNER = "runner"
    """In the runner itself: quick, touches nothing, or needs the run around it."""
    CHILD = "child"
    """In a process of its own, with the limits of a stage: files, network, databases."""


Run: TypeAlias = Callable[[JsonValue, Context], JsonValue]


@dataclass(frozen=True, slots=True)
class Recall:
    """How a stage's outputs are used again within one run.

    Arguments with the same `question` get the output of the first that succeeded, as `again`
    makes it of that output.
    """

    question: Callable[[JsonValue], str]
    again: Callable[[JsonValue], JsonValue]


@dataclass(frozen=True, slots=True)
class Builtin:
    """One standard stage. `run` raises `BuiltinError`, and changes nothing of its argument."""

    name: str
    run: Run
    place: Place = Place.RUNNER
    recall: Recall | None = None


def plain(name: str, function: Callable[[JsonValue], JsonValue]) -> Builtin:
    """A stage that needs nothing but its input."""

    def run(value: JsonValue, _context: Context) -> JsonValue:
        return function(value)

    return Builtin(name, run)
