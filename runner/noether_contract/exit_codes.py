"""Exit codes of the commands (`scheduler.md` §1.1); a runner under the supervisor has the same."""

from enum import IntEnum

from noether_contract.outcomes import ErrorCode, RunStatus


class ExitCode(IntEnum):
    """What a command's exit code says to a shell, a CI job or the supervisor."""

    SUCCEEDED = 0
    FAILED = 1
    REFUSED = 2
    TIMED_OUT = 124
    INTERRUPTED = 130
    TERMINATED = 143


def exit_code_for(status: RunStatus, error: ErrorCode | None) -> ExitCode:
    """The exit code of a runner whose run ended with `status` (and `error`, when it failed)."""
    if status is RunStatus.SUCCEEDED:
        return ExitCode.SUCCEEDED
    if status is RunStatus.TIMED_OUT:
        return ExitCode.TIMED_OUT
    if status is RunStatus.INTERRUPTED:
        return ExitCode.TERMINATED
    if error is not None and error.is_found_before_running:
        return ExitCode.REFUSED
    return ExitCode.FAILED
