"""Arrow streams, where pyarrow is installed; and what is said where it is not."""

import base64
import datetime as dt
import io
import sys
from importlib import import_module
from typing import Any

import pytest

from noether_contract.json_values import JsonValue
from noether_runner.builtins import arrow
from noether_runner.builtins.builtin import BuiltinError


class Listening:
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def packed(records: JsonValue, context: object = None) -> JsonValue:
    pytest.importorskip("pyarrow", reason="the arrow extra is not installed")
    return arrow.arrow_from_records(records, context or Listening())  # type: ignore[arg-type]


def unpacked(stream: JsonValue) -> JsonValue:
    return arrow.records_to_arrow(stream, Listening())  # type: ignore[arg-type]


def streamed(*tables: Any) -> str:
    stream = io.BytesIO()
    with import_module("pyarrow.ipc").new_stream(stream, tables[0].schema) as writer:
        for table in tables:
            writer.write_table(table)
    return base64.b64encode(stream.getvalue()).decode()


def test_columns_widen_and_missing_cells_are_null() -> None:
    records: JsonValue = [{"a": 1, "b": True}, 5, {"a": "x", "c": [1]}, {"b": None}]
    assert unpacked(packed(records)) == [
        {"a": "1", "b": "true", "c": None},
        {"a": None, "b": None, "c": None},
        {"a": "x", "b": None, "c": "[1]"},
        {"a": None, "b": "null", "c": None},
    ]


def test_booleans_among_numbers_become_zero_with_a_warning() -> None:
    context = Listening()
    assert unpacked(packed([{"a": 1}, {"a": True}], context)) == [{"a": 1.0}, {"a": 0.0}]
    assert context.warnings == ["arrow_from_records: 1 boolean in a column of numbers became 0.0"]


def test_objects_without_a_key_have_no_column() -> None:
    with pytest.raises(BuiltinError, match="record batch error: "):
        packed([{}])


def test_other_columns_become_json() -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="the arrow extra is not installed")
    table = pyarrow.table(
        {
            "when": [dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC)],
            "day": [dt.date(2024, 2, 29)],
            "raw": [b"\x00\xff"],
            "inner": [{"a": [1, None]}],
            "nan": [float("nan")],
            "big": pyarrow.array([2**64 - 1], type=pyarrow.uint64()),
        }
    )
    rows = unpacked(streamed(table, table))
    row: JsonValue = {
        "when": "2024-02-29T12:00:00+00:00",
        "day": "2024-02-29",
        "raw": "AP8=",
        "inner": {"a": [1, None]},
        "nan": None,
        "big": 2**64 - 1,
    }
    assert rows == [row, row]


def test_times_finer_than_a_microsecond_keep_their_digits() -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="the arrow extra is not installed")
    instant = 1_000_000_001
    kinds = {
        "plain": pyarrow.timestamp("ns"),
        "zoned": pyarrow.timestamp("ns", "+02:00"),
        "of_day": pyarrow.time64("ns"),
        "lasting": pyarrow.duration("ns"),
    }
    columns = {name: pyarrow.array([instant, None], kind) for name, kind in kinds.items()}
    moments = pyarrow.array([instant, 2 * instant - 2], pyarrow.timestamp("ns"))
    nested = pyarrow.StructArray.from_arrays([moments.dictionary_encode()], ["when"])
    table = pyarrow.table(
        {
            **columns,
            "list": pyarrow.ListArray.from_arrays([0, 1, 2], nested),
            "map": pyarrow.array([[("k", instant)], []], pyarrow.map_("string", kinds["plain"])),
        }
    )
    assert unpacked(streamed(table)) == [
        {
            "plain": "1970-01-01T00:00:01.000000001",
            "zoned": "1970-01-01T02:00:01.000000001+02:00",
            "of_day": "00:00:01.000000001",
            "lasting": 1.000000001,
            "list": [{"when": "1970-01-01T00:00:01.000000001"}],
            "map": [["k", "1970-01-01T00:00:01.000000001"]],
        },
        {
            **dict.fromkeys(kinds),
            "list": [{"when": "1970-01-01T00:00:02"}],
            "map": [],
        },
    ]


@pytest.mark.parametrize("unit", ["s", "ms"])
def test_a_time_after_all_years_fails(unit: str) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="the arrow extra is not installed")
    table = pyarrow.table({"when": pyarrow.array([2**62], pyarrow.timestamp(unit))})
    with pytest.raises(BuiltinError, match="arrow batch error: "):
        unpacked(streamed(table))


def test_without_pyarrow_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.ipc", None)
    with pytest.raises(BuiltinError, match=r"noether-scheduler\[arrow\]"):
        unpacked("")
