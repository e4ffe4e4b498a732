"""A service, its ledger and its arms, simulated, to try `decide` on any history.

`World.do(what, number)` makes one thing happen and then checks every promise of `decide`. The
expected fires come from `Stretch`es, kept apart from the code under test: the times during which
a job counted by one schedule.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, assert_never

from noether_supervisor.decisions.actions import (
    Action,
    Exit,
    KillRun,
    RecordMissed,
    RecordPosition,
    RecordWaiting,
    SkipFire,
    SleepUntil,
    StartRun,
)
from noether_supervisor.decisions.decide import decide, initial_state
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
from noether_supervisor.decisions.state import CatchUp, JobPolicy, Overlap
from noether_supervisor.records import Fire
from noether_supervisor.schedule.fires import due_instants
from unit.decisions.world_parts import DAY, Digits, Every, Ledger, Stretch

What = Literal[
    "wake",
    "wake late",
    "end run",
    "ask",
    "change",
    "jump ahead",
    "jump back",
    "stop",
    "force",
    "crash",
]
WHATS: Final[tuple[What, ...]] = (
    "wake",
    "wake late",
    "end run",
    "ask",
    "change",
    "jump ahead",
    "jump back",
    "stop",
    "force",
    "crash",
)
WEIGHTS: Final = (30, 8, 40, 4, 5, 2, 2, 1, 1, 2)

_NAMES = ("a", "b", "c", "d", "e")
_OVERLAPS: tuple[Overlap, ...] = ("skip", "queue", "allow", "replace")
_CATCH_UPS: tuple[CatchUp, ...] = ("none", "last", "all")
_SCHEDULES = (Every(1), Every(5), Every(7, 2), Every(60, 30), Every(360))


class World:
    """Everything around `decide`. `now` is the wall clock."""

    def __init__(self, number: int) -> None:
        digits = Digits(number)
        self.now = DAY
        self.ledger = Ledger()
        self.stretches: dict[str, list[Stretch]] = {name: [] for name in _NAMES}
        self.policies = tuple(_policy(name, digits) for name in _NAMES[: 1 + digits.below(5)])
        self.cap = 1 + digits.below(4)
        self.exited = True
        self._running_before = 0
        self._start_service()

    # --- what can happen ---------------------------------------------------------------------

    def do(self, what: What, number: int) -> None:
        """Makes one thing happen, and checks the promises."""
        digits = Digits(number)
        if self.exited:
            self.now += timedelta(seconds=digits.below(7200))
            if digits.below(3) == 0:
                self._change_policies(digits)
            self._start_service()
            return
        match what:
            case "wake":
                self.now = max(self.now, self.state.wake_at or self.now)
                self._tell(Woke(self.now))
            case "wake late":
                self.now += timedelta(milliseconds=digits.below(600_000))
                self._tell(Woke(self.now))
            case "end run":
                self.now += timedelta(milliseconds=digits.below(2000))
                if self.ledger.open:
                    self._end(list(self.ledger.open)[digits.below(len(self.ledger.open))])
            case "ask":
                self._tell(RunAsked(_NAMES[digits.below(5)], self.now))
            case "change":
                self._tell_change(digits)
            case "jump ahead":
                self.now += timedelta(seconds=digits.below(20_000))
                self._tell(ClockJumped(self.now))
            case "jump back":
                self.now = max(self.now - timedelta(seconds=digits.below(4_000)), self._floor())
                self._tell(ClockJumped(self.now))
            case "stop":
                self._tell(StopAsked(self.now, digits.below(60)))
            case "force":
                self._tell(StopForced(self.now))
            case "crash":
                self.ledger.open.clear()
                self.exited = True
            case _:
                assert_never(what)

    def wind_down(self) -> None:
        """A stop always comes to its end."""
        if self.exited:
            return
        self._tell(StopAsked(self.now, 30))
        while not self.exited:
            assert self.ledger.open, "nothing runs, and the service does not exit"
            if self.state.wake_at is not None:
                self.now = max(self.now, self.state.wake_at)
                self._tell(Woke(self.now))
            for run_id in list(self.ledger.open):
                self._end(run_id)

    # --- the service and its arms ------------------------------------------------------------

    def _start_service(self) -> None:
        self.exited = False
        # a service reads them once: later changes are its own doing
        self.positions = self.ledger.positions_at(self.now)
        self._note_stretches({}, self.positions)
        self.state, actions = initial_state(
            self.policies,
            self.positions,
            self.cap,
            list(self.ledger.waiting),
            self.now,
        )
        assert isinstance(actions[-1], SleepUntil)
        self._carry_out(actions)
        self._check(has_looked=True)

    def _tell(self, event: Event) -> None:
        stopping = self.state.stopping is not None
        before = {name: job.position for name, job in self.state.jobs.items()}
        self.state, actions = decide(self.state, event)
        if stopping:
            assert not any(isinstance(action, StartRun) for action in actions)
        for name, known in self.state.jobs.items():
            assert known.position >= before.get(name, known.position), "a position went back"
        self._carry_out(actions)
        self._check(has_looked=isinstance(event, Woke | ClockJumped))

    def _end(self, run_id: str) -> None:
        self.ledger.ended.add(run_id)
        del self.ledger.open[run_id]
        self._tell(RunEnded(run_id, self.now))

    def _tell_change(self, digits: Digits) -> None:
        if self.state.stopping is not None:
            self._tell(ConfigChanged((), {}, self.now))
            return
        self._change_policies(digits)
        self.cap = 1 + digits.below(4)
        known = {name: job.position for name, job in self.state.jobs.items()}
        returning = {
            name: job.position if job.policy.counts else max(job.position, self.now)
            for name, job in self.state.removed.items()
        }
        self._note_stretches(known, self.positions | returning)
        self._tell(
            ConfigChanged(self.policies, self.positions, self.now, max_concurrent_runs=self.cap)
        )

    def _change_policies(self, digits: Digits) -> None:
        known = {policy.name: policy for policy in self.policies}
        for name in _NAMES:
            drawn = digits.below(4)
            if drawn == 0:
                known.pop(name, None)
            elif drawn == 1:
                known[name] = _policy(name, digits)
        self.policies = tuple(known.values())

    def _note_stretches(
        self, known: Mapping[str, datetime], positions: Mapping[str, datetime]
    ) -> None:
        """Writes down what the new policies mean for `known` jobs and for others."""
        counting_now = {policy.name: policy for policy in self.policies if policy.counts}
        for name, stretches in self.stretches.items():
            policy = counting_now.get(name)
            counting = stretches[-1] if stretches and stretches[-1].end is None else None
            if counting and policy and counting.policy.schedule == policy.schedule:
                counting.policy = policy
                continue
            if counting:
                live = name in known
                counting.end = max(self.now, known[name]) if live else positions[name]
            if policy and name in known:
                stretches.append(Stretch(policy, max(self.now, known[name])))
            elif policy:
                stretches.append(Stretch(policy, positions.get(name, self.now)))

    def _floor(self) -> datetime:
        """How far the clock may go back: not behind instants that this service knows nothing of.

        They are of jobs that were disabled before it began; should one return then, it is the
        ledger that refuses to record such an instant twice.
        """
        known = self.state.jobs.keys() | self.state.removed.keys() | self.positions.keys()
        latest = self.ledger.latest.items()
        return max([at for name, at in latest if name not in known and at <= self.now], default=DAY)

    def _counting(self, name: str) -> Stretch:
        return self.stretches[name][-1]

    def _carry_out(self, actions: Sequence[Action]) -> None:
        ledger = self.ledger
        for action in actions:
            match action:
                case StartRun(fire):
                    assert fire.run_id not in ledger.open
                    assert fire.manual or fire.run_id not in ledger.ended, "a fire ran twice"
                    self._check_overlap(fire)
                    if fire in ledger.waiting:
                        del ledger.waiting[fire]
                    else:
                        ledger.cover(fire)
                    ledger.open[fire.run_id] = fire
                case RecordWaiting(fire):
                    assert fire not in ledger.waiting
                    ledger.cover(fire)
                    ledger.waiting[fire] = None
                case SkipFire(fire, _, _):
                    if fire in ledger.waiting:
                        del ledger.waiting[fire]
                    else:
                        ledger.cover(fire)
                case RecordMissed(name, first, last, count, _):
                    schedule = self._counting(name).policy.schedule
                    instants = list(due_instants(schedule, first - timedelta(seconds=1), last))
                    assert (instants[0], instants[-1], len(instants)) == (first, last, count)
                    for instant in instants:
                        ledger.cover(Fire(name, instant))
                case RecordPosition(name, position):
                    if position is None:
                        ledger.positions.pop(name, None)
                    else:
                        assert position >= ledger.positions.get(name, position)
                        ledger.positions[name] = position
                case KillRun(run_id, _):
                    assert run_id in ledger.open
                case SleepUntil(instant):
                    assert instant == self.state.wake_at
                case Exit():
                    assert not ledger.open
                    assert action is actions[-1]
                    self.exited = True
                case _:
                    assert_never(action)

    # --- the promises ------------------------------------------------------------------------

    def _check_overlap(self, fire: Fire) -> None:
        overlap = self.state.jobs[fire.job].policy.overlap
        if overlap != "allow" and not fire.manual:
            assert not any(running.job == fire.job for running in self.ledger.open.values())

    def _check(self, *, has_looked: bool) -> None:
        assert set(self.state.running) == set(self.ledger.open)
        assert list(self.state.waiting) == sorted(self.state.waiting, key=lambda fire: fire.due)
        assert set(self.state.waiting) == set(self.ledger.waiting)
        running = len(self.ledger.open)
        assert running <= self.cap or running <= self._running_before, "more runs than places"
        self._running_before = running
        if self.state.stopping is None and running < self.cap:
            busy = {fire.job for fire in self.ledger.open.values()}
            for fire in self.state.waiting:
                assert fire.job in busy
                assert not fire.manual
        if self.state.stopping is None:
            self._check_next(has_looked=has_looked)

    def _check_next(self, *, has_looked: bool) -> None:
        """Each job waits for its first instant that is not covered, and that is not overdue."""
        for name, stretches in self.stretches.items():
            if not stretches or stretches[-1].end is not None:
                continue
            stretch, job = stretches[-1], self.state.jobs[name]
            reached = max(stretch.start, self.ledger.latest.get(name, stretch.start))
            assert job.next_due == stretch.policy.schedule.next(reached)
            assert not has_looked or job.next_due + job.policy.jitter > self.now

    def check_ledger(self) -> None:
        """Every due instant up to each job's position is covered once, and nothing else is."""
        for name, stretches in self.stretches.items():
            expected: Counter[datetime] = Counter()
            for stretch in stretches:
                end = stretch.end or self.ledger.latest.get(name, stretch.start)
                expected.update(due_instants(stretch.policy.schedule, stretch.start, end))
            covered = self.ledger.covered.get(name, Counter())
            assert covered == expected, (name, covered - expected, expected - covered)


def _policy(name: str, digits: Digits) -> JobPolicy:
    return JobPolicy(
        name,
        _SCHEDULES[digits.below(len(_SCHEDULES))],
        overlap=_OVERLAPS[digits.below(4)],
        catch_up=_CATCH_UPS[digits.below(3)],
        catch_up_window=(60, 3600, 86_400)[digits.below(3)],
        jitter_seconds=(0, 0, 7, 45, 200)[digits.below(5)],
        enabled=digits.below(5) > 0,
        paused=digits.below(8) == 0,
    )
