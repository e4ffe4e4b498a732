"""Everything a decision depends on, immutable: no mapping in it is changed after it was returned.

What holds between any two events:

- each counting job has exactly one entry in `agenda`, and `position < next_due`;
- every instant of a job up to its `position` is covered in the ledger, none after it;
- `waiting` is sorted by due instant, and none of it could start while a place is free;
- at most `max_concurrent_runs` runs are running, counting those that are being killed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from noether_supervisor.decisions.actions import Action, KillReason
from noether_supervisor.records import Fire
from noether_supervisor.schedule.fires import DueInstants

Overlap = Literal["skip", "queue", "allow", "replace"]
CatchUp = Literal["none", "last", "all"]


@dataclass(frozen=True, slots=True)
class JobPolicy:
    """What the configuration says about when and how often a job runs; seconds throughout.

    `jitter_seconds` is the job's own fixed offset: its runs start that much later than they are
    due. Two policies with equal schedules count as the same schedule at a reload. `paused` is not
    the configuration's but somebody's who paused the job; its effect is that of `enabled` off.
    """

    name: str
    schedule: DueInstants
    overlap: Overlap = "skip"
    catch_up: CatchUp = "none"
    catch_up_window: float = 86_400.0
    jitter_seconds: float = 0.0
    enabled: bool = True
    paused: bool = False

    @property
    def counts(self) -> bool:
        """Whether the job is due at the instants of its schedule: neither disabled nor paused."""
        return self.enabled and not self.paused

    @property
    def jitter(self) -> timedelta:
        """The offset between a due instant and the start of its run."""
        return timedelta(seconds=self.jitter_seconds)


@dataclass(frozen=True, slots=True)
class Job:
    """A job and its place in the ledger; `next_due` is None while it does not count."""

    policy: JobPolicy
    position: datetime
    next_due: datetime | None


@dataclass(frozen=True, slots=True)
class Running:
    """A run that was started and has not ended; `killed_for` once its end was ordered."""

    fire: Fire
    killed_for: KillReason | None = None


@dataclass(frozen=True, slots=True)
class Stopping:
    """The service is ending; at `deadline`, `grace` after it was asked, what runs is killed."""

    deadline: datetime
    grace: timedelta
    exited: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """The whole memory of `decide`.

    `agenda` is a heap of (instant at which a job's next fire starts, job). `running` is by run
    id, in order of start. `wake_at` is the `SleepUntil` given last. `last_manual` is the instant
    of the last run by hand, so that no two share an id. `removed` are jobs that a reload took
    away, should one bring them back.
    """

    max_concurrent_runs: int
    jobs: Mapping[str, Job] = field(default_factory=dict)
    removed: Mapping[str, Job] = field(default_factory=dict)
    agenda: tuple[tuple[datetime, str], ...] = ()
    running: Mapping[str, Running] = field(default_factory=dict)
    waiting: tuple[Fire, ...] = ()
    stopping: Stopping | None = None
    wake_at: datetime | None = None
    last_manual: datetime | None = None


Decision = tuple[State, tuple[Action, ...]]
