"""What the interpreter is given: how to call a stage, what to know of it, whom to tell.

It knows no store, no language and no process; the session puts these together.
"""

from collections.abc import Callable
from typing import TypeAlias

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass
from noether_runner.errors import StageError
from noether_runner.execution.budget import Budget
from noether_runner.execution.calls import CallOutcome, StageCall, StageFacts
from noether_runner.execution.memo import Memo
from noether_runner.execution.recorder import Recorder
from noether_runner.execution.remote import call_remote
from noether_runner.sandbox.cancellation import Cancellation

__all__ = ["CallOutcome", "CallRemote", "Execution", "StageCall", "StageFacts"]

CallRemote: TypeAlias = Callable[[str, JsonValue, Cancellation], JsonValue]
"""Posts an input to a URL and gives the output; raises `RemoteFailure`."""


@dataclass(frozen=True, slots=True)
class Execution:
    """The surroundings of one run.

    `call_stage` answers with a `CallOutcome`, also for a stage that is not there (an error of
    code STAGE_NOT_FOUND); `facts` knows something about every id. `check_argument` is asked
    between memory and budget: what it returns fails the call before it costs anything.
    `budget`, `memo` and `check_argument` may be absent. `threads` run branches beside the caller.
    """

    call_stage: Callable[[StageCall], CallOutcome]
    facts: Callable[[str], StageFacts]
    recorder: Recorder
    cancellation: Cancellation
    call_remote: CallRemote = call_remote
    budget: Budget | None = None
    memo: Memo | None = None
    check_argument: Callable[[StageCall], StageError | None] | None = None
    threads: int = 4
