"""The trace of one run while it happens (`graph.md` §5.2, §5.5).

Every line of execution (the run itself, each branch, each binding) writes into a lane of its own
(`lanes.py`) with its own `step_index`; a group of lanes stands in its parent's lane where the
branches were. So the order of the trace does not depend on timing, and the trace of a run that
failed or was stopped is complete up to that moment. Starts and ends are also told to a sink as they
happen.
"""

import threading
import time
from collections.abc import Callable
from typing import TypeAlias

from noether_contract.lean_dataclass import dataclass
from noether_contract.messages import (
    FailedStatus,
    RemoteEntry,
    StageEnded,
    StageEntry,
    StageFailure,
    StageStarted,
    Usage,
)
from noether_runner.execution.calls import CallOutcome
from noether_runner.execution.errors import ExecutionError
from noether_runner.execution.lanes import FIRST_BYTES, LAST_BYTES, Entries, Lane

Sink: TypeAlias = Callable[[StageStarted | StageEnded], None]
"""Told of every start and end, in order, one at a time; must not wait for the run."""


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A stage call that has begun."""

    started: StageStarted
    lane: Lane
    step_index: int
    began: float
    input_hash: str | None


class Recorder:
    """Collects the entries of one run; safe to use from its threads.

    Times are offsets in milliseconds from `began`, an instant of `clock` (seconds, monotonic).
    """

    def __init__(
        self,
        sink: Sink | None = None,
        *,
        began: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.root = Lane(is_root=True)
        self._sink = sink
        self._clock = clock
        self._began = clock() if began is None else began
        self._lock = threading.Lock()
        self._open: dict[int, OpenCall] = {}
        self._entries = Entries()
        self._calls = 0
        self._executed = 0
        self._ended = 0
        self._cpu_ms = 0.0
        self._peak_memory_bytes = 0

    def start(
        self,
        lane: Lane,
        *,
        stage_id: str,
        stage_name: str | None,
        path: str,
        attempt: int,
        input_hash: str | None,
    ) -> OpenCall:
        """Notes that a stage call begins, and takes the lane's next step for it."""
        began = self._clock()
        step_index, lane.next_step = lane.next_step, lane.next_step + 1
        with self._lock:
            started = StageStarted(
                call=self._calls,
                stage_id=stage_id,
                stage_name=stage_name,
                path=path,
                start_ms=self._offset_ms(began),
                attempt=attempt,
            )
            opened = OpenCall(started, lane, step_index, began, input_hash)
            self._calls += 1
            self._open[started.call] = opened
            if self._sink is not None:
                self._sink(started)
        return opened

    def end(
        self,
        opened: OpenCall,
        *,
        output_hash: str | None = None,
        error: ExecutionError | None = None,
        outcome: CallOutcome | None = None,
        memoized: bool = False,
    ) -> None:
        """Notes how a call ended."""
        began = opened.started
        failure = None if error is None else StageFailure(message=error.message)
        facts = _UNKNOWN if outcome is None else outcome
        entry = StageEntry(
            stage_id=began.stage_id,
            step_index=opened.step_index,
            status="Ok" if failure is None else FailedStatus(Failed=failure),
            duration_ms=int((self._clock() - opened.began) * 1000),
            input_hash=opened.input_hash,
            output_hash=output_hash,
            stage_name=began.stage_name,
            path=began.path,
            start_ms=began.start_ms,
            attempt=began.attempt,
            memoized=memoized,
            language=facts.language,
            isolation=facts.isolation,
            cpu_ms=facts.cpu_ms,
            peak_memory_bytes=facts.peak_memory_bytes,
            error_class=None if error is None else error.error_class,
            error_type=None if error is None else error.error_type,
            error_traceback=None if error is None else error.traceback,
            stdout_tail=facts.stdout_tail,
            stderr_tail=facts.stderr_tail,
            log_truncated=facts.log_truncated,
            warnings=facts.warnings,
            nested=facts.nested,
        )
        with self._lock:
            self._open.pop(began.call, None)
            self._entries.add(opened.lane, entry)
            self._ended += 1
            self._cpu_ms += entry.cpu_ms or 0.0
            self._peak_memory_bytes = max(self._peak_memory_bytes, entry.peak_memory_bytes or 0)
            if self._sink is not None:
                self._sink(StageEnded(call=began.call, entry=entry))

    def count_call(self) -> None:
        """Notes that a stage itself is called, not remembered or refused."""
        with self._lock:
            self._executed += 1

    def remote(self, lane: Lane, url: str, path: str) -> Callable[[str | None], None]:
        """Notes that a remote call begins; call the result with its error, or None, at its end."""
        began = self._clock()

        def end(error: str | None) -> None:
            entry = RemoteEntry(
                url=url,
                path=path,
                start_ms=self._offset_ms(began),
                duration_ms=int((self._clock() - began) * 1000),
                ok=error is None,
                error=error,
            )
            self._entries.add(lane, entry)

        return end

    def stages(self) -> tuple[StageEntry, ...]:
        """Every stage call that has ended, in the order of the trace, but for those left out."""
        entries = self._entries.of(self.root)
        return tuple(entry for entry in entries if isinstance(entry, StageEntry))

    def remote_calls(self) -> tuple[RemoteEntry, ...]:
        """Every remote call that has ended, in the order of the trace, but for those left out."""
        entries = self._entries.of(self.root)
        return tuple(entry for entry in entries if isinstance(entry, RemoteEntry))

    def omission(self) -> str | None:
        """A sentence about entries that the trace has no room for; None when it has all."""
        if not self._entries.left_out:
            return None
        return (
            f"{self._entries.left_out} calls of {self._ended} are left out of this trace, which "
            f"keeps the first {FIRST_BYTES >> 20} MiB of them and the newest {LAST_BYTES >> 20} "
            "MiB; a gap in `step_index` tells where"
        )

    def open_stages(self) -> tuple[StageStarted, ...]:
        """The stage calls that have begun and not ended, in the order of their start."""
        with self._lock:
            return tuple(opened.started for opened in self._open.values())

    def usage(self) -> Usage:
        """What the ended calls consumed; calls that were remembered or refused do not count."""
        with self._lock:
            return Usage(
                cpu_ms=self._cpu_ms,
                peak_memory_bytes=self._peak_memory_bytes,
                stage_calls=self._executed,
            )

    def _offset_ms(self, instant: float) -> float:
        return round((instant - self._began) * 1000, 3)


_UNKNOWN = CallOutcome(None)
