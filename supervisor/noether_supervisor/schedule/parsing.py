"""From the text of a cron expression to the sets of values it means (`cron.md` §1, §2, §7).

`parse_cron` accepts exactly the grammar, and answers everything else with one `CronError`: the
checks run in the order of §7, and the first that fails decides the kind.
"""

from calendar import month_name
from dataclasses import dataclass
from functools import lru_cache

from noether_supervisor.schedule.fields import (
    DAY,
    FIELDS,
    HOUR,
    MINUTE,
    MONTH,
    WEEKDAY,
    CronError,
    Field,
    field_values,
    quoted,
    shortened,
)

MAX_CHARACTERS = 1000

_REMEMBERED = 16_384
"""Texts whose meaning is remembered: a file is looked at twice, for mistakes and for schedules."""

_BLANKS = " \t"
_ALLOWED = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ*,-/ \t")
_ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_DAYS_OF_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True, slots=True)
class CronExpression:
    """What an expression means: sorted values of each field (Sunday is 0), and two rules.

    `day_and`: a day must match both day fields, not just one (`cron.md` §2). `wildcard`: the
    local clock's changes are followed, not evened out (§4). Neither can be seen in the values.
    Expressions that mean the same are equal.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    day_and: bool
    wildcard: bool

    @property
    def canonical(self) -> str:
        """The five fields as `*` or a comma list; to be read together with `day_and`."""
        times = f"{_listed(MINUTE, self.minutes)} {_listed(HOUR, self.hours)}"
        return f"{times} {self.canonical_days}"

    @property
    def canonical_days(self) -> str:
        """The last three of these fields: day of month, month, day of week."""
        days, weekdays = _listed(DAY, self.days), _listed(WEEKDAY, self.weekdays)
        if not self.day_and and "*" in (days, weekdays):
            # one of two alternatives is always true
            days = weekdays = "*"
        return f"{days} {_listed(MONTH, self.months)} {weekdays}"


def parse_cron(value: object) -> CronExpression:
    """Reads the `cron` member of a job, a JSON value; raises `CronError`."""
    if not isinstance(value, str):
        raise CronError("not_a_string", "cron must be a string with five fields")
    if len(value) > MAX_CHARACTERS:
        raise CronError(
            "too_long",
            f"cron has {len(value)} characters, at most {MAX_CHARACTERS} are allowed",
        )
    return _read(value)


@lru_cache(maxsize=_REMEMBERED)
def _read(value: str) -> CronExpression:
    text = value.strip(_BLANKS)
    if not text:
        raise CronError("empty", f"cron is empty, expected {_five_fields()}")
    if text.startswith("@"):
        raise _alias(text)
    # of the whole value: what looks like a blank at its ends may be none
    for character in () if _ALLOWED.issuperset(value) else value:
        if character not in _ALLOWED:
            raise CronError(
                "bad_character",
                f"character {quoted(character)} is not allowed in cron; digits, letters, "
                "'*', ',', '-', '/' and blanks are",
            )
    texts = text.split()
    if len(texts) != len(FIELDS):
        raise _field_count(len(texts))
    minutes, hours, days, months, weekdays = map(field_values, FIELDS, texts)
    has_star = [text.startswith("*") for text in texts]
    expression = CronExpression(
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=weekdays,
        day_and=has_star[2] or has_star[4],
        wildcard=has_star[0] or has_star[1],
    )
    _check_fires(expression)
    return expression


def _listed(field: Field, values: tuple[int, ...]) -> str:
    # Sunday has two numbers, so day of week has one value fewer than its range
    size = field.last - field.first + (0 if field is WEEKDAY else 1)
    return "*" if len(values) == size else ",".join(map(str, values))


def _five_fields() -> str:
    return f"{len(FIELDS)} fields: {', '.join(field.title for field in FIELDS)}"


def _alias(text: str) -> CronError:
    word = text.split(maxsplit=1)[0]
    written_out = _ALIASES.get(word.lower())
    advice = f"write {written_out}" if written_out else f"write {_five_fields()}"
    return CronError("alias", f"{shortened(word)} is not supported, {advice}")


def _field_count(count: int) -> CronError:
    noun = "field" if count == 1 else "fields"
    if count < len(FIELDS):
        return CronError("field_count", f"cron has {count} {noun}, expected {_five_fields()}")
    extra = "seconds are" if count == len(FIELDS) + 1 else "seconds and years are"
    return CronError(
        "field_count",
        f"cron has {count} {noun}, expected {len(FIELDS)} ({extra} not supported)",
    )


def _check_fires(expression: CronExpression) -> None:
    """Refuses an expression that matches no day of any year (`cron.md` §2)."""
    if not expression.day_and:
        return
    earliest = min(expression.days)
    longest = max(_DAYS_OF_MONTH[month - 1] for month in expression.months)
    if earliest > longest:
        months = ", ".join(month_name[month] for month in expression.months)
        verb = "has" if len(expression.months) == 1 else "have"
        raise CronError("never_fires", f"cron never fires: {months} {verb} no day {earliest}")
