"""Arrow streams, where pyarrow is installed; and what is said where it is not."""

import base64
import datetime as dt
import io
import sys

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
    stream = io.BytesIO()
    with pyarrow.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
        writer.write_table(table)
    rows = unpacked(base64.b64encode(stream.getvalue()).decode())
    row: JsonValue = {
        "when": "2024-02-29T12:00:00+00:00",
        "day": "2024-02-29",
        "raw": "AP8=",
        "inner": {"a": [1, None]},
        "nan": None,
        "big": 2**64 - 1,
    }
    assert rows == [row, row]


def test_without_pyarrow_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.ipc", None)
    with pytest.raises(BuiltinError, match=r"noether-scheduler\[arrow\]"):
        unpacked("")
