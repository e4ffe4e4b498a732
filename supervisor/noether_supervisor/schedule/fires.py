"""Fires due in an interval: how many, the first and the last, without listing them.

A long outage of a job that is due every minute swallows half a million instants a year. They are
counted by days, exactly: the interval is cut where the zone's offset changes, and in each piece
local time and UTC run side by side.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Protocol
from zoneinfo import ZoneInfo

from noether_supervisor.schedule.expression import (
    MINUTE,
    CronExpression,
    Schedule,
    change_instant,
    local_reading,
)

_DAY = timedelta(days=1)
_LOOK = timedelta(hours=6)
"""Offsets are compared this far apart; the changes of every known zone are weeks apart."""


class DueInstants(Protocol):
    """When a job is due: a fixed set of UTC instants."""

    def next(self, after: datetime) -> datetime:
        """The first due instant strictly later than `after`."""
        ...


@dataclass(frozen=True, slots=True)
class Span:
    """Some consecutive due instants of one job."""

    first: datetime
    last: datetime
    count: int


def due_instants(schedule: DueInstants, after: datetime, until: datetime) -> Iterator[datetime]:
    """The due instants in (after, until], in order."""
    instant = schedule.next(after)
    while instant <= until:
        yield instant
        instant = schedule.next(instant)


def due_span(schedule: DueInstants, after: datetime, until: datetime) -> Span | None:
    """The due instants in (after, until] as one record; None when there is none."""
    first = schedule.next(after)
    if first > until:
        return None
    if isinstance(schedule, Schedule):
        return _counted(schedule, first, until)
    instants = list(due_instants(schedule, after, until))
    return Span(first, instants[-1], len(instants))


def _counted(schedule: Schedule, first: datetime, until: datetime) -> Span:
    """The due instants from `first`, which is one, to `until`."""
    expression = schedule.expression
    count = 0
    last = first
    for piece in _pieces(schedule, first - MINUTE, until):
        matching = _count(expression, piece.start, piece.end)
        if matching:
            count += matching if piece.merged_at is None else 1
            last = piece.instant(_last(expression, piece.start, piece.end))
    return Span(first, last, count)


# --- the interval, cut where the offset changes ------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Piece:
    """The local times [start, end), whole minutes; those that match are due.

    Each at itself minus `offset`; or, if `merged_at` is given, all of them once, at that instant.
    """

    start: datetime
    end: datetime
    offset: timedelta
    merged_at: datetime | None = None

    def instant(self, local: datetime) -> datetime:
        """When a matching time of this piece is due."""
        return self.merged_at or (local - self.offset).replace(tzinfo=UTC)


def _pieces(schedule: Schedule, after: datetime, until: datetime) -> Iterator[_Piece]:
    """The local times that decide about (after, until], in order of their instants."""
    zone = schedule.zone
    start = _next_minute(after)
    end = _next_minute(until)
    # no clock was ever set back by more than a day: what it repeats began less than two ago
    lead = start - 2 * _DAY
    seen: datetime | None = None
    for begin, stop in pairwise([lead, *_changes(zone, lead, end), end]):
        local = local_reading(begin, zone)
        offset = local - begin.replace(tzinfo=None)
        local_start = max(begin, start).replace(tzinfo=None) + offset
        local_stop = stop.replace(tzinfo=None) + offset
        if not schedule.expression.wildcard and seen is not None:
            if local > seen:
                # the skipped times are due when their gap ends, together with the time there
                if begin >= start:
                    yield _Piece(seen, local + MINUTE, offset, merged_at=begin)
                seen = local + MINUTE
            local_start = max(local_start, seen)
        seen = max(seen or local_stop, local_stop)
        if local_start < local_stop:
            yield _Piece(local_start, local_stop, offset)


def _next_minute(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(second=0, microsecond=0) + MINUTE


def _changes(zone: ZoneInfo, after: datetime, before: datetime) -> Iterator[datetime]:
    """The instants between two others at which the zone's offset changes."""
    for year in range(after.year, before.year + 1):
        for change in _changes_of_year(zone, year):
            if after < change < before:
                yield change


@lru_cache(maxsize=256)
def _changes_of_year(zone: ZoneInfo, year: int) -> tuple[datetime, ...]:
    """The same for the instants after the start of a UTC year, up to the start of the next."""
    changes = []
    instant = datetime(year, 1, 1, tzinfo=UTC)
    end = datetime(year + 1, 1, 1, tzinfo=UTC)
    offset = instant.astimezone(zone).utcoffset()
    while instant < end:
        before, instant = instant, instant + _LOOK
        last_offset, offset = offset, instant.astimezone(zone).utcoffset()
        if offset != last_offset:
            changes.append(change_instant(zone, before, instant))
    return tuple(changes)


# --- local times, as if the clock never changed -------------------------------------------------


def _count(expression: CronExpression, start: datetime, end: datetime) -> int:
    """How many minutes of [start, end) match."""
    whole_day = len(expression.hours) * len(expression.minutes)
    first_day, last_day = start.toordinal(), end.toordinal()
    count = 0
    for ordinal in range(first_day, last_day + 1):
        if _day_matches(expression, date.fromordinal(ordinal)):
            count += whole_day
            if ordinal == first_day:
                count -= _count_before(expression, start)
            if ordinal == last_day:
                count -= whole_day - _count_before(expression, end)
    return count


def _count_before(expression: CronExpression, local: datetime) -> int:
    """How many matching times a matching day has before the given one."""
    hours, minutes = expression.hours, expression.minutes
    earlier_hours = bisect_left(hours, local.hour)
    count = earlier_hours * len(minutes)
    if earlier_hours < len(hours) and hours[earlier_hours] == local.hour:
        count += bisect_left(minutes, local.minute)
    return count


def _last(expression: CronExpression, start: datetime, end: datetime) -> datetime:
    """The last matching minute of [start, end), which has one."""
    limit = end.hour * 60 + end.minute
    for ordinal in range(end.toordinal(), start.toordinal() - 1, -1):
        day = date.fromordinal(ordinal)
        if _day_matches(expression, day):
            for hour in reversed(expression.hours):
                earlier = bisect_left(expression.minutes, limit - hour * 60)
                if earlier:
                    return datetime.combine(day, time(hour, expression.minutes[earlier - 1]))
        limit = 24 * 60
    raise AssertionError(f"no minute in [{start}, {end}) matches")


def _day_matches(expression: CronExpression, day: date) -> bool:
    if day.month not in expression.months:
        return False
    of_month = day.day in expression.days
    of_week = day.isoweekday() % 7 in expression.weekdays
    return of_month and of_week if expression.day_and else of_month or of_week
