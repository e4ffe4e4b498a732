"""A readable way to tell `decide` a history and to read its answers.

`at("08:05").woke()` answers with lines such as `start a@08:05`, `skip a@08:05: overlap (a@08:00)`,
`sleep 08:10`. Times are of 2026-04-14, UTC; `+1 08:05` is the day after.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never
from zoneinfo import ZoneInfo

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
from noether_supervisor.decisions.state import JobPolicy
from noether_supervisor.records import Fire
from noether_supervisor.schedule.expression import schedule_for

DAY = datetime(2026, 4, 14, tzinfo=UTC)


def job(name: str, cron: str = "*/5 * * * *", **members: Any) -> JobPolicy:
    """A policy with a real schedule in UTC."""
    return JobPolicy(name, schedule_for(cron, ZoneInfo("UTC")), **members)


def instant(text: str) -> datetime:
    """`08:05`, `08:05:30` or `+1 08:05` as an instant."""
    days, _, clock = text.rpartition(" ")
    hours, minutes, seconds = (clock + ":0").split(":")[:3]
    return DAY + timedelta(
        days=int(days or 0), hours=int(hours), minutes=int(minutes), seconds=float(seconds)
    )


def due(text: str) -> Fire:
    """`a@08:05` as a fire."""
    name, _, clock = text.partition("@")
    return Fire(name, instant(clock))


class Story:
    """One service's history; `opening` is what it was told to do first."""

    def __init__(
        self,
        *policies: JobPolicy,
        at: str = "08:00",
        cap: int = 100,
        positions: Mapping[str, str] | None = None,
        waiting: Sequence[str] = (),
    ) -> None:
        if positions is None:
            known = {policy.name: instant(at) for policy in policies}
        else:
            known = {name: instant(clock) for name, clock in positions.items()}
        self.now = instant(at)
        self._manual: dict[str, str] = {}
        self.state, actions = initial_state(
            policies, known, cap, [due(text) for text in waiting], self.now
        )
        self.opening = self._told(actions)

    def at(self, clock: str) -> "Story":
        """Sets the clock for what follows."""
        self.now = instant(clock)
        return self

    def woke(self) -> list[str]:
        return self._tell(Woke(self.now))

    def jumped(self) -> list[str]:
        return self._tell(ClockJumped(self.now))

    def ended(self, run: str) -> list[str]:
        run_id = self._manual.get(run) or due(run).run_id
        return self._tell(RunEnded(run_id, self.now))

    def asked(self, job: str) -> list[str]:
        return self._tell(RunAsked(job, self.now))

    def changed(
        self,
        *policies: JobPolicy,
        cap: int | None = None,
        positions: Mapping[str, str] | None = None,
    ) -> list[str]:
        known = {name: instant(clock) for name, clock in (positions or {}).items()}
        return self._tell(ConfigChanged(policies, known, self.now, max_concurrent_runs=cap))

    def stop_asked(self, grace: float = 30) -> list[str]:
        return self._tell(StopAsked(self.now, grace))

    def stop_forced(self) -> list[str]:
        return self._tell(StopForced(self.now))

    def _tell(self, event: Event) -> list[str]:
        self.state, actions = decide(self.state, event)
        return self._told(actions)

    def _told(self, actions: Sequence[Action]) -> list[str]:
        return [self._shown(action) for action in actions]

    def _shown(self, action: Action) -> str:
        match action:
            case StartRun(fire):
                return f"start {self._fire(fire)}"
            case RecordWaiting(fire):
                return f"wait {self._fire(fire)}"
            case SkipFire(fire, reason, open_run_id):
                favoured = f" ({self._run(open_run_id)})" if open_run_id else ""
                return f"skip {self._fire(fire)}: {reason}{favoured}"
            case RecordMissed(name, first, last, count, reason):
                return f"missed {name} {_clock(first)}..{_clock(last)} x{count}: {reason}"
            case RecordPosition(name, position):
                return f"position {name} {_clock(position)}"
            case KillRun(run_id, reason):
                return f"kill {self._run(run_id)}: {reason}"
            case SleepUntil(wake_at):
                return f"sleep {_clock(wake_at)}"
            case Exit():
                return "exit"
            case _:
                assert_never(action)

    def _fire(self, fire: Fire) -> str:
        shown = f"{fire.job}@{_clock(fire.due)}"
        if fire.manual:
            shown = f"{shown} by hand"
            self._manual[shown] = fire.run_id
        return shown

    def _run(self, run_id: str) -> str:
        for shown, known in self._manual.items():
            if known == run_id:
                return shown
        name, _, stamp = run_id.partition("@")
        return f"{name}@{_clock(datetime.strptime(stamp, '%Y%m%dT%H%M%S%z'))}"


def _clock(moment: datetime | None) -> str:
    if moment is None:
        return "none"
    days = f"{(moment - DAY).days:+d} " if moment.date() != DAY.date() else ""
    text = f"{days}{moment:%H:%M:%S.%f}".rstrip("0").removesuffix(".")
    return text.removesuffix(":00") if text.count(":") == 2 else text
