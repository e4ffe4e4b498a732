"""Standard stages with type variables: what comes in goes out (`stdlib.md` §12.2)."""

from typing import Final

from noether_contract.json_values import JsonValue
from noether_runner.builtins.builtin import BuiltinError, plain
from noether_runner.builtins.fields import json_text, number_of


def identity(value: JsonValue) -> JsonValue:
    """The input."""
    return value


def head(value: JsonValue) -> JsonValue:
    """The first item of a list."""
    items = _list(value)
    if not items:
        raise BuiltinError("cannot take head of empty list")
    return items[0]


def tail(value: JsonValue) -> JsonValue:
    """A list without its first item."""
    return _list(value)[1:]


def mark_done(value: JsonValue) -> JsonValue:
    """The record with `done` set to true."""
    if not isinstance(value, dict):
        raise BuiltinError(f"expected record, got {json_text(value)}")
    return {**value, "done": True}


def clamp_percent(value: JsonValue) -> JsonValue:
    """The number unchanged: its range is that of the declared type, which the runner checks."""
    if number_of(value) is None:
        raise BuiltinError(f"expected Number, got {json_text(value)}")
    return value


def _list(value: JsonValue) -> list[JsonValue]:
    if not isinstance(value, list):
        raise BuiltinError(f"expected list, got {json_text(value)}")
    return value


STAGES: Final = (
    plain("identity", identity),
    plain("head", head),
    plain("tail", tail),
    plain("mark_done", mark_done),
    plain("clamp_percent", clamp_percent),
)
