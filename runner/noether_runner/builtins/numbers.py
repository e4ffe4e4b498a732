"""Standard stages on lists of numbers (`stdlib.md` §6.3); results are doubles."""

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from noether_contract.json_values import JsonValue
from noether_runner.builtins.builtin import Builtin, BuiltinError, Context
from noether_runner.builtins.fields import counted, number_of


def num_sum(value: JsonValue, context: Context) -> JsonValue:
    """The sum, added from left to right; what is no number counts as 0."""
    items = _list(value)
    total = _sum(items)
    _warn(context, "num_sum", items, "counted as 0")
    return total


def num_avg(value: JsonValue, context: Context) -> JsonValue:
    """The sum divided by the number of all items."""
    items = _list(value)
    if not items:
        raise BuiltinError("cannot compute average of empty list")
    mean = _finite(_sum(items) / len(items))
    _warn(context, "num_avg", items, "counted as 0")
    return mean


def _extreme(
    word: str, choose: Callable[[Iterable[float]], float], value: JsonValue, context: Context
) -> JsonValue:
    """The smallest or largest number; what is no number is left out."""
    items = _list(value)
    if not items:
        raise BuiltinError(f"cannot compute {word} of empty list")
    numbers = [number for item in items if (number := number_of(item)) is not None]
    if not numbers:
        raise BuiltinError("no numbers in list")
    _warn(context, f"num_{word}", items, "left out")
    return choose(numbers)


def _list(value: JsonValue) -> list[JsonValue]:
    if not isinstance(value, list):
        raise BuiltinError("input must be an array of numbers")
    return value


def _sum(items: list[JsonValue]) -> float:
    """Plain additions: `sum` compensates rounding errors from Python 3.12 on."""
    total = -0.0 if items else 0.0
    for item in items:
        number = number_of(item)
        total += 0.0 if number is None else number
    return _finite(total)


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise BuiltinError("result is not a finite number")
    return number


def _warn(context: Context, name: str, items: list[JsonValue], treatment: str) -> None:
    others = sum(number_of(item) is None for item in items)
    if others:
        are = counted(others, "item is", "items are")
        context.warn(f"{name}: {are} no number and {treatment}")


STAGES: Final = (
    Builtin("num_sum", num_sum),
    Builtin("num_avg", num_avg),
    Builtin("num_min", partial(_extreme, "min", min)),
    Builtin("num_max", partial(_extreme, "max", max)),
)
