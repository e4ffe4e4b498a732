"""The heart of the supervisor: what to do about an event. Pure: no I/O, no clock, no process.

`initial_state` and then `decide` for every event give actions to carry out in order. Promises,
over any history of events:

- every due instant of a job, since it was first seen and while it counted, is covered by
  exactly one of a run, a skipped fire, a missed record; it may be recorded as waiting before;
- lateness alone never drops a fire, and no fire runs twice, whatever the clock does;
- at most `max_concurrent_runs` runs at a time; further fires wait in due order;
- once a stop is asked nothing starts, and `Exit` comes as soon as nothing runs.

A run asked by hand starts at once, also while its job is running, disabled or paused: whoever
asks means it. Only the cap makes it wait. A fire due meanwhile sees it as a run of the job like any
other.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from noether_supervisor.decisions.catch_up import cover_gaps
from noether_supervisor.decisions.events import (
    ClockJumped,
    ConfigChanged,
    Event,
    RunAsked,
    RunEnded,
    StopAsked,
    StopForced,
    Woke,
)
from noether_supervisor.decisions.jobs import change_jobs
from noether_supervisor.decisions.state import Decision, JobPolicy, State, Stopping
from noether_supervisor.decisions.turn import Turn
from noether_supervisor.records import Fire

__all__ = ["decide", "initial_state"]

_MILLISECOND = timedelta(milliseconds=1)


def initial_state(
    policies: Sequence[JobPolicy],
    positions: Mapping[str, datetime],
    max_concurrent_runs: int,
    waiting: Sequence[Fire],
    now: datetime,
) -> Decision:
    """The state of a service that starts, and what to do first.

    `positions` are the last covered instants of the ledger; a job without one counts from now.
    `waiting` are the fires that a dead service left recorded as waiting: they go on waiting, and
    start as soon as they can. What fell due since the positions was missed: catch-up policy.
    """
    line = tuple(sorted(waiting, key=lambda fire: fire.due))
    turn = Turn(State(max_concurrent_runs, waiting=line))
    change_jobs(turn, policies, positions, now, "service was down")
    return turn.finished(sleep_again=True)


def decide(state: State, event: Event) -> Decision:
    """The state after an event, and the actions it calls for, in order."""
    if state.stopping is not None:
        return _decide_while_stopping(state, state.stopping, event)
    match event:
        case Woke(now):
            if not state.agenda or state.agenda[0][0] > now:
                return state, ()
            turn = Turn(state)
            _fire_due(turn, now)
        case RunEnded(run_id, _):
            if run_id not in state.running:
                return state, ()
            turn = Turn(state)
            turn.end(run_id)
            turn.start_waiting()
        case RunAsked(job, now):
            turn = Turn(state)
            _run_by_hand(turn, job, now)
        case ClockJumped(now):
            turn = Turn(state)
            cover_gaps(turn, turn.jobs.values(), now, "clock jumped")
            return turn.finished(sleep_again=True)
        case ConfigChanged(policies, positions, now, max_concurrent_runs=cap):
            turn = Turn(state)
            turn.max_concurrent_runs = cap or state.max_concurrent_runs
            change_jobs(turn, policies, positions, now, "job was absent")
        case StopAsked(now, grace_seconds):
            turn = Turn(state)
            grace = timedelta(seconds=grace_seconds)
            turn.stopping = Stopping(now + grace, grace)
            _kill_after_grace(turn, now)
        case StopForced(now):
            turn = Turn(state)
            turn.stopping = Stopping(now, timedelta())
            turn.kill_all("forced")
        case _:
            assert_never(event)
    return turn.finished()


def _fire_due(turn: Turn, now: datetime) -> None:
    """Offers every fire whose time to start has come, in order, also several of one job."""
    agenda = list(turn.agenda)
    jobs = dict(turn.jobs)
    turn.jobs = jobs
    while agenda and agenda[0][0] <= now:
        name = agenda[0][1]
        job = jobs[name]
        assert job.next_due is not None
        turn.offer(Fire(name, job.next_due))
        next_due = job.policy.schedule.next(job.next_due)
        jobs[name] = replace(job, position=job.next_due, next_due=next_due)
        heapq.heapreplace(agenda, (next_due + job.policy.jitter, name))
    turn.agenda = agenda


def _run_by_hand(turn: Turn, job: str, now: datetime) -> None:
    """Starts a manual fire; its instant, in milliseconds, is its id, so it must be a new one."""
    due = now.replace(microsecond=now.microsecond // 1000 * 1000)
    last = turn.last_manual
    if last is not None and timedelta() <= last - due < timedelta(seconds=1):
        due = last + _MILLISECOND
    turn.last_manual = due
    fire = Fire(job, due, manual=True)
    if turn.stopping is not None:
        turn.skip(fire, "service stopping")
    elif job not in turn.jobs:
        turn.skip(fire, "job removed")
    else:
        turn.line_up(fire)


def _decide_while_stopping(state: State, stopping: Stopping, event: Event) -> Decision:
    """Only ends: nothing starts, and a new configuration is not taken up any more."""
    if stopping.exited:
        return state, ()
    turn = Turn(state)
    match event:
        case RunEnded(run_id, _):
            if run_id not in state.running:
                return state, ()
            turn.end(run_id)
        case Woke(now):
            _kill_after_grace(turn, now)
        case ClockJumped(now):
            # a clock that was set back must not lengthen the grace
            deadline = min(stopping.deadline, now + stopping.grace)
            turn.stopping = replace(stopping, deadline=deadline)
            _kill_after_grace(turn, now)
        case StopForced(_):
            turn.kill_all("forced")
        case RunAsked(job, now):
            _run_by_hand(turn, job, now)
        case ConfigChanged() | StopAsked():
            return state, ()
        case _:
            assert_never(event)
    return turn.finished()


def _kill_after_grace(turn: Turn, now: datetime) -> None:
    if turn.stopping is not None and now >= turn.stopping.deadline:
        turn.kill_all("stopping")
