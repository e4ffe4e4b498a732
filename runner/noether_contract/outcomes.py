"""The closed lists of how things end.

One word a thing (`docs/glossary.md`): a *run* has a `RunStatus`, a *stage call* a `StageStatus`
and, when it failed, an `ErrorClass`; a failed run carries an `ErrorCode`.
"""

from enum import StrEnum


class RunStatus(StrEnum):
    """State of a fire's record; all but the first two are terminal (`scheduler.md` §3)."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    OUT_OF_MEMORY = "out_of_memory"
    CRASHED = "crashed"
    INTERRUPTED = "interrupted"
    SKIPPED = "skipped"
    MISSED = "missed"

    @property
    def is_terminal(self) -> bool:
        """Whether a record in this state never changes again."""
        return self not in (RunStatus.WAITING, RunStatus.RUNNING)


class StageStatus(StrEnum):
    """How one stage call ended; the words of the trace (`graph.md` §5.2)."""

    OK = "Ok"
    FAILED = "Failed"


class ErrorClass(StrEnum):
    """Why a stage call failed (`runtimes.md` §7.9)."""

    RAISED = "raised"
    EXITED = "exited"
    CRASHED = "crashed"
    TIMEOUT = "timeout"
    CPU_LIMIT = "cpu_limit"
    MEMORY = "memory"
    OUTPUT_TOO_LARGE = "output_too_large"
    INVALID_OUTPUT = "invalid_output"
    NO_ENTRY_POINT = "no_entry_point"
    LOAD_ERROR = "load_error"
    DEPENDENCY_ERROR = "dependency_error"
    RUNTIME_UNAVAILABLE = "runtime_unavailable"
    ISOLATION_UNAVAILABLE = "isolation_unavailable"
    BAD_INPUT = "bad_input"
    PROTOCOL = "protocol"
    CANCELLED = "cancelled"


class ErrorCode(StrEnum):
    """Why a run failed. The first group is found before anything runs (`noether-run` exit 2)."""

    GRAPH_UNREADABLE = "graph_unreadable"
    GRAPH_INVALID = "graph_invalid"
    STORE_UNREADABLE = "store_unreadable"
    REGISTRY_UNAVAILABLE = "registry_unavailable"
    CACHE_CORRUPT = "cache_corrupt"
    REFERENCE_UNRESOLVED = "reference_unresolved"
    STAGE_REFUSED = "stage_refused"
    TYPE_CHECK_FAILED = "type_check_failed"
    POLICY_VIOLATED = "policy_violated"
    ISOLATION_UNAVAILABLE = "isolation_unavailable"
    NOT_BUILT = "not_built"
    BAD_REQUEST = "bad_request"

    STAGE_NOT_FOUND = "stage_not_found"
    STAGE_FAILED = "stage_failed"
    STAGE_TIMED_OUT = "stage_timed_out"
    BUDGET_EXCEEDED = "budget_exceeded"
    REMOTE_CALL_FAILED = "remote_call_failed"
    OUTPUT_TOO_LARGE = "output_too_large"
    RUN_TIMED_OUT = "run_timed_out"
    RUN_OUT_OF_MEMORY = "run_out_of_memory"
    RUN_INTERRUPTED = "run_interrupted"
    RUNNER_CRASHED = "runner_crashed"
    INTERNAL = "internal"

    @property
    def is_found_before_running(self) -> bool:
        """Whether the run was refused before any stage was called."""
        return self in _FOUND_BEFORE_RUNNING


_FOUND_BEFORE_RUNNING = frozenset(
    {
        ErrorCode.GRAPH_UNREADABLE,
        ErrorCode.GRAPH_INVALID,
        ErrorCode.STORE_UNREADABLE,
        ErrorCode.REGISTRY_UNAVAILABLE,
        ErrorCode.CACHE_CORRUPT,
        ErrorCode.REFERENCE_UNRESOLVED,
        ErrorCode.STAGE_REFUSED,
        ErrorCode.TYPE_CHECK_FAILED,
        ErrorCode.POLICY_VIOLATED,
        ErrorCode.ISOLATION_UNAVAILABLE,
        ErrorCode.NOT_BUILT,
        ErrorCode.BAD_REQUEST,
    }
)
