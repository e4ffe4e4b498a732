"""Standard stages from one kind of value to another (`stdlib.md` §5)."""

import math
import re
from typing import Final

from noether_contract.json_values import JsonTextError, JsonValue
from noether_contract.json_values import parse_json as read_json
from noether_runner.builtins.builtin import BuiltinError, plain
from noether_runner.builtins.fields import bounded, json_text

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def to_text(value: JsonValue) -> JsonValue:
    """Text as it is, anything else as compact JSON."""
    return value if isinstance(value, str) else to_json(value)


def to_json(value: JsonValue) -> JsonValue:
    """Compact JSON with sorted keys, texts included."""
    text = json_text(value)
    bounded(len(text))  # a text grows each time it is written as JSON
    return text


def to_number(value: JsonValue) -> JsonValue:
    """A number untouched, a boolean as 1.0 or 0.0, text as a double."""
    match value:
        case bool():
            return 1.0 if value else 0.0
        case int() | float():
            return value
        case str():
            number = float(value) if _NUMBER.fullmatch(value) else math.inf
            if not math.isfinite(number):
                raise BuiltinError(f"cannot parse '{value}' as number")
            return number
        case _:
            raise BuiltinError(f"cannot convert {json_text(value)} to number")


def to_bool(value: JsonValue) -> JsonValue:
    """False for false, null, zero and the empty text; true for everything else."""
    match value:
        case list() | dict():
            return True
        case _:
            return bool(value)


def parse_json(value: JsonValue) -> JsonValue:
    """The value of a JSON text."""
    if not isinstance(value, str):
        raise BuiltinError("input must be a string")
    try:
        return read_json(value)
    except JsonTextError as error:
        raise BuiltinError(f"invalid JSON: {error}") from None


STAGES: Final = (
    plain("to_text", to_text),
    plain("to_number", to_number),
    plain("to_bool", to_bool),
    plain("parse_json", parse_json),
    plain("to_json", to_json),
)
