"""Errors of a running graph, worded for a person who reads a webhook at night (`graph.md` §4.4).

Each names the stage by its name, or the first eight digits of its id, keeps the stage's own
message and all numbers verbatim, and carries the facts as attributes.
"""

from noether_contract.messages import ErrorRecord
from noether_contract.outcomes import ErrorClass, ErrorCode
from noether_runner.errors import RunnerError, StageError
from noether_runner.execution.budget import Refusal

_MOST_TRACEBACK = 8 * 1024


class ExecutionError(RunnerError):
    """A node failed; what a Retry around it may try again.

    `path` is the node's. `error_type` and `traceback` are those of the stage's author, or of the
    runner itself when the code is INTERNAL.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        path: str,
        stage_id: str | None = None,
        stage_name: str | None = None,
        cause: StageError | None = None,
        traceback: str | None = None,
    ) -> None:
        super().__init__(code, message, path=path)
        self.stage_id = stage_id
        self.stage_name = stage_name
        self.error_class: ErrorClass | None = cause.error_class if cause else None
        self.error_type = cause.error_type if cause else None
        self.traceback = cause.traceback if cause else traceback

    def record(self) -> ErrorRecord:
        """The error as the report carries it."""
        return ErrorRecord(
            code=self.code,
            message=self.message,
            path=self.path,
            stage_id=self.stage_id,
            stage_name=self.stage_name,
            error_class=self.error_class,
        )


class Stopped(ExecutionError):  # noqa: N818 - not a failure of the graph: nothing tries it again
    """The run was told to stop, or its deadline has passed."""


class RemoteFailure(Exception):  # noqa: N818 - becomes an ExecutionError, which knows the node
    """A remote call failed; `reason` completes the sentence "remote call to … failed:"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def stage_words(stage_id: str, stage_name: str | None) -> str:
    """How texts name a stage: by name, else by the beginning of its id."""
    return f'stage "{stage_name}"' if stage_name else f"stage {stage_id[:8]}"


def stage_failure(
    error: RunnerError, *, path: str, stage_id: str, stage_name: str | None
) -> ExecutionError:
    """The error of a stage call, from the stage's own words."""
    cause = error if isinstance(error, StageError) else None
    code, text = error.code, error.message
    if code is ErrorCode.STAGE_FAILED and cause and cause.error_class is ErrorClass.TIMEOUT:
        code = ErrorCode.STAGE_TIMED_OUT
    who = stage_words(stage_id, stage_name)
    match code:
        case _ if cause and cause.of_child:
            message = f"{who} failed: {text}"
        case ErrorCode.STAGE_TIMED_OUT if text.startswith("timed out"):
            message = f"{who} {text}"
        case ErrorCode.STAGE_TIMED_OUT:
            message = f"{who} timed out: {text}"
        case ErrorCode.STAGE_NOT_FOUND:
            message = f"{who} not found: {text}"
        case _:
            message = f"{who} failed: {text}"
    return ExecutionError(
        code, message, path=path, stage_id=stage_id, stage_name=stage_name, cause=cause
    )


def budget_refusal(
    refusal: Refusal, *, path: str, stage_id: str, stage_name: str | None
) -> ExecutionError:
    """The error of a call that would have crossed the budget; it was not made."""
    who = stage_words(stage_id, stage_name)
    return ExecutionError(
        ErrorCode.BUDGET_EXCEEDED,
        f"{who} was not called: cost budget exceeded: spent {refusal.spent_cents}¢ of "
        f"{refusal.limit_cents}¢ limit, and this call costs {refusal.cost_cents}¢",
        path=path,
        stage_id=stage_id,
        stage_name=stage_name,
    )


def remote_failure(url: str, reason: str, *, path: str) -> ExecutionError:
    """The error of a `RemoteStage` node."""
    message = f"remote call to {url} failed: {reason}"
    return ExecutionError(ErrorCode.REMOTE_CALL_FAILED, message, path=path)


def internal_error(error: BaseException, *, path: str) -> ExecutionError:
    """The error for a mistake of the runner itself, its traceback kept for the report."""
    import traceback as tracebacks  # most runs never need it

    text = "".join(tracebacks.format_exception(error))[-_MOST_TRACEBACK:]
    return ExecutionError(
        ErrorCode.INTERNAL,
        f"internal error of the runner at {path}: {type(error).__name__}: {error} "
        f"(a bug in noether-scheduler: please report it)",
        path=path,
        traceback=text,
    )
