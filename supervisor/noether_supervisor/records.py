"""What the arms of the supervisor share: fires, endings, owed deliveries, ledger entries.

All instants are aware UTC datetimes; all durations milliseconds; all sizes bytes.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from noether_contract.messages import ErrorRecord, Trace, Usage
from noether_contract.outcomes import RunStatus


def instant_text(instant: datetime) -> str:
    """`2026-04-14T08:30:00Z`: an instant to the second, as webhooks and tables show it."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Fire:
    """A due instant of a job, or a run asked for by hand (`manual`, then `due` is its start)."""

    job: str
    due: datetime
    manual: bool = False

    @property
    def run_id(self) -> str:
        """The one id of the fire and its run, known beforehand (`scheduler.md` §3)."""
        due = self.due.astimezone(UTC)
        if self.manual:
            return f"{self.job}@{due:%Y%m%dT%H%M%S}{due.microsecond // 1000:03d}Z-manual"
        return f"{self.job}@{due:%Y%m%dT%H%M%SZ}"


@dataclass(frozen=True, slots=True)
class RunEnding:
    """How one run ended: the terminal status, and everything that is recorded and told of it.

    `output` counts only when `status` is succeeded. `notes` are remarks of the supervisor, such
    as a report that disagreed with the exit of its process.
    """

    status: RunStatus
    started_at: datetime
    duration_ms: int
    composition_id: str | None = None
    output: Any = None
    error: ErrorRecord | None = None
    trace: Trace | None = None
    usage: Usage = field(default_factory=Usage)
    notes: tuple[str, ...] = ()
    stderr_tail: str = ""


@dataclass(frozen=True, slots=True)
class OwedDelivery:
    """One webhook call that a run's end owes: written in the transaction of that end.

    `receiver` is what may be shown of the URL, `https://hooks.example.com:443`: the URL itself is
    in the configuration and nowhere else, as are the secrets. `most_attempts` is for showing, too.
    """

    run_id: str
    job: str
    receiver: str
    body: bytes = field(repr=False)
    most_attempts: int = 1


@dataclass(frozen=True, slots=True)
class Delivery:
    """An owed delivery as the outbox holds it; `attempts` were made already."""

    id: int
    owed: OwedDelivery
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """An owed delivery without its body: to whom, and not before when (None: at once)."""

    id: int
    receiver: str
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a delivery, as it is recorded: what it leaves the delivery as, and why.

    `http_status` is that of an answer; `problem` says what was wrong, without the URL. `next_at`
    is the instant of the next attempt, of a delivery that stays owed.
    """

    state: Literal["delivered", "owed", "failed"]
    at: datetime
    http_status: int | None = None
    problem: str | None = None
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunnerProcess:
    """The identity of a runner: its pid and its start time in clock ticks since boot."""

    pid: int
    start_ticks: int


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One entry of the history as readers see it; `due_count` > 1 only for missed fires.

    `trace` and `output` are parsed lazily by the history, so here they are JSON texts.
    """

    run_id: str
    job: str
    manual: bool
    due: datetime
    due_last: datetime
    due_count: int
    status: RunStatus
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_ms: int | None = None
    composition_id: str | None = None
    reason: str | None = None
    error: ErrorRecord | None = None
    output_text: str | None = None
    trace_text: str | None = None
    notes: tuple[str, ...] = ()
    runner: RunnerProcess | None = None
    delivery: str | None = None
