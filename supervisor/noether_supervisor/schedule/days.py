"""On which days a cron expression is due: its day of month, month and day of week (`cron.md` §2).

croniter, imported nowhere else, answers that, for it knows the calendar; it gets only canonical
spellings and naive dates, in which it is exact. Equal days are one object, because thousands of
jobs that differ in their times of day share a handful of them.
"""

from datetime import date, datetime, time, timedelta
from weakref import WeakValueDictionary

from croniter import croniter

from noether_supervisor.schedule.parsing import CronExpression

_MINUTE = timedelta(minutes=1)
_REMEMBERED = 4

_Fields = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], bool]

_interned: WeakValueDictionary[_Fields, "Days"] = WeakValueDictionary()


class Days:
    """The days on which an expression is due; made by `days_of`. One thread at a time."""

    __slots__ = ("__weakref__", "_answers", "_croniter")

    def __init__(self, expression: CronExpression) -> None:
        self._croniter = croniter(
            f"0 0 {expression.canonical_days}",
            datetime(2000, 1, 1),  # noqa: DTZ001 - a naive local time is what it shall compute in
            ret_type=datetime,
            day_or=not expression.day_and,
        )
        self._answers: tuple[tuple[date, date], ...] = ()

    def on_or_after(self, day: date) -> date:
        """The first of the days that is not before `day`.

        The last answers are remembered, each with the earliest day that it was the answer to.
        """
        for earliest, answer in self._answers:
            if earliest <= day <= answer:
                return answer
        midnight = datetime.combine(day, time())
        found: datetime = self._croniter.get_next(datetime, start_time=midnight - _MINUTE)
        answer = found.date()
        others = [known for known in self._answers if known[1] != answer]
        self._answers = ((day, answer), *others[: _REMEMBERED - 1])
        return answer


def days_of(expression: CronExpression) -> Days:
    """The days of an expression: one object for all that have the same."""
    fields = (expression.days, expression.months, expression.weekdays, expression.day_and)
    days = _interned.get(fields)
    if days is None:
        days = _interned[fields] = Days(expression)
    return days
