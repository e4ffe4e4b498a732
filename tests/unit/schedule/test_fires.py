"""Counting the fires of an interval: the same as walking through them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noether_supervisor.schedule.expression import schedule_for
from noether_supervisor.schedule.fires import Span, due_instants, due_span
from unit.schedule.cron_texts import cron_texts
from unit.schedule.test_schedule_laws import starts

START = datetime(2026, 1, 3, 1, 2, tzinfo=UTC)


@settings(max_examples=80)
@given(cron_texts, starts, st.integers(0, 150_000))
def test_counting_is_walking(text: str, start: tuple[ZoneInfo, datetime], seconds: int) -> None:
    zone, after = start
    schedule = schedule_for(text, zone)
    instants = list(islice(due_instants(schedule, after, after + timedelta(seconds=seconds)), 80))
    until = after + timedelta(seconds=seconds)
    if len(instants) == 80:
        # walking is slow: count no further than we went
        until = instants[-1]
    expected = Span(instants[0], instants[-1], len(instants)) if instants else None
    assert due_span(schedule, after, until) == expected


@pytest.mark.parametrize(
    ("text", "zone", "count"),
    [
        ("* * * * *", "UTC", 525_600),
        ("* * * * *", "Europe/Madrid", 525_600),
        # fixed times: the hour that is skipped is one fire, the one that comes twice fires once
        ("0-59 0-23 * * *", "Europe/Madrid", 525_600 - 60),
        ("0-59 1-3 * * *", "Europe/Madrid", 365 * 180 - 60),
        # wildcard: nothing in the gap, both passes
        ("*/1 2 * * *", "Europe/Madrid", 365 * 60),
        ("0 0 * * mon", "Europe/Madrid", 52),
    ],
)
def test_a_year_is_counted(text: str, zone: str, count: int) -> None:
    span = due_span(schedule_for(text, ZoneInfo(zone)), START, START + timedelta(days=365))
    assert span is not None
    assert span.count == count


def test_an_interval_is_open_at_its_start_and_closed_at_its_end() -> None:
    schedule = schedule_for("*/5 * * * *", ZoneInfo("UTC"))
    first, second = START.replace(minute=5), START.replace(minute=10)
    assert due_span(schedule, first, second) == Span(second, second, 1)
    assert due_span(schedule, first, second - timedelta(microseconds=1)) is None
    assert due_span(schedule, second, first) is None
    assert list(due_instants(schedule, START, second)) == [first, second]


@dataclass(frozen=True)
class Hourly:
    """Any object with `next` is a schedule."""

    def next(self, after: datetime) -> datetime:
        return after.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)


def test_another_schedule_is_walked() -> None:
    span = due_span(Hourly(), START, START + timedelta(hours=10))
    assert span == Span(START.replace(hour=2, minute=0), START.replace(hour=11, minute=0), 10)
