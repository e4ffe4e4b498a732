"""The laws of `cron.md` §11, against a walk over every minute that applies §4 literally."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from noether_supervisor.schedule.expression import Schedule, parse_cron, schedule_for
from noether_supervisor.schedule.fires import due_instants
from unit.schedule.cron_texts import cron_texts

MINUTE = timedelta(minutes=1)
CHANGES = [
    ("America/New_York", "2026-03-08T07:00"),
    ("America/New_York", "2026-11-01T06:00"),
    ("Europe/Madrid", "2026-03-29T01:00"),
    ("Europe/Madrid", "2026-10-25T01:00"),
    ("Australia/Lord_Howe", "2025-10-04T15:30"),
    ("Australia/Lord_Howe", "2026-04-04T15:00"),
    ("Asia/Beirut", "2026-03-28T22:00"),
    ("Asia/Beirut", "2025-10-25T21:00"),
    ("Pacific/Apia", "2011-12-30T10:00"),
    ("Antarctica/Troll", "2026-03-29T01:00"),
    ("Africa/Casablanca", "2025-04-06T02:00"),
    ("Asia/Kathmandu", "2026-06-01T00:00"),
    ("UTC", "2026-12-31T23:00"),
]

starts = st.builds(
    lambda change, seconds, micros: (
        ZoneInfo(change[0]),
        datetime.fromisoformat(change[1]).replace(tzinfo=UTC)
        + timedelta(seconds=seconds, microseconds=micros),
    ),
    st.sampled_from(CHANGES),
    st.integers(-100_000, 20_000),
    st.sampled_from([0, 0, 1, 999_999]),
)


def _matches(schedule: Schedule, local: datetime) -> bool:
    cron = schedule.expression
    of_month = local.day in cron.days
    of_week = local.isoweekday() % 7 in cron.weekdays
    day = (of_month and of_week) if cron.day_and else (of_month or of_week)
    return (
        local.minute in cron.minutes
        and local.hour in cron.hours
        and local.month in cron.months
        and day
    )


def walked(schedule: Schedule, after: datetime, until: datetime) -> list[datetime]:
    """The due instants in (after, until] by `cron.md` §4, minute by minute."""
    lead = after.replace(second=0, microsecond=0) - timedelta(hours=30)
    minutes = [lead + index * MINUTE for index in range((until - lead) // MINUTE + 1)]
    readings = [minute.astimezone(schedule.zone).replace(tzinfo=None, fold=0) for minute in minutes]
    if schedule.expression.wildcard:
        due = {at for at, local in zip(minutes, readings, strict=True) if _matches(schedule, local)}
    else:
        due = set()
        reached = readings[0] - MINUTE
        for at, local in zip(minutes, readings, strict=True):
            # each local minute not shown before, skipped ones included, belongs to this instant
            while reached < local:
                reached += MINUTE
                if _matches(schedule, reached):
                    due.add(at)
    return sorted(at for at in due if after < at <= until)


@settings(max_examples=60)
@given(cron_texts, starts)
@example("30 2 * * *", (ZoneInfo("America/New_York"), datetime(2026, 3, 8, 6, 59, tzinfo=UTC)))
@example("*/20 1 * * *", (ZoneInfo("America/New_York"), datetime(2026, 11, 1, 5, 30, tzinfo=UTC)))
@example("0 12 * * *", (ZoneInfo("Pacific/Apia"), datetime(2011, 12, 29, 12, tzinfo=UTC)))
def test_due_instants_are_those_of_the_walk(text: str, start: tuple[ZoneInfo, datetime]) -> None:
    zone, after = start
    schedule = schedule_for(text, zone)
    until = after + timedelta(hours=30)
    expected = walked(schedule, after, until)[:40]
    found = list(islice(due_instants(schedule, after, until), 40))
    assert found == expected


@settings(max_examples=60)
@given(cron_texts, starts, st.floats(0, 1), st.integers(-23, 23))
def test_next_is_one_answer_for_a_whole_interval(
    text: str, start: tuple[ZoneInfo, datetime], part: float, hours: int
) -> None:
    zone, after = start
    schedule = Schedule(parse_cron(text), zone)
    first = schedule.next(after)
    second = schedule.next(first)
    assert after < first < second
    assert (first.second, first.microsecond, first.tzinfo) == (0, 0, UTC)
    between = min(first + (second - first) * part, second - timedelta(microseconds=1))
    # asked anew, so that no answer is remembered, and from another zone
    elsewhere = between.astimezone(timezone(timedelta(hours=hours)))
    assert Schedule(parse_cron(text), zone).next(elsewhere) == second
    assert schedule.next(between) == second
    assert schedule.next(after) == first


@settings(max_examples=30)
@given(cron_texts, st.sampled_from(["UTC", "Asia/Kathmandu", "Asia/Tokyo"]), st.integers(0, 10**9))
def test_without_clock_changes_both_kinds_of_jobs_agree(text: str, zone: str, seconds: int) -> None:
    cron = parse_cron(text)
    minutes, hours = ",".join(map(str, cron.minutes)), ",".join(map(str, cron.hours))
    days = text.split()[2:]
    fixed = schedule_for(" ".join([minutes, hours, *days]), ZoneInfo(zone))
    wildcard = schedule_for(" ".join([f"*/60,{minutes}", hours, *days]), ZoneInfo(zone))
    assert wildcard.expression.wildcard
    assert not fixed.expression.wildcard
    if cron.minutes[0] == 0:
        after = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
        assert fixed.next(after) == wildcard.next(after)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: f"{change[0]} {change[1]}")
def test_every_minute_is_1440_a_day_in_any_zone(change: tuple[str, str]) -> None:
    after = datetime.fromisoformat(change[1]).replace(tzinfo=UTC) - timedelta(hours=12)
    schedule = schedule_for("* * * * *", ZoneInfo(change[0]))
    found = list(due_instants(schedule, after, after + timedelta(hours=24)))
    assert found == [after + (index + 1) * MINUTE for index in range(1440)]


def test_equal_schedules_are_one_object() -> None:
    madrid = ZoneInfo("Europe/Madrid")
    weekdays = schedule_for("0 9 * * 1-5", madrid)
    assert schedule_for("00 09 * * mon-fri", madrid) is weekdays
    assert schedule_for(parse_cron("0 9 * * 1,2,3,4,5"), madrid) is weekdays
    assert schedule_for("0 9 * * 1-5", ZoneInfo("UTC")) is not weekdays
    assert schedule_for("*/60 9 * * 1-5", madrid) is not weekdays
    assert repr(weekdays) == "<Schedule '0 9 * * 1,2,3,4,5' in Europe/Madrid>"


def test_a_leap_day_may_be_eight_years_away() -> None:
    schedule = schedule_for("0 0 29 2 *", ZoneInfo("UTC"))
    assert schedule.next(datetime(2096, 2, 29, tzinfo=UTC)) == datetime(2104, 2, 29, tzinfo=UTC)
    mondays = schedule_for("0 0 29 2 */7", ZoneInfo("UTC"))
    assert mondays.next(datetime(2088, 3, 1, tzinfo=UTC)) == datetime(2128, 2, 29, tzinfo=UTC)


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="expected an aware datetime"):
        schedule_for("* * * * *", ZoneInfo("UTC")).next(datetime(2026, 1, 1))  # noqa: DTZ001 - meant
