"""What passed without a run: recorded as missed, or caught up with, as the job's policy says.

Caught-up fires are not subject to the overlap policy: they stand in the line and run one after
another (at once where overlap is `allow`), because to skip them again would not be catching up.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import assert_never

from noether_supervisor.decisions.actions import MissedReason, RecordMissed
from noether_supervisor.decisions.state import Job
from noether_supervisor.decisions.turn import Turn
from noether_supervisor.records import Fire
from noether_supervisor.schedule.fires import due_instants, due_span

_TICK = timedelta(microseconds=1)


def cover_gaps(turn: Turn, jobs: Iterable[Job], now: datetime, reason: MissedReason) -> None:
    """Covers what these jobs should have started before `now`, and did not for `reason`.

    A fire that its jitter still holds back is not late: it stays due. The catch-up window reaches
    back from `now`; a due instant exactly at its edge is inside.
    """
    changed = dict(turn.jobs)
    caught: list[Fire] = []
    for job in jobs:
        policy, end = job.policy, now - job.policy.jitter
        if job.next_due is None or job.next_due > end:
            continue
        cut = _cut(job, end, now)
        position = job.position
        missed = due_span(policy.schedule, job.position, cut)
        if missed is not None:
            turn.record(RecordMissed(policy.name, missed.first, missed.last, missed.count, reason))
            position = missed.last
        for due in due_instants(policy.schedule, cut, end) if cut < end else ():
            caught.append(Fire(policy.name, due))
            position = due
        changed[policy.name] = Job(policy, position, policy.schedule.next(position))
    turn.set_jobs(changed)
    for fire in sorted(caught, key=lambda fire: fire.due):
        turn.line_up(fire)


def _cut(job: Job, end: datetime, now: datetime) -> datetime:
    """Where the gap (position, end] parts: what is due up to here was missed, the rest runs."""
    policy = job.policy
    match policy.catch_up:
        case "none":
            return end
        case "last":
            span = due_span(policy.schedule, job.position, end)
            if span is None or (now - span.last).total_seconds() > policy.catch_up_window:
                return end
            return span.last - _TICK
        case "all":
            if (now - job.position).total_seconds() <= policy.catch_up_window:
                return job.position
            return min(end, now - timedelta(seconds=policy.catch_up_window) - _TICK)
        case _:
            assert_never(policy.catch_up)
