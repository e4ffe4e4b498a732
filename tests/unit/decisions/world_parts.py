"""What the simulated world of `world.py` is made of: cheap schedules, choices, a ledger."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from noether_supervisor.decisions.state import JobPolicy
from noether_supervisor.records import Fire

DAY = datetime(2026, 4, 14, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Every:
    """A schedule that costs nothing: due every so many minutes since `DAY`, plus a shift."""

    minutes: int
    shift: int = 0

    def next(self, after: datetime) -> datetime:
        start, step = DAY + timedelta(minutes=self.shift), timedelta(minutes=self.minutes)
        return start + ((after - start) // step + 1) * step


class Digits:
    """Draws choices out of one number, so that a history is a list of plain values."""

    def __init__(self, number: int) -> None:
        self._left = number

    def below(self, limit: int) -> int:
        self._left, drawn = divmod(self._left, limit)
        return drawn


@dataclass
class Stretch:
    """Due instants of one schedule in (start, end] must be covered; end None: still counting."""

    policy: JobPolicy
    start: datetime
    end: datetime | None = None


@dataclass
class Ledger:
    """What a service recorded: it survives a crash."""

    covered: dict[str, Counter[datetime]] = field(default_factory=dict)
    latest: dict[str, datetime] = field(default_factory=dict)
    positions: dict[str, datetime] = field(default_factory=dict)
    waiting: dict[Fire, None] = field(default_factory=dict)
    open: dict[str, Fire] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    def cover(self, fire: Fire) -> None:
        """Counts the one entry of a fire."""
        if not fire.manual:
            assert fire.due > self.positions.get(fire.job, fire.due - MINUTE), "covered already"
            self.covered.setdefault(fire.job, Counter())[fire.due] += 1
            self.latest[fire.job] = max(self.latest.get(fire.job, fire.due), fire.due)
            self.positions[fire.job] = fire.due

    def positions_at(self, now: datetime) -> dict[str, datetime]:
        """The positions, and what is covered in the future, after a clock was set back."""
        ahead = {name: latest for name, latest in self.latest.items() if latest > now}
        return ahead | self.positions
