"""Kinds, equality and short texts of JSON values (`types.md` §9.1).

Numbers compare by mathematical value, so `1` equals `1.0` (`0.0` equals `-0.0`); a boolean never
equals a number. That is the equality of refinements and properties; hashes and `json_equal` of
the contract keep `1` and `1.0` apart.
"""

from collections.abc import Hashable
from typing import Final, Literal, TypeAlias

from noether_contract.json_values import JsonValue, compact_json

JsonKind: TypeAlias = Literal["null", "bool", "number", "string", "array", "object"]

EXCERPT_LENGTH: Final = 60


def kind_of(value: JsonValue) -> JsonKind:
    """The JSON kind of a value, in the words of the property `field_type_in`."""
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def equality_key(value: JsonValue) -> Hashable:
    """A hashable stand-in: two values are equal exactly when their stand-ins are."""
    match value:
        case bool():
            return ("bool", value)
        case list():
            return ("array", tuple([equality_key(item) for item in value]))
        case dict():
            return ("object", frozenset([(name, equality_key(value[name])) for name in value]))
        case _:
            return value


def same_value(left: JsonValue, right: JsonValue) -> bool:
    """Equality of two JSON values, numbers by value, booleans apart."""
    return equality_key(left) == equality_key(right)


def excerpt(value: JsonValue) -> str:
    """The value as compact JSON for a message, cut to about `EXCERPT_LENGTH` characters."""
    match value:
        case str() if len(value) > EXCERPT_LENGTH:
            text = compact_json(value[:EXCERPT_LENGTH]).decode()
            return f'{text[:-1]}…" ({len(value)} characters)'
        case list() if len(value) > EXCERPT_LENGTH:
            return f"an array of {len(value)} items"
        case dict() if len(value) > EXCERPT_LENGTH:
            return f"an object of {len(value)} members"
    text = compact_json(value).decode()
    if len(text) <= EXCERPT_LENGTH:
        return text
    return f"{text[:EXCERPT_LENGTH]}…"
