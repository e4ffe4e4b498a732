"""What can happen to the service, as `decide` is told of it.

Every event carries `now`, the wall clock as an aware UTC instant: decisions have no clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from noether_supervisor.decisions.state import JobPolicy


@dataclass(frozen=True, slots=True)
class Woke:
    """The alarm went off, early, in time or late; lateness never drops a fire."""

    now: datetime


@dataclass(frozen=True, slots=True)
class ClockJumped:
    """The wall clock was set, or the machine slept: what fell due in the gap was missed.

    After a jump backwards nothing is due until the clock has passed the covered instants again.
    """

    now: datetime


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A run is over, in whatever way; also one that could not be started. Unknown ids are ignored.

    Every `StartRun` must be answered by exactly one of these.
    """

    run_id: str
    now: datetime


@dataclass(frozen=True, slots=True)
class RunAsked:
    """Somebody wants one fire of a job now, whatever its schedule says."""

    job: str
    now: datetime


@dataclass(frozen=True, slots=True)
class ConfigChanged:
    """The configuration was read again: `policies` are all jobs from now on.

    `positions` are the ledger's last covered instants; they count for jobs that this service did
    not have yet, so those of its start will do. `max_concurrent_runs` None leaves the cap.
    """

    policies: tuple[JobPolicy, ...]
    positions: Mapping[str, datetime]
    now: datetime
    max_concurrent_runs: int | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class StopAsked:
    """The service shall end: nothing starts any more, running runs get `grace_seconds`."""

    now: datetime
    grace_seconds: float


@dataclass(frozen=True, slots=True)
class StopForced:
    """The service shall end at once: whatever still runs is killed."""

    now: datetime


Event = Woke | ClockJumped | RunEnded | RunAsked | ConfigChanged | StopAsked | StopForced
