"""The cells of an Arrow column as JSON values (`stdlib.md` §9).

Times become ISO 8601 text, bytes Base64, decimals text, durations seconds. pyarrow makes Python's
own objects out of most columns; times that are finer than a microsecond, which pandas writes, are
read here.
"""

import base64
import datetime as dt
import decimal
import math
from importlib import import_module
from typing import Any, Final

from noether_contract.json_values import JsonValue

_PER_SECOND: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_UP_TO_SECONDS: Final = len("1970-01-01T00:00:00")


def cells_of(column: Any) -> list[JsonValue]:
    """The cells in order.

    Raises `ValueError`, `OverflowError` or `LookupError` for one that no text can stand for.
    """
    try:
        return [_json(cell) for cell in column.to_pylist()]
    except (ValueError, OverflowError):
        return [_read(cell) for cell in column]


def _json(cell: Any) -> JsonValue:
    match cell:
        case None | bool() | int() | str():
            return cell
        case float():
            return cell if math.isfinite(cell) else None
        case bytes():
            return base64.b64encode(cell).decode("ascii")
        case dt.datetime() | dt.date() | dt.time():
            return cell.isoformat()
        case dt.timedelta():
            return cell.total_seconds()
        case decimal.Decimal():
            return str(cell)
        case list() | tuple():
            return [_json(each) for each in cell]
        case dict():
            return {str(name): _json(each) for name, each in cell.items()}
        case _:
            return str(cell)


def _read(cell: Any) -> JsonValue:
    """One cell without Python's clock types, whose finest step is a microsecond."""
    types, kind = import_module("pyarrow.types"), cell.type
    if not cell.is_valid:
        return None
    if types.is_dictionary(kind):
        return _read(cell.value)
    if types.is_struct(kind):
        return {name: _read(each) for name, each in cell.items()}
    if types.is_map(kind):
        return [[_read(entry["key"]), _read(entry["value"])] for entry in cell.values]
    if types.is_nested(kind):
        return [_read(each) for each in cell.values]
    if types.is_timestamp(kind):
        return _moment(cell.value, kind.unit, kind.tz)
    if types.is_time(kind):
        return _moment(cell.value, kind.unit, None).partition("T")[2]
    if types.is_duration(kind):
        return float(cell.value / _PER_SECOND[kind.unit])
    return _json(cell.as_py())


def _moment(value: int, unit: str, zone: str | None) -> str:
    """An instant, counted in units from 1970 on, in its zone."""
    seconds, rest = divmod(value, _PER_SECOND[unit])
    moment = _EPOCH + dt.timedelta(seconds=seconds)
    if zone is None:
        moment = moment.replace(tzinfo=None)
    else:
        moment = moment.astimezone(import_module("pyarrow.lib").string_to_tzinfo(zone))
    text = moment.isoformat(timespec="seconds")
    digits = f"{rest * (_PER_SECOND['ns'] // _PER_SECOND[unit]):09d}"
    if not rest:
        return text
    fraction = digits.removesuffix("000")
    return f"{text[:_UP_TO_SECONDS]}.{fraction}{text[_UP_TO_SECONDS:]}"
