"""The trace of calls that a standard stage makes itself (`stdlib.md` §6.0): apart from the run's.

A `map` over a long list must not fill the trace: of one call's children the first are kept, then
only those that failed, up to a limit; how many there were in all is told by a warning.
"""

import time
from collections.abc import Iterable
from typing import Final

from noether_contract.json_values import JsonValue, value_hash
from noether_contract.lean_dataclass import dataclass
from noether_contract.messages import FailedStatus, StageEntry, StageFailure
from noether_runner.errors import StageError
from noether_runner.execution.calls import CallOutcome
from noether_runner.stages.stage import Stage

KEPT: Final = 100
"""Children of one call that are recorded whatever they do."""
KEPT_FAILURES: Final = 100
"""Further children that are recorded because they failed."""


@dataclass(frozen=True, slots=True)
class NestedCall:
    """One call as it is about to begin; `began` is an instant of `time.monotonic()`."""

    stage: Stage
    argument: JsonValue
    path: str
    began: float


class NestedRecord:
    """The children of one stage call, in order; written by one thread at a time."""

    def __init__(self, run_began: float) -> None:
        self._run_began = run_began
        self._entries: list[StageEntry] = []
        self._failures = 0
        self.calls = 0
        self.cpu_ms = 0.0
        self.peak_memory_bytes = 0

    def fork(self) -> "NestedRecord":
        """An empty record for calls of another thread; give it to `join` afterwards."""
        return NestedRecord(self._run_began)

    def join(self, others: Iterable["NestedRecord"]) -> None:
        """Takes over what was recorded apart, in the given order."""
        for other in others:
            self.calls += other.calls
            self._count(other.cpu_ms, other.peak_memory_bytes)
            for entry in other._entries:
                if self._has_room(failed=entry.status != "Ok"):
                    self._keep(entry)

    def add(self, call: NestedCall, outcome: CallOutcome, error: StageError | None) -> None:
        """Notes a call that has ended now."""
        self.calls += 1
        self._count(outcome.cpu_ms or 0.0, outcome.peak_memory_bytes or 0)
        if not self._has_room(failed=error is not None):
            return
        entry = StageEntry(
            stage_id=call.stage.id,
            step_index=self.calls - 1,
            status="Ok"
            if error is None
            else FailedStatus(Failed=StageFailure(message=error.message)),
            duration_ms=int((time.monotonic() - call.began) * 1000),
            input_hash=_hash(call.argument),
            output_hash=_hash(outcome.output) if error is None else None,
            stage_name=call.stage.name,
            path=call.path,
            start_ms=round((call.began - self._run_began) * 1000, 3),
            language=outcome.language,
            isolation=outcome.isolation,
            cpu_ms=outcome.cpu_ms,
            peak_memory_bytes=outcome.peak_memory_bytes,
            error_class=None if error is None else error.error_class,
            error_type=None if error is None else error.error_type,
            error_traceback=None if error is None else error.traceback,
            stdout_tail=outcome.stdout_tail,
            stderr_tail=outcome.stderr_tail,
            log_truncated=outcome.log_truncated,
            warnings=outcome.warnings,
            nested=outcome.nested,
        )
        self._keep(entry)

    @property
    def entries(self) -> tuple[StageEntry, ...]:
        """What is kept."""
        return tuple(self._entries)

    @property
    def warning(self) -> str | None:
        """How much is not kept, if anything."""
        left_out = self.calls - len(self._entries)
        if not left_out:
            return None
        return f"{self.calls} stages were called; {left_out} of them are not in the trace"

    def _count(self, cpu_ms: float, peak_memory_bytes: int) -> None:
        self.cpu_ms += cpu_ms
        self.peak_memory_bytes = max(self.peak_memory_bytes, peak_memory_bytes)

    def _has_room(self, *, failed: bool) -> bool:
        return len(self._entries) - self._failures < KEPT or (
            failed and self._failures < KEPT_FAILURES
        )

    def _keep(self, entry: StageEntry) -> None:
        if len(self._entries) - self._failures >= KEPT:
            self._failures += 1
        self._entries.append(entry)


def _hash(value: JsonValue) -> str | None:
    try:
        return value_hash(value)
    except TypeError:
        return None
