"""Standard stages that call a stage for the items of a list (`stdlib.md` §6.1)."""

from typing import Final

from noether_contract.json_values import JsonValue
from noether_runner.builtins.builtin import Builtin, Context
from noether_runner.builtins.fields import items_of, record_of, text_or


def map_items(value: JsonValue, context: Context) -> JsonValue:
    """The child's outputs, item by item in order; its first failure ends the whole."""
    items, child = _items_and_child(value)
    calls = context.reach.calls
    return [calls.call(child, item) for item in items]


def filter_items(value: JsonValue, context: Context) -> JsonValue:
    """The items for which the child answers exactly true."""
    items, child = _items_and_child(value)
    calls = context.reach.calls
    return [item for item in items if calls.call(child, item) is True]


def reduce_items(value: JsonValue, context: Context) -> JsonValue:
    """Folded from the left: the child gets accumulator and item, and gives the next one."""
    items, child = _items_and_child(value)
    calls = context.reach.calls
    accumulator = record_of(value).get("initial")
    for item in items:
        accumulator = calls.call(child, {"accumulator": accumulator, "item": item})
    return accumulator


def _items_and_child(value: JsonValue) -> tuple[list[JsonValue], str]:
    record = record_of(value)
    items = items_of(record, "items", "items must be an array")
    return items, text_or(record, "stage_id", "stage_id must be a string")


STAGES: Final = (
    Builtin("map", map_items),
    Builtin("filter", filter_items),
    Builtin("reduce", reduce_items),
)
