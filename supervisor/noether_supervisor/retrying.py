"""The attempts of one fire (`retry` of a job, `scheduler.md` §2): several runs, one record.

Every attempt is a whole run: a runner, a private directory and a time limit of its own. The fire
counts as running from the first to the end of the last, waits included. Its record is that of the
last attempt, but for start, duration and usage, which are those of all together; each attempt that
failed is a note.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from noether_contract.messages import ErrorRecord, RunRequest, Usage
from noether_contract.outcomes import ErrorCode, RunStatus
from noether_supervisor.config import RetrySettings
from noether_supervisor.records import RunEnding
from noether_supervisor.runs.endings import STOP_WORDS, StopReason

_AGAIN = frozenset(
    {RunStatus.FAILED, RunStatus.TIMED_OUT, RunStatus.OUT_OF_MEMORY, RunStatus.CRASHED}
)
_LONGEST_SECONDS = 86_400.0
_MILLISECOND = timedelta(milliseconds=1)


class Attempts:
    """The account of one fire's attempts; without `retry` there is one."""

    def __init__(self, retry: RetrySettings | None) -> None:
        self._retry = retry
        self._endings: list[RunEnding] = []

    def request(self, request: RunRequest) -> RunRequest:
        """The request of the next attempt: the fire's, with a private directory of its own."""
        if not self._endings:
            return request
        work_dir = f"{request.work_dir}-{len(self._endings) + 1}"
        return replace(request, work_dir=work_dir)

    def ended(self, ending: RunEnding) -> float | None:
        """An attempt has ended; seconds until the next one, None when there is none.

        None after a success, after an end that somebody ordered, and when the next attempt would
        meet the same mistake: a graph, a reference or a policy that is wrong.
        """
        self._endings.append(ending)
        retry, number = self._retry, len(self._endings)
        if retry is None or number >= retry.attempts or not _may_differ(ending):
            return None
        # In powers that may be large, of a wait that may not.
        return min(retry.delay * retry.backoff ** min(number - 1, 100), _LONGEST_SECONDS)

    @property
    def note(self) -> str:
        """One line about the attempt that ended last."""
        last = self._endings[-1]
        word = last.status.value.replace("_", " ")
        told = f"{self._name(len(self._endings))} {word}"
        message = "" if last.error is None else last.error.message.strip()
        return f"{told}: {message}" if message else told

    def outcome(self) -> RunEnding:
        """The ending of the fire, after the last attempt."""
        last = self._endings[-1]
        if len(self._endings) == 1:
            return last
        number = self._name(len(self._endings))
        which = f"this is the end of {number}; the times are those of all attempts together"
        return replace(self._whole(last), notes=(*last.notes, which))

    def interrupted(self, reason: StopReason, now: datetime) -> RunEnding:
        """The ending of a fire that was ended after an attempt that failed, before the next."""
        last = self._endings[-1]
        coming = self._name(len(self._endings) + 1)
        message = f"{STOP_WORDS[reason]} {coming.capitalize()} was not made; {self.note}"
        whole = self._whole(last)
        return replace(
            whole,
            status=RunStatus.INTERRUPTED,
            duration_ms=max(whole.duration_ms, (now - whole.started_at) // _MILLISECOND),
            output=None,
            error=ErrorRecord(code=ErrorCode.RUN_INTERRUPTED, message=message),
        )

    def _whole(self, last: RunEnding) -> RunEnding:
        usages = [ending.usage for ending in self._endings]
        first = self._endings[0]
        apart = (last.started_at - first.started_at) // _MILLISECOND
        ran = sum(ending.duration_ms for ending in self._endings)
        return replace(
            last,
            started_at=first.started_at,
            # The wall clock may have been set back in between.
            duration_ms=max(apart + last.duration_ms, ran),
            usage=Usage(
                cpu_ms=sum(usage.cpu_ms for usage in usages),
                peak_memory_bytes=max(usage.peak_memory_bytes for usage in usages),
                stage_calls=sum(usage.stage_calls for usage in usages),
            ),
        )

    def _name(self, number: int) -> str:
        most = 1 if self._retry is None else self._retry.attempts
        return f"attempt {number} of {most}"


def _may_differ(ending: RunEnding) -> bool:
    """Whether another attempt could end otherwise."""
    if ending.status not in _AGAIN:
        return False
    code = None if ending.error is None else ending.error.code
    # A store may be out of reach for a moment; what else is found before running stays as it is.
    return code is None or code is ErrorCode.STORE_UNREADABLE or not code.is_found_before_running
