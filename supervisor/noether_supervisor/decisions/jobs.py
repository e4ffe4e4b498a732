"""Jobs that come, change and go: at the start of the service, and when its file is read again.

A changed schedule, and a job that is enabled or resumed, count from now; what was due before, by
the schedule of then, is neither lost nor fired twice. Runs that are running are never touched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from noether_supervisor.decisions.actions import MissedReason, RecordPosition, SkipReason
from noether_supervisor.decisions.catch_up import cover_gaps
from noether_supervisor.decisions.state import Job, JobPolicy
from noether_supervisor.decisions.turn import Turn
from noether_supervisor.records import Fire
from noether_supervisor.schedule.fires import due_instants


def change_jobs(
    turn: Turn,
    policies: Sequence[JobPolicy],
    positions: Mapping[str, datetime],
    now: datetime,
    reason: MissedReason,
) -> None:
    """Replaces the jobs by those of `policies`.

    A job that comes back goes on where it was removed, any other new one after its position in
    the ledger, if `positions` has one; what it missed since then, it missed for `reason`.
    """
    before = turn.jobs
    new = {
        policy.name: _place(turn.removed.get(policy.name), positions.get(policy.name), now)
        for policy in policies
        if policy.name not in before
    }
    turn.set_jobs(
        {
            policy.name: _job(policy, new[policy.name].position)
            if policy.name in new
            else _changed(before[policy.name], policy, now)
            for policy in policies
        }
    )
    turn.removed = {name: job for name, job in turn.removed.items() if name not in turn.jobs} | {
        name: replace(job, position=max(job.position, now))
        for name, job in before.items()
        if name not in turn.jobs
    }
    _clear_line(turn)
    turn.start_waiting()
    _settle(turn, before, now)
    cover_gaps(turn, [turn.jobs[name] for name in new], now, reason)
    _record_positions(turn, before, new)


class _Place(NamedTuple):
    """Where a new job's counting begins, and whether the ledger counts it already."""

    position: datetime
    is_counted: bool


def _place(removed: Job | None, ledger_position: datetime | None, now: datetime) -> _Place:
    if removed is not None:
        # removed later than the ledger's positions were read
        if removed.policy.counts:
            return _Place(removed.position, is_counted=True)
        return _Place(max(removed.position, now), is_counted=False)
    return _Place(ledger_position or now, is_counted=ledger_position is not None)


def _job(policy: JobPolicy, position: datetime) -> Job:
    return Job(policy, position, policy.schedule.next(position) if policy.counts else None)


def _changed(before: Job, policy: JobPolicy, now: datetime) -> Job:
    if _goes_on(before, policy):
        return replace(before, policy=policy)
    # a clock that was set back must not fire again what is covered
    return _job(policy, max(before.position, now))


def _goes_on(before: Job, policy: JobPolicy) -> bool:
    """Whether a job counts on as if nothing had changed."""
    both_count = before.policy.counts and policy.counts
    return both_count and before.policy.schedule == policy.schedule


def _standstill(policy: JobPolicy) -> SkipReason:
    return "job disabled" if not policy.enabled else "job paused"


def _clear_line(turn: Turn) -> None:
    """Drops, with a record, the waiting fires that have no job any more.

    A fire of a disabled or paused job is dropped too, unless somebody asked for it by hand.
    """
    for fire in tuple(turn.waiting):
        job = turn.jobs.get(fire.job)
        if job is None:
            turn.drop(fire, "job removed")
        elif not job.policy.counts and not fire.manual:
            turn.drop(fire, _standstill(job.policy))


def _settle(turn: Turn, before: Mapping[str, Job], now: datetime) -> None:
    """Covers what was already due of jobs that do not go on as before.

    Such fires were late by a moment, or held back by their jitter, which ends here.
    """
    due: list[Fire] = []
    for name, job in before.items():
        after = turn.jobs.get(name)
        if job.next_due is None or (after is not None and _goes_on(job, after.policy)):
            continue
        instants = due_instants(job.policy.schedule, job.position, now)
        due += (Fire(name, instant) for instant in instants)
    for fire in sorted(due, key=lambda fire: fire.due):
        after = turn.jobs.get(fire.job)
        if after is None:
            turn.skip(fire, "job removed")
        elif not after.policy.counts:
            turn.skip(fire, _standstill(after.policy))
        else:
            turn.offer(fire)


def _record_positions(turn: Turn, before: Mapping[str, Job], new: Mapping[str, _Place]) -> None:
    """Tells the ledger where jobs count from, when no entry of theirs says so.

    After their entries, because the ledger takes none for instants that it has counted already.
    """
    for name, job in turn.jobs.items():
        earlier = before.get(name)
        was_counted = new[name].is_counted if earlier is None else earlier.policy.counts
        if not job.policy.counts:
            if was_counted:
                turn.record(RecordPosition(name, None))
        elif not was_counted or (earlier is not None and not _goes_on(earlier, job.policy)):
            turn.record(RecordPosition(name, job.position))
    for name, job in before.items():
        if name not in turn.jobs and job.policy.counts:
            turn.record(RecordPosition(name, turn.removed[name].position))
