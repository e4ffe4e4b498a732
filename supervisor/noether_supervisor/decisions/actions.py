"""What the service is told to do, in this order; each action has one arm that carries it out."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from noether_supervisor.records import Fire

SkipReason = Literal[
    "overlap",
    "queue full",
    "replaced",
    "job removed",
    "job disabled",
    "job paused",
    "service stopping",
]
MissedReason = Literal["service was down", "clock jumped", "job was absent"]
KillReason = Literal["replaced", "stopping", "forced"]


@dataclass(frozen=True, slots=True)
class StartRun:
    """Record the fire as running, then start its runner; it may be recorded as waiting before.

    Whatever comes of it, one `RunEnded` must follow.
    """

    fire: Fire


@dataclass(frozen=True, slots=True)
class RecordWaiting:
    """The fire waits: for a place under the cap, or for an earlier run of its job to end."""

    fire: Fire


@dataclass(frozen=True, slots=True)
class SkipFire:
    """The fire ends without a run, as `skipped`; it may have been recorded as waiting before.

    `open_run_id` is the fire of the same job in whose favour it was skipped, if there is one.
    """

    fire: Fire
    reason: SkipReason
    open_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class RecordMissed:
    """`count` due instants of a job, from `first` to `last`, passed without a run: one entry."""

    job: str
    first: datetime
    last: datetime
    count: int
    reason: MissedReason


@dataclass(frozen=True, slots=True)
class RecordPosition:
    """The job's position in the ledger moves without an entry; the counting goes on after it.

    None: the job is disabled or paused, and the ledger must not list a position for it until it is
    given one again. So no instant of that time ever counts as due.
    """

    job: str
    position: datetime | None


@dataclass(frozen=True, slots=True)
class KillRun:
    """End this run now; its `RunEnded` is still awaited."""

    run_id: str
    reason: KillReason


@dataclass(frozen=True, slots=True)
class SleepUntil:
    """The next instant at which a `Woke` is wanted; None: only other events matter.

    Given whenever it changed; a service that woke too early sleeps until the last one given.
    """

    instant: datetime | None


@dataclass(frozen=True, slots=True)
class Exit:
    """Nothing runs any more and nothing will: the last action of all."""


Action = (
    StartRun
    | RecordWaiting
    | SkipFire
    | RecordMissed
    | RecordPosition
    | KillRun
    | SleepUntil
    | Exit
)
