"""One cron expression in one time zone: a fixed set of UTC instants (`cron.md` §4, §5, §8).

Which days match is `days.py`'s business; the times of such a day are two sorted lists. What the
clock changes of a zone mean for a job is decided here. Equal schedules are one object, so that
many jobs that share one cost one computation.
"""

import threading
from bisect import bisect_left, bisect_right
from datetime import UTC, datetime, time, timedelta
from weakref import WeakValueDictionary
from zoneinfo import ZoneInfo

from noether_supervisor.schedule.days import days_of
from noether_supervisor.schedule.fields import CronError, CronErrorKind
from noether_supervisor.schedule.parsing import CronExpression, parse_cron
from noether_supervisor.schedule.zones import ZoneError, named_zone, process_zone

__all__ = [
    "CronError",
    "CronErrorKind",
    "CronExpression",
    "Schedule",
    "ZoneError",
    "change_instant",
    "local_reading",
    "named_zone",
    "parse_cron",
    "process_zone",
    "schedule_for",
]

MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)

_lock = threading.Lock()
"""Held while a schedule is interned or computed: what it shares with others has a state."""

_interned: WeakValueDictionary[tuple[CronExpression, ZoneInfo], "Schedule"] = WeakValueDictionary()


def schedule_for(cron: str | CronExpression, zone: ZoneInfo) -> "Schedule":
    """The one schedule of an expression in a zone; raises `CronError` for a text."""
    expression = parse_cron(cron) if isinstance(cron, str) else cron
    with _lock:
        schedule = _interned.get((expression, zone))
        if schedule is None:
            schedule = _interned[expression, zone] = Schedule(expression, zone)
    return schedule


class Schedule:
    """The due instants of an expression in a zone; made by `schedule_for`."""

    __slots__ = ("__weakref__", "_answers", "_days", "expression", "zone")

    def __init__(self, expression: CronExpression, zone: ZoneInfo) -> None:
        self.expression = expression
        self.zone = zone
        self._days = days_of(expression)
        self._answers: tuple[tuple[datetime, datetime], ...] = ()

    def __repr__(self) -> str:
        return f"<Schedule {self.expression.canonical!r} in {self.zone.key}>"

    def next(self, after: datetime) -> datetime:
        """The first due instant strictly later than the aware instant `after`, in UTC.

        The last two answers are remembered, each with the earliest instant it was the answer to:
        it holds for all instants in between. Two, because all jobs that share a schedule and were
        down for a while ask where their gap begins and where it ends.
        """
        if after.tzinfo is None:
            raise ValueError(f"expected an aware datetime, got {after!r}")
        if after.tzinfo is not UTC:
            after = after.astimezone(UTC)
        with _lock:
            for earliest, answer in self._answers:
                if earliest <= after < answer:
                    return answer
            find = self._next_wildcard if self.expression.wildcard else self._next_fixed
            answer = find(after)
            others = [known for known in self._answers if known[1] != answer]
            self._answers = ((after, answer), *others[:1])
        return answer

    def _next_fixed(self, after: datetime) -> datetime:
        """Every matching local minute once: its first occurrence, or the end of its gap."""
        local = local_reading(after, self.zone)
        while True:
            local = self._next_local(local)
            instant = local.replace(tzinfo=self.zone).astimezone(UTC)
            if local_reading(instant, self.zone) != local:
                # the clock skips this time: read with the offset after the change (fold=1) it
                # names an instant before the change, read with the one before, one after
                before = local.replace(tzinfo=self.zone, fold=1).astimezone(UTC) - MINUTE
                instant = change_instant(self.zone, before, instant)
            if instant > after:
                return instant
            # else the second pass of a repeated hour, or a gap whose end has gone by

    def _next_wildcard(self, after: datetime) -> datetime:
        """Every instant whose local reading matches: none in a gap, twice where repeated."""
        aware = after.astimezone(self.zone)
        local = aware.replace(tzinfo=None, fold=0)
        offset, later_offset = aware.utcoffset(), aware.replace(fold=1).utcoffset()
        assert offset is not None
        assert later_offset is not None
        if aware.fold == 0 and later_offset < offset:
            # the first pass of times that come twice: what it still holds is due first, then
            # the second pass begins, earlier in local time than where we are
            minute = after.replace(second=0, microsecond=0)
            second_pass = change_instant(self.zone, minute, minute + (offset - later_offset))
            candidate = (self._next_local(local) - offset).replace(tzinfo=UTC)
            if candidate < second_pass:
                return candidate
            local = local_reading(second_pass, self.zone) - MINUTE
        while True:
            local = self._next_local(local)
            for fold in (0, 1):
                instant = local.replace(tzinfo=self.zone, fold=fold).astimezone(UTC)
                if instant > after and local_reading(instant, self.zone) == local:
                    return instant
            # else a time that the clock skips

    def _next_local(self, local: datetime) -> datetime:
        """The next matching local minute as if the clock never changed."""
        day = local.date()
        matching = self._days.on_or_after(day)
        if matching == day:
            found = _time_after(self.expression, local.hour, local.minute)
            if found is not None:
                return datetime.combine(day, found)
            matching = self._days.on_or_after(day + _DAY)
        first = time(self.expression.hours[0], self.expression.minutes[0])
        return datetime.combine(matching, first)


def _time_after(expression: CronExpression, hour: int, minute: int) -> time | None:
    """The first time of a matching day later than this minute; None after the last."""
    hours, minutes = expression.hours, expression.minutes
    at = bisect_left(hours, hour)
    if at < len(hours) and hours[at] == hour:
        later = bisect_right(minutes, minute)
        if later < len(minutes):
            return time(hour, minutes[later])
        at += 1
    return time(hours[at], minutes[0]) if at < len(hours) else None


def local_reading(instant: datetime, zone: ZoneInfo) -> datetime:
    """What a clock of the zone shows at an instant: a naive local time."""
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def change_instant(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first whole minute in (before, after] at which the offset of `after` holds."""
    offset = after.astimezone(zone).utcoffset()
    while after - before > MINUTE:
        middle = before + (after - before) // 2 // MINUTE * MINUTE
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after
