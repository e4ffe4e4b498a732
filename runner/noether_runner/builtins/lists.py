"""Standard stages on lists that call no other stage (`stdlib.md` §6.2)."""

from typing import Final

from noether_contract.json_values import JsonValue, compact_json
from noether_runner.builtins.builtin import Builtin, BuiltinError, Context, plain
from noether_runner.builtins.fields import (
    counted,
    items_of,
    optional_flag,
    record_of,
    text_or,
    whole_of,
)

_ITEMS = "items must be an array"
_INPUT = "input must be an array"


def sort(value: JsonValue) -> JsonValue:
    """Sorted, stably: false < true < numbers < texts; what cannot be compared comes last.

    Descending turns the order around, but neither ties nor the place of the incomparable.
    """
    if isinstance(value, list):
        items, key, descending = value, None, False
    else:
        record = record_of(value)
        items = items_of(
            record, "items", "input must be an array or Record{items, key?, descending?}"
        )
        wanted = record.get("key")
        key = wanted if isinstance(wanted, str) else None
        descending = optional_flag(record, "descending", default=False)
    ranked = [(_rank(_sort_value(item, key)), item) for item in items]
    comparable = [(rank, item) for rank, item in ranked if rank is not None]
    comparable.sort(key=lambda pair: pair[0], reverse=descending)
    return [item for _, item in comparable] + [item for rank, item in ranked if rank is None]


def _sort_value(item: JsonValue, key: str | None) -> JsonValue:
    if key is not None and isinstance(item, dict) and key in item:
        return item[key]
    return item


def _rank(value: JsonValue) -> tuple[int, float, str] | None:
    match value:
        case bool():
            return (0, float(value), "")
        case int() | float():
            return (1, float(value), "")
        case str():
            return (2, 0.0, value)
        case _:
            return None


def group_by(value: JsonValue, context: Context) -> JsonValue:
    """The items by the text in their field `key`; all others under the empty text."""
    record = record_of(value)
    items = items_of(record, "items", _ITEMS)
    key = text_or(record, "key", "key must be a string")
    groups: dict[str, JsonValue] = {}
    not_text = 0
    for item in items:
        name = item.get(key) if isinstance(item, dict) else None
        if not isinstance(name, str):
            not_text += isinstance(item, dict) and key in item
            name = ""
        group = groups.setdefault(name, [])
        assert isinstance(group, list)
        group.append(item)
    if not_text:
        have = counted(not_text, "item has", "items have")
        context.warn(f"group_by: {have} no text as '{key}' and went into the group ''")
    return groups


def flatten(value: JsonValue) -> JsonValue:
    """The list with its inner lists opened up, by one level."""
    if not isinstance(value, list):
        raise BuiltinError("input must be an array of arrays")
    flat: list[JsonValue] = []
    for item in value:
        if isinstance(item, list):
            flat.extend(item)
        else:
            flat.append(item)
    return flat


def zip_lists(value: JsonValue) -> JsonValue:
    """Pairs up to the end of the shorter list."""
    record = record_of(value)
    left = items_of(record, "left", "left must be an array")
    right = items_of(record, "right", "right must be an array")
    return [{"left": one, "right": other} for one, other in zip(left, right, strict=False)]


def take(value: JsonValue) -> JsonValue:
    """The first `count` items."""
    record = record_of(value)
    items = items_of(record, "items", _ITEMS)
    count = whole_of(record.get("count"))
    if count is None:
        raise BuiltinError("count must be a number")
    return items[:count]


def list_dedup(value: JsonValue) -> JsonValue:
    """The first of all items with the same compact JSON text."""
    if not isinstance(value, list):
        raise BuiltinError(_INPUT)
    first: dict[bytes, JsonValue] = {}
    for item in value:
        first.setdefault(compact_json(item), item)
    return list(first.values())


def list_length(value: JsonValue) -> JsonValue:
    """The number of items, as a double."""
    if not isinstance(value, list):
        raise BuiltinError(_INPUT)
    return float(len(value))


STAGES: Final = (
    plain("sort", sort),
    Builtin("group_by", group_by),
    plain("flatten", flatten),
    plain("zip", zip_lists),
    plain("take", take),
    plain("list_dedup", list_dedup),
    plain("list_length", list_length),
)
