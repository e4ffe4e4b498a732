"""How a run that must stop does: before the next call, between attempts, and in what it reports."""

import time
from collections.abc import Callable, Iterable

from noether_contract.messages import StageEntry
from noether_contract.outcomes import ErrorClass, ErrorCode, RunStatus
from noether_runner.errors import RunnerError
from noether_runner.execution.errors import ExecutionError, Stopped, stage_words
from noether_runner.graph.walk import ROOT
from noether_runner.sandbox.cancellation import Cancellation

_CUT_SHORT = frozenset({ErrorClass.CANCELLED, ErrorClass.TIMEOUT})


def must_stop(cancellation: Cancellation) -> bool:
    """Whether the run was told to stop or its deadline has passed."""
    deadline = cancellation.deadline
    return cancellation.cancelled or (deadline is not None and time.monotonic() >= deadline)


def stop_if_told(cancellation: Cancellation, path: str) -> None:
    """Raises `Stopped` at the node `path` when the run must stop."""
    if must_stop(cancellation):
        raise stopped(cancellation, path=path)


def stopped(
    cancellation: Cancellation,
    *,
    path: str,
    stage_id: str | None = None,
    stage_name: str | None = None,
) -> Stopped:
    """The error of a run that must stop, naming the stage that was running, if one was."""
    match cancellation.reason:
        case None | RunStatus.TIMED_OUT:
            code, what = ErrorCode.RUN_TIMED_OUT, "the run reached its time limit"
        case RunStatus.OUT_OF_MEMORY:
            code, what = ErrorCode.RUN_OUT_OF_MEMORY, "the run was stopped for its use of memory"
        case reason:
            code, what = ErrorCode.RUN_INTERRUPTED, f"the run was stopped ({reason})"
    if stage_id is not None:
        what = f"{what} while {stage_words(stage_id, stage_name)} was running"
    return Stopped(code, f"{what}, at {path}", path=path, stage_id=stage_id, stage_name=stage_name)


def unless_stopped(failure: ExecutionError, cancellation: Cancellation) -> ExecutionError:
    """The failure of a stage call, or that of the run when the call was only cut short by it."""
    if failure.error_class not in _CUT_SHORT or not must_stop(cancellation):
        return failure
    return stopped(
        cancellation,
        path=failure.path or ROOT,
        stage_id=failure.stage_id,
        stage_name=failure.stage_name,
    )


def error_of_run(
    failure: RunnerError,
    cancellation: Cancellation,
    entries: Callable[[], Iterable[StageEntry]],
) -> RunnerError:
    """The run's error: that it was stopped, if it was, naming a stage that was cut short."""
    if not must_stop(cancellation):
        return failure
    for entry in entries():
        if entry.error_class is ErrorClass.CANCELLED:
            return stopped(
                cancellation,
                path=entry.path,
                stage_id=entry.stage_id,
                stage_name=entry.stage_name,
            )
    return (
        failure
        if isinstance(failure, Stopped)
        else stopped(cancellation, path=failure.path or ROOT)
    )
