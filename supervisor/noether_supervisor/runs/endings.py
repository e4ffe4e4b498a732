"""How the ending of a run is named: one table, one pure function (DESIGN §3).

| report line | end of the process | status |
|---|---|---|
| present | agrees | what the report says |
| present | disagrees | what the report says, the disagreement noted |
| absent | killed by us at the deadline | timed_out |
| absent | killed for memory, by us or by the kernel in its cgroup | out_of_memory |
| absent | killed by us on stop | interrupted |
| absent | killed by us because it wrote or forked without end | crashed |
| absent | a signal not ours, or any exit | crashed, with signal or code and the tail of stderr |
"""

import signal
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import assert_never

from noether_contract.exit_codes import exit_code_for
from noether_contract.messages import ErrorRecord, RunReport, RunRequest, Trace, Usage
from noether_contract.outcomes import ErrorCode, RunStatus
from noether_supervisor.records import RunEnding
from noether_supervisor.runs.kept_events import Progress
from noether_supervisor.runs.stream import Told

_SHOWN_STDERR_CHARACTERS = 2000


class StopReason(StrEnum):
    """Why the supervisor ends a run."""

    DEADLINE = "deadline"
    MEMORY = "memory"
    STOP = "stop"
    REPLACED = "replaced"
    FORCED = "forced"
    FLOOD = "flood"
    SWARM = "swarm"

    @property
    def is_patient(self) -> bool:
        """Whether the runner is asked to end and may still report; otherwise it is killed."""
        return self in (StopReason.STOP, StopReason.REPLACED)


@dataclass(frozen=True, slots=True)
class Stopped:
    """The supervisor ended a run: why, and a sentence of detail where the reason needs one."""

    reason: StopReason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """What the supervisor saw of a run, from its start to the end of its process.

    `exit_code` is negative for a signal, as in `subprocess`, and None when nobody could tell.
    """

    request: RunRequest
    started_at: datetime
    duration_ms: int
    exit_code: int | None
    stopped: Stopped | None = None
    told: Told = field(default_factory=Told)
    stderr_tail: str = ""
    remarks: tuple[str, ...] = ()


def name_ending(observed: Observed) -> RunEnding:
    """The one terminal ending of a run."""
    report = observed.told.report
    if report is not None:
        return _reported(observed, report)
    status, error = _unreported(observed)
    progress = observed.told.progress
    return RunEnding(
        status=status,
        started_at=observed.started_at,
        duration_ms=observed.duration_ms,
        composition_id=progress.composition_id,
        error=error,
        trace=_partial_trace(observed, error),
        usage=_partial_usage(progress),
        notes=(
            *observed.remarks,
            *_dropped_lines(observed.told),
            *_forgotten_events(progress),
        ),
        stderr_tail=observed.stderr_tail,
    )


def never_started(error: ErrorRecord, now: datetime) -> RunEnding:
    """The ending of a fire whose runner was never started: the error says why."""
    failed = error.code is not ErrorCode.RUNNER_CRASHED
    status = RunStatus.FAILED if failed else RunStatus.CRASHED
    return RunEnding(status=status, started_at=now, duration_ms=0, error=error)


def not_followed(started_at: datetime, duration_ms: int, what: str) -> RunEnding:
    """The ending of a run at which the service itself failed; `what` is the exception."""
    message = (
        f"The service could not follow the run to its end ({what}); its processes were killed."
    )
    return RunEnding(
        status=RunStatus.CRASHED,
        started_at=started_at,
        duration_ms=duration_ms,
        error=_error(ErrorCode.INTERNAL, message),
    )


def exit_words(exit_code: int | None) -> str:
    """`exit code 3`, or `signal 11 (SIGSEGV)`."""
    if exit_code is None:
        return "an unknown status"
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return f"signal {-exit_code} ({signal.Signals(-exit_code).name})"
    except ValueError:
        return f"signal {-exit_code}"


def seconds_words(seconds: float) -> str:
    """`300 s`, `0.5 s`: whole seconds as an integer, else the shortest decimal."""
    return f"{seconds:g} s" if seconds != int(seconds) else f"{int(seconds)} s"


def _reported(observed: Observed, report: RunReport) -> RunEnding:
    succeeded = report.status is RunStatus.SUCCEEDED
    error = None if succeeded else _reason(observed, report)
    return RunEnding(
        status=report.status,
        started_at=observed.started_at,
        duration_ms=report.duration_ms,
        composition_id=report.composition_id,
        output=report.output if succeeded else None,
        error=error,
        trace=report.trace,
        usage=report.usage,
        notes=(
            *observed.remarks,
            *_disagreement(observed, report),
            *_dropped_lines(observed.told),
        ),
        stderr_tail=observed.stderr_tail,
    )


def _reason(observed: Observed, report: RunReport) -> ErrorRecord:
    """Why it did not succeed; a runner that was asked to end does not know what for."""
    error = report.error
    if error is None:
        return _error(
            ErrorCode.INTERNAL,
            f"The runner reported that the run ended as {report.status}, but not why.",
        )
    words = STOP_WORDS.get(observed.stopped.reason) if observed.stopped is not None else None
    if report.status is not RunStatus.INTERRUPTED or words is None:
        return error
    return replace(error, message=f"{words.removesuffix('.')}: {error.message}")


def _disagreement(observed: Observed, report: RunReport) -> tuple[str, ...]:
    if observed.exit_code is None:
        return ()
    expected = exit_code_for(report.status, None if report.error is None else report.error.code)
    if observed.exit_code == expected:
        return ()
    killed = ""
    if observed.stopped is not None and observed.exit_code < 0:
        killed = f", sent by the service ({observed.stopped.reason})"
    note = (
        f"The runner reported {report.status}, but its process ended with "
        f"{exit_words(observed.exit_code)}{killed} where exit code {int(expected)} was expected; "
        "the report counts."
    )
    return (note,)


def _unreported(observed: Observed) -> tuple[RunStatus, ErrorRecord]:
    stopped = observed.stopped
    if stopped is None or not _is_ours(stopped, observed.exit_code):
        return RunStatus.CRASHED, _error(ErrorCode.RUNNER_CRASHED, _crash_words(observed))
    open_stages = _open_words(observed.told.progress)
    match stopped.reason:
        case StopReason.DEADLINE:
            limit = seconds_words(observed.request.limits.run_seconds)
            message = (
                f"The run did not end within its {limit}, and its runner did not react; "
                f"all its processes were killed.{open_stages}"
            )
            return RunStatus.TIMED_OUT, _error(ErrorCode.RUN_TIMED_OUT, message)
        case StopReason.MEMORY:
            detail = stopped.detail or "The run used more memory than it may."
            message = f"{detail} All its processes were killed.{open_stages}"
            return RunStatus.OUT_OF_MEMORY, _error(ErrorCode.RUN_OUT_OF_MEMORY, message)
        case StopReason.STOP | StopReason.REPLACED | StopReason.FORCED:
            message = f"{STOP_WORDS[stopped.reason]}{open_stages}"
            return RunStatus.INTERRUPTED, _error(ErrorCode.RUN_INTERRUPTED, message)
        case StopReason.FLOOD | StopReason.SWARM:
            detail = stopped.detail or "The run wrote or forked without end."
            message = f"{detail} All processes of the run were killed.{open_stages}"
            return RunStatus.CRASHED, _error(ErrorCode.RUNNER_CRASHED, message)
        case _:
            assert_never(stopped.reason)


STOP_WORDS = {
    StopReason.STOP: "The run was ended because the service was told to stop.",
    StopReason.REPLACED: "The run was ended because a later fire of its job took its place.",
    StopReason.FORCED: "The run was killed because the service had to stop at once.",
}
"""What is said of a run that was ended for one of these reasons."""


def _is_ours(stopped: Stopped, exit_code: int | None) -> bool:
    """Whether the end came from us: a runner may also have died by itself just before."""
    if exit_code is None or exit_code == -signal.SIGKILL:
        return True
    return stopped.reason.is_patient


def _crash_words(observed: Observed) -> str:
    ended = exit_words(observed.exit_code)
    words = f"The runner ended with {ended} and without a report."
    if observed.exit_code == -signal.SIGKILL:
        words += " The signal did not come from the service: the kernel may have run out of memory."
    words += _open_words(observed.told.progress)
    tail = observed.stderr_tail.strip()
    if not tail:
        return words + " It wrote nothing on standard error."
    return f"{words} The end of its standard error:\n{tail[-_SHOWN_STDERR_CHARACTERS:]}"


def _open_words(progress: Progress) -> str:
    if not progress.open:
        return ""
    first, *rest = progress.open
    more = f" and {len(rest)} more" if rest else ""
    name = first.stage_name or first.stage_id
    return f" Still running: stage {name} at {first.path}{more}."


def _dropped_lines(told: Told) -> tuple[str, ...]:
    if told.dropped == 0:
        return ()
    lines = "1 line" if told.dropped == 1 else f"{told.dropped} lines"
    return (f"{lines} of the runner's output could not be read and did not count.",)


def _forgotten_events(progress: Progress) -> tuple[str, ...]:
    if progress.forgotten == 0:
        return ()
    events = "1 event" if progress.forgotten == 1 else f"{progress.forgotten} events"
    return (f"The trace is that of the last events; {events} before them could not be kept.",)


def _partial_trace(observed: Observed, error: ErrorRecord) -> Trace:
    progress = observed.told.progress
    ended_at = observed.started_at + timedelta(milliseconds=observed.duration_ms)
    return Trace(
        composition_id=progress.composition_id,
        started_at=_trace_instant(observed.started_at),
        duration_ms=observed.duration_ms,
        status="Failed",
        stages=progress.ended,
        ended_at=_trace_instant(ended_at),
        run_id=observed.request.run_id,
        job=observed.request.job,
        error=error,
        incomplete=True,
        open_stages=progress.open,
    )


def _partial_usage(progress: Progress) -> Usage:
    return Usage(
        cpu_ms=sum(entry.cpu_ms or 0.0 for entry in progress.ended),
        peak_memory_bytes=max(
            (entry.peak_memory_bytes or 0 for entry in progress.ended), default=0
        ),
        stage_calls=len(progress.ended) + len(progress.open),
    )


def _trace_instant(instant: datetime) -> str:
    """`graph.md` §5.1: RFC 3339 with offset `+00:00` and 3 fraction digits."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds")


def _error(code: ErrorCode, message: str) -> ErrorRecord:
    return ErrorRecord(code=code, message=message)
