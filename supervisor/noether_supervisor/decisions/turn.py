"""The answer to one event while it is being worked out: a private copy, and the actions so far.

Here stands what holds for every fire, wherever it comes from: the overlap policies, the cap, the
line of waiting fires. When an event is answered, no fire waits that could run.
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from heapq import heapify
from typing import assert_never

from noether_supervisor.decisions.actions import (
    Action,
    Exit,
    KillReason,
    KillRun,
    RecordWaiting,
    SkipFire,
    SkipReason,
    SleepUntil,
    StartRun,
)
from noether_supervisor.decisions.state import Decision, Job, Running, State, Stopping
from noether_supervisor.records import Fire


class Turn:
    """A working copy of a state; mappings of jobs and the agenda are its own until replaced."""

    def __init__(self, state: State) -> None:
        self.jobs: Mapping[str, Job] = state.jobs
        self.removed: Mapping[str, Job] = state.removed
        self.agenda: Sequence[tuple[datetime, str]] = state.agenda
        self.max_concurrent_runs = state.max_concurrent_runs
        self.running = dict(state.running)
        self.stopping: Stopping | None = state.stopping
        self.last_manual = state.last_manual
        self.actions: list[Action] = []
        self._wake_at = state.wake_at
        self._line = list(state.waiting)
        self._dropped: set[Fire] = set()
        self._running_of: defaultdict[str, list[str]] = defaultdict(list)
        for run_id, run in state.running.items():
            self._running_of[run.fire.job].append(run_id)

    def set_jobs(self, jobs: Mapping[str, Job]) -> None:
        """Replaces the jobs, and the agenda by theirs."""
        self.jobs = jobs
        agenda = [
            (job.next_due + job.policy.jitter, name)
            for name, job in jobs.items()
            if job.next_due is not None
        ]
        heapify(agenda)
        self.agenda = agenda

    def record(self, action: Action) -> None:
        """Adds an action that changes nothing here."""
        self.actions.append(action)

    @property
    def waiting(self) -> list[Fire]:
        """The line of waiting fires, by due instant."""
        if self._dropped:
            # taken out all at once: one by one would cost the square of a long line
            self._set_line([fire for fire in self._line if fire not in self._dropped])
        return self._line

    # --- fires -----------------------------------------------------------------------------

    def offer(self, fire: Fire) -> None:
        """A fire that is due now: by its job's overlap policy it lines up, or is skipped.

        A job counts as open while a run of it is running or a fire of it is waiting.
        """
        running, waiting = self._running_of[fire.job], self._waiting_of[fire.job]
        overlap = self.jobs[fire.job].policy.overlap
        match overlap:
            case "allow":
                self.line_up(fire)
            case "skip":
                if running or waiting:
                    self.skip(fire, "overlap", running[0] if running else waiting[0].run_id)
                else:
                    self.line_up(fire)
            case "queue":
                queued = _by_schedule(waiting)
                if queued:
                    self.skip(fire, "queue full", queued[0].run_id)
                else:
                    self.line_up(fire)
            case "replace":
                for earlier in _by_schedule(waiting):
                    self.drop(earlier, "replaced", fire.run_id)
                for run_id in running:
                    self.kill(run_id, "replaced")
                self.line_up(fire)
            case _:
                assert_never(overlap)

    def line_up(self, fire: Fire) -> None:
        """Starts the fire if it can start, else puts it in the line."""
        if self._can_start(fire):
            self._start(fire)
            return
        # the index first: it is made of the line when it is asked for
        self._waiting_of[fire.job].append(fire)
        insort(self._line, fire, key=lambda earlier: earlier.due)
        self.actions.append(RecordWaiting(fire))

    def start_waiting(self) -> None:
        """Starts what can start of the line, in due order."""
        line = self.waiting
        left: list[Fire] = []
        for index, fire in enumerate(line):
            if not self._has_place:
                left += line[index:]
                break
            if self._can_start(fire):
                self._start(fire)
            else:
                left.append(fire)
        self._set_line(left)

    def skip(self, fire: Fire, reason: SkipReason, open_run_id: str | None = None) -> None:
        """Ends a fire without a run."""
        self.actions.append(SkipFire(fire, reason, open_run_id))

    def drop(self, fire: Fire, reason: SkipReason, open_run_id: str | None = None) -> None:
        """The same for a fire that is waiting."""
        self._waiting_of[fire.job].remove(fire)
        self._dropped.add(fire)
        self.skip(fire, reason, open_run_id)

    # --- runs ------------------------------------------------------------------------------

    def kill(self, run_id: str, reason: KillReason) -> None:
        """Orders the end of a run, once; only `forced` is ordered over an earlier reason."""
        run = self.running[run_id]
        if run.killed_for is None or (reason == "forced" and run.killed_for != "forced"):
            self.running[run_id] = replace(run, killed_for=reason)
            self.actions.append(KillRun(run_id, reason))

    def kill_all(self, reason: KillReason) -> None:
        """Orders the end of whatever runs."""
        for run_id in list(self.running):
            self.kill(run_id, reason)

    def end(self, run_id: str) -> None:
        """A run is over: its place is free."""
        run = self.running.pop(run_id)
        self._running_of[run.fire.job].remove(run_id)

    # --- the answer ------------------------------------------------------------------------

    def finished(self, *, sleep_again: bool = False) -> Decision:
        """The new state, and the actions in order, with the next instant to wake at the end."""
        if self.stopping is None:
            wake_at = self.agenda[0][0] if self.agenda else None
        else:
            graced = any(run.killed_for is None for run in self.running.values())
            wake_at = self.stopping.deadline if graced else None
        if self.stopping is not None and not self.running:
            self.stopping = replace(self.stopping, exited=True)
            self.actions.append(Exit())
        elif sleep_again or wake_at != self._wake_at:
            self.actions.append(SleepUntil(wake_at))
        state = State(
            max_concurrent_runs=self.max_concurrent_runs,
            jobs=self.jobs,
            removed=self.removed,
            agenda=tuple(self.agenda),
            running=self.running,
            waiting=tuple(self.waiting),
            stopping=self.stopping,
            wake_at=wake_at,
            last_manual=self.last_manual,
        )
        return state, tuple(self.actions)

    # --- inside ----------------------------------------------------------------------------

    @property
    def _has_place(self) -> bool:
        return len(self.running) < self.max_concurrent_runs

    def _can_start(self, fire: Fire) -> bool:
        if not self._has_place:
            return False
        # whoever asked for a run by hand gets it beside a run of the schedule
        allowed = fire.manual or self.jobs[fire.job].policy.overlap == "allow"
        return allowed or not self._running_of[fire.job]

    def _start(self, fire: Fire) -> None:
        self.running[fire.run_id] = Running(fire)
        self._running_of[fire.job].append(fire.run_id)
        self.actions.append(StartRun(fire))

    @cached_property
    def _waiting_of(self) -> defaultdict[str, list[Fire]]:
        """Waiting fires by job; made only when asked for, because the line may be long."""
        waiting_of = defaultdict(list)
        for fire in self.waiting:
            waiting_of[fire.job].append(fire)
        return waiting_of

    def _set_line(self, line: list[Fire]) -> None:
        if len(line) < len(self._line):
            self._line = line
            self._dropped.clear()
            vars(self).pop("_waiting_of", None)


def _by_schedule(fires: list[Fire]) -> list[Fire]:
    return [fire for fire in fires if not fire.manual]
