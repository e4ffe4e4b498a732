"""The keywords of JSON Schema that bound numbers, texts, arrays and objects."""

import operator
from collections.abc import Callable, Iterator, Sized
from fractions import Fraction
from typing import Any, Final

from noether_contract.json_values import JsonValue
from noether_runner.builtins.builtin import BuiltinError
from noether_runner.builtins.fields import number_of, whole_of
from noether_runner.types.value_kinds import excerpt

GoOn = Callable[[], None]
"""Called now and then; raises to give up."""

Schema = dict[str, JsonValue]

_BOUNDS: Final[tuple[tuple[str, Callable[[Any, Any], bool], str], ...]] = (
    ("minimum", operator.ge, "less than the minimum"),
    ("maximum", operator.le, "more than the maximum"),
    ("exclusiveMinimum", operator.gt, "not more than the exclusive minimum"),
    ("exclusiveMaximum", operator.lt, "not less than the exclusive maximum"),
)


def number_range(value: int | float, schema: Schema) -> Iterator[str]:
    """Violations of the bounds of a number; compared exactly, integers as integers."""
    for keyword, holds, words in _BOUNDS:
        bound = schema.get(keyword)
        if number_of(bound) is not None and not holds(value, bound):
            yield f"{excerpt(value)} is {words} {excerpt(bound)}"
    factor = schema.get("multipleOf")
    size = number_of(factor)
    if size is not None and size > 0 and not _is_multiple(value, factor):
        yield f"{excerpt(value)} is no multiple of {excerpt(factor)}"


def _is_multiple(value: int | float, factor: JsonValue) -> bool:
    """Decimals count as they are written: 0.3 is a multiple of 0.1."""
    return (Fraction(repr(value)) / Fraction(repr(factor))).denominator == 1


def text_size(value: str, schema: Schema, go_on: GoOn) -> Iterator[str]:
    """Violations of the length of a text, in code points, and of its pattern."""
    yield from _size(value, schema, "minLength", "maxLength", "characters")
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and not pattern_found(pattern, value, go_on):
        yield f"{excerpt(value)} does not match the pattern {excerpt(pattern)}"


def array_size(items: list[JsonValue], schema: Schema) -> Iterator[str]:
    """Violations of the number of items."""
    yield from _size(items, schema, "minItems", "maxItems", "items")


def object_size(members: Schema, schema: Schema) -> Iterator[str]:
    """Violations of the number of members."""
    yield from _size(members, schema, "minProperties", "maxProperties", "members")


def _size(value: Sized, schema: Schema, least: str, most: str, words: str) -> Iterator[str]:
    size = len(value)
    bound = whole_of(schema.get(least))
    if bound is not None and size < bound:
        yield f"{size} {words}, expected at least {bound}"
    bound = whole_of(schema.get(most))
    if bound is not None and size > bound:
        yield f"{size} {words}, expected at most {bound}"


def pattern_found(pattern: str, text: str, go_on: GoOn) -> bool:
    """Whether a pattern of the schema matches somewhere in a text."""
    from noether_runner.builtins.regex_engine import RegexError, compiled

    try:
        return compiled(pattern).found(text, go_on)
    except RegexError as error:
        raise BuiltinError(f"the schema's pattern {excerpt(pattern)}: {error}") from None
