"""What goes into one stage process and what comes out of it, whatever its language."""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from pathlib import Path

from noether_contract.lean_dataclass import dataclass
from noether_runner.sandbox.limits import StageLimits
from noether_runner.sandbox.logs import Log
from noether_runner.sandbox.wire import Confinement


class EndedFor(StrEnum):
    """Why the runner ended a stage process."""

    STAGE_DEADLINE = "stage_deadline"
    RUN_DEADLINE = "run_deadline"
    CANCELLED = "cancelled"
    OUTPUT_TOO_LARGE = "output_too_large"
    LINGERED = "lingered"
    """It had answered, and was still there when its time to go was over: no failure."""


@dataclass(frozen=True, slots=True)
class ChildCall:
    """One stage process to run.

    Either `entry` (`module:function`, called in a process forked from the zygote) or `argv` (a
    program to execute) says what runs. `payload` reaches the language's bootstrap in memory.
    `directory` exists, is private, and becomes the working directory. `environment` is complete.
    `token` marks the frames of this call's result channel. `stdout_bytes` is how much of the
    standard output to keep when it is more than the limits say (languages that may answer there).
    `confinement` is what the process takes upon itself before user code.
    """

    token: str
    directory: Path
    environment: Mapping[str, str]
    limits: StageLimits
    payload: bytes
    entry: str | None = None
    argv: tuple[str, ...] = ()
    stdout_bytes: int | None = None
    confinement: Confinement | None = None

    @property
    def is_in_sandbox(self) -> bool:
        """Whether `argv` starts a sandbox, with a stage-init in it that starts the stage."""
        return self.confinement is not None and bool(self.confinement.inside)


@dataclass(frozen=True, slots=True)
class ChildResult:
    """How one stage process ended; the facts, not yet a judgement.

    `result` and `error` are payloads of the answer's frames; `streamed` says that `result` is
    what the process wrote until its end. `answer_incomplete`: an answer began and broke off.
    `wait_status` is that of the stage process (`os.waitpid`), None when it is not known because
    its stage-init was killed. `leftovers` counts processes that had to be killed after the
    stage's own. `not_started` says why nothing ran; `no_sandbox` that the sandbox did not come up,
    so that no user code ran (what it said is in `stderr`). `discarded_files` are those that the
    stage left in a private home inside.
    """

    stdout: Log
    stderr: Log
    result: bytes | None = None
    error: bytes | None = None
    streamed: bool = False
    answer_incomplete: bool = False
    ended_for: EndedFor | None = None
    wait_status: int | None = None
    cpu_ms: float | None = None
    peak_memory_bytes: int | None = None
    leftovers: int = 0
    not_started: str | None = None
    no_sandbox: bool = False
    discarded_files: int = 0
    abandoned_init: int | None = field(default=None, repr=False)
    """The stage-init that ended without a report; `Children` ends what is below it."""
