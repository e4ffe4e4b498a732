"""Standard stages for delimited text (`stdlib.md` §9): no quoting, no trimming of cells."""

from typing import Final

from noether_contract.json_values import JsonValue
from noether_runner.builtins.builtin import Builtin, Context, plain
from noether_runner.builtins.fields import (
    WHITE_SPACE,
    counted,
    items_of,
    optional_flag,
    optional_text,
    record_of,
    text_or,
)
from noether_runner.builtins.text import split_text


def csv_parse(value: JsonValue) -> JsonValue:
    """One record of texts a row; short rows are padded, surplus cells dropped."""
    record = record_of(value)
    text = text_or(record, "text", "text must be a string")
    has_header = optional_flag(record, "has_header", default=True)
    delimiter = optional_text(record, "delimiter", ",")
    lines = _lines(text)
    if not lines:
        return []
    first = split_text(lines[0], delimiter)
    names = first if has_header else [f"col{number}" for number in range(len(first))]
    rows: list[JsonValue] = []
    for line in lines[1:] if has_header else lines:
        if line.strip(WHITE_SPACE):
            cells = split_text(line, delimiter)
            cells += [""] * (len(names) - len(cells))
            rows.append(dict(zip(names, cells, strict=False)))
    return rows


def _lines(text: str) -> list[str]:
    """The lines without their LF or CR LF; a final LF begins no further line."""
    *ended, last = text.split("\n")
    lines = [line.removesuffix("\r") for line in ended]
    return [*lines, last] if last else lines


def csv_write(value: JsonValue, context: Context) -> JsonValue:
    """A header of the first record's keys, sorted, and a line for every record."""
    record = record_of(value)
    records = items_of(record, "records", "records must be an array")
    delimiter = optional_text(record, "delimiter", ",")
    if not records:
        return ""
    first = records[0]
    columns = sorted(first) if isinstance(first, dict) else []
    lines = [delimiter.join(columns)]
    dropped: set[str] = set()
    not_text = not_records = 0
    for row in records:
        if not isinstance(row, dict):
            not_records += 1
            continue
        cells = []
        for column in columns:
            cell = row.get(column, "")
            not_text += not isinstance(cell, str)
            cells.append(cell if isinstance(cell, str) else "")
        lines.append(delimiter.join(cells))
        dropped.update(row.keys() - set(columns))
    if dropped:
        are = counted(len(dropped), "key is", "keys are")
        context.warn(f"csv_write: {are} not in the first record and left out: {_listed(dropped)}")
    if not_text:
        are = counted(not_text, "cell is", "cells are")
        context.warn(f"csv_write: {are} no text and left empty")
    if not_records:
        are = counted(not_records, "row is", "rows are")
        context.warn(f"csv_write: {are} no record and left out")
    return "\n".join(lines)


def _listed(names: set[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:5]) + (", …" if len(shown) > 5 else "")


STAGES: Final = (plain("csv_parse", csv_parse), Builtin("csv_write", csv_write))
