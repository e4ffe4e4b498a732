"""What a language is to the runner: how to start its process, and how to read its end.

To add one: a file beside this, a line in `table.py`, a bootstrap in `children/`, a test.
"""

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Protocol

from noether_contract.lean_dataclass import dataclass
from noether_runner.errors import StageError
from noether_runner.sandbox.calls import ChildResult
from noether_runner.sandbox.isolation import NO_EFFECTS
from noether_runner.sandbox.limits import StageLimits
from noether_runner.stages.effects import EffectSet

CHILDREN = Path(__file__).parent / "children"
"""The folder of the bootstraps that are executed."""

_CHILDREN_PACKAGE = "noether_runner.languages.children"


@dataclass(frozen=True, slots=True)
class StageProgram:
    """The code of a stage as its record has it.

    `name` is for people (in file names of tracebacks, never for lookups). `input_is_text`: the
    declared input type is Text, so a string argument stays as it is. `effects` are those declared:
    a sandbox opens what they name.
    """

    name: str
    language: str | None
    code: str
    input_is_text: bool = False
    effects: EffectSet = NO_EFFECTS


@dataclass(frozen=True, slots=True)
class CallSite:
    """Where and with what one call will run; `seconds` is what the stage has left.

    `python` is the interpreter of the stage's own environment, if it needs one.
    """

    token: str
    directory: Path
    environment: Mapping[str, str]
    limits: StageLimits
    seconds: float
    python: str | None = None


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start the process; exactly one of `entry` and `argv` (`sandbox.calls.ChildCall`).

    `reads_file`: the bootstrap reads the source in the working directory, wherever that is.
    """

    payload: bytes
    entry: str | None = None
    argv: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    stdout_bytes: int | None = None
    reads_file: bool = False


class Language(Protocol):
    """One language of stages."""

    @property
    def name(self) -> str:
        """The word for it in traces: one of `spellings`."""

    @property
    def spellings(self) -> tuple[str, ...]:
        """Language tags in lower case, those the reference knows first."""

    @property
    def file_name(self) -> str:
        """The name of the source file in the private directory."""

    def launch(self, program: StageProgram, argument: bytes, site: CallSite) -> Launch:
        """How to start a call with this argument (JSON text).

        Raises StageError (`runtime_unavailable`, `dependency_error`) when it cannot be started.
        """

    def explain_end(self, result: ChildResult, limits: StageLimits) -> StageError | None:
        """What an end without an answer means in this language; None: what it means in any."""


def run_apart(python: str, module: str) -> tuple[str, ...]:
    """The command that runs `children/<module>.py` in an interpreter without our packages."""
    return (python, "-I", str(CHILDREN / "apart.py"), f"{_CHILDREN_PACKAGE}.{module}")
