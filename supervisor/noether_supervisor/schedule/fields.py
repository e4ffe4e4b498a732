"""The five fields of a cron expression: what may stand in them, and which values that means.

Strict: whatever the grammar of `cron.md` §1 does not allow is a `CronError` of one of the twelve
kinds of §7, with a sentence that names the field, the offending item and what is allowed. The
cost is proportional to the length of the text, which the caller bounds.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from noether_supervisor.errors import SupervisorError

CronErrorKind = Literal[
    "not_a_string",
    "too_long",
    "empty",
    "alias",
    "bad_character",
    "field_count",
    "syntax",
    "unknown_name",
    "out_of_range",
    "reversed_range",
    "zero_step",
    "never_fires",
]


class CronError(SupervisorError):
    """A cron expression that cannot be used; `kind` is its class in `cron.md` §7."""

    exit_code = 2

    def __init__(self, kind: CronErrorKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Field:
    """One of the five fields: its title in messages, its first and last value, its names."""

    title: str
    first: int
    last: int
    names: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """What may stand in the field, for messages: `0-59`."""
        return f"{self.first}-{self.last}"

    def value_of(self, name: str) -> int | None:
        """The number behind a three-letter name in any case; None for other words."""
        lowered = name.lower()
        if lowered not in self.names:
            return None
        # months count from 1, days of the week from 0 (Sunday): both are the first value
        return self.first + self.names.index(lowered)


MINUTE = Field("minute", 0, 59)
HOUR = Field("hour", 0, 23)
DAY = Field("day of month", 1, 31)
MONTH = Field(
    "month",
    1,
    12,
    ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
)
WEEKDAY = Field("day of week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat"))

FIELDS = (MINUTE, HOUR, DAY, MONTH, WEEKDAY)


@lru_cache(maxsize=1024)
def field_values(field: Field, text: str) -> tuple[int, ...]:
    """The sorted values that the text of one field means; Sunday is 0 only.

    Remembered, so that the many jobs of one service share equal tuples. Raises `CronError`.
    """
    values: set[int] = set()
    for item in text.split(","):
        if not item:
            raise CronError("syntax", f"{field.title}: {quoted(text)} has an empty list item")
        values.update(_item_values(field, item))
    if field is WEEKDAY and 7 in values:
        values.discard(7)
        values.add(0)
    return tuple(sorted(values))


def shortened(text: str, longest: int = 80) -> str:
    """The text cut to `longest` characters, with nothing but printable ASCII in it."""
    shown = text[:longest].encode("unicode_escape").decode("ascii")
    return shown if len(text) <= longest else f"{shown}..."


def quoted(text: str, longest: int = 80) -> str:
    """The same in quotes."""
    return f"'{shortened(text, longest)}'"


def _item_values(field: Field, item: str) -> range:
    base, slash, step_text = item.partition("/")
    low_text, dash, high_text = base.partition("-")
    _check_shape(field, item, base, slash, step_text)
    if base == "*":
        low, high = field.first, field.last
    else:
        low = _value(field, item, low_text)
        high = _value(field, item, high_text) if dash else low
        if low > high:
            raise _reversed(field, item, low, high)
        if slash and not dash:
            high = field.last
    step = int(step_text) if slash else 1
    if step == 0:
        raise CronError(
            "zero_step", f"{field.title}: the step in {quoted(item)} must be at least 1"
        )
    return range(low, high + 1, step)


def _check_shape(field: Field, item: str, base: str, slash: str, step_text: str) -> None:
    """Refuses an item outside the grammar, whatever its values."""
    values = base.split("-")
    if base != "*" and (len(values) > 2 or not all(map(_is_value, values))):
        expected = "'*', a value or a range such as 1-5, and after it '/' and a step if need be"
        raise CronError("syntax", f"{field.title}: {quoted(item)} is wrong, expected {expected}")
    if slash and not (step_text.isascii() and step_text.isdigit()):
        raise CronError(
            "syntax",
            f"{field.title}: {quoted(item)} is wrong, expected a whole number after '/'",
        )


def _is_value(text: str) -> bool:
    return text.isascii() and (text.isdigit() or text.isalpha())


def _value(field: Field, item: str, text: str) -> int:
    if not text.isdigit():
        named = field.value_of(text)
        if named is None:
            raise _unknown(field, text)
        return named
    value = int(text)
    if not field.first <= value <= field.last:
        place = f" in {quoted(item, 60)}" if item != text else ""
        raise CronError(
            "out_of_range",
            f"{field.title}: {shortened(text, 20)}{place} is outside {field.allowed}",
        )
    return value


def _unknown(field: Field, word: str) -> CronError:
    known = field.value_of(word[:3])
    if known is not None:
        advice = f"use {word[:3].lower()}"
    elif field.names:
        advice = f"use {field.allowed} or {', '.join(field.names)}"
    else:
        advice = f"use {field.allowed}; names are for month and day of week only"
    return CronError("unknown_name", f"{field.title}: {quoted(word)} is unknown, {advice}")


def _reversed(field: Field, item: str, low: int, high: int) -> CronError:
    message = f"{field.title}: range {shortened(item)} is reversed"
    if "/" in item:
        return CronError("reversed_range", f"{message}, write two ranges")
    if field is WEEKDAY:
        # Sunday is 0 as well as 7, so a range over the week's end has a plain spelling
        if low == 7:
            ranges = [f"0-{high}" if high else "0"]
        else:
            ranges = [f"{low}-7", f"1-{high}"] if high else [f"{low}-7"]
    else:
        ranges = [f"{low}-{field.last}", f"{field.first}-{high}"]
    return CronError("reversed_range", f"{message}, write {','.join(ranges)}")
