"""The days of an expression, apart from its times."""

from datetime import date, timedelta

import pytest

from noether_supervisor.schedule.days import Days, days_of
from noether_supervisor.schedule.parsing import parse_cron

DAY = timedelta(days=1)
FIRST = date(2026, 1, 1)


def test_schedules_that_differ_in_their_times_share_their_days() -> None:
    weekly = days_of(parse_cron("0 4 * * 1"))
    assert days_of(parse_cron("30 5,6 * * mon")) is weekly
    # either day field, or both: another set of days
    assert days_of(parse_cron("0 4 13 * 1")) is not days_of(parse_cron("0 4 */13 * 1"))


@pytest.mark.parametrize("text", ["0 0 * * *", "0 0 13 * 5", "0 0 */2 * 5", "0 0 29 2 *"])
def test_answers_that_are_remembered_are_those_that_would_be_found(text: str) -> None:
    expression = parse_cron(text)
    asked = Days(expression)
    for number in (0, 400, 3, 399, 1, 800, 2, 0, 60):
        day = FIRST + number * DAY
        assert asked.on_or_after(day) == Days(expression).on_or_after(day) >= day
