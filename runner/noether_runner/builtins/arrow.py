"""Standard stages for Apache Arrow streams (`stdlib.md` §9); they need the extra `arrow`.

`records_to_arrow` is named the wrong way round: it decodes. Names are part of ids, so it stays.
"""

import base64
import binascii
import io
from importlib import import_module
from typing import Any, Final

from noether_contract.json_values import JsonValue
from noether_runner.builtins.arrow_cells import cells_of
from noether_runner.builtins.builtin import Builtin, BuiltinError, Context, Place
from noether_runner.builtins.fields import counted, json_text, number_of

_RANKS = ("bool", "number", "text")


def arrow_from_records(value: JsonValue, context: Context) -> JsonValue:
    """The objects of a list as an Arrow stream in Base64: a column a key, all of them nullable."""
    if not isinstance(value, list):
        raise BuiltinError("input must be a JSON array")
    arrow = _library()
    rows = [item if isinstance(item, dict) else {} for item in value]
    names = sorted({name for row in rows for name in row})
    if rows and not names:
        raise BuiltinError("record batch error: the objects have no key, so there is no column")
    types = {"bool": arrow.bool_(), "number": arrow.float64(), "text": arrow.utf8()}
    fields, columns = [], []
    unlike_zero = 0
    for name in names:
        rank = max((_rank(row[name]) for row in rows if name in row), key=_RANKS.index)
        cells = [_cell(row[name], rank) if name in row else None for row in rows]
        if rank == "number":
            unlike_zero += sum(isinstance(row.get(name), bool) for row in rows)
        fields.append(arrow.field(name, types[rank], nullable=True))
        columns.append(arrow.array(cells, type=types[rank]))
    if unlike_zero:
        are = counted(unlike_zero, "boolean", "booleans")
        context.warn(f"arrow_from_records: {are} in a column of numbers became 0.0")
    schema = arrow.schema(fields)
    stream = io.BytesIO()
    with arrow.ipc.new_stream(stream, schema) as writer:
        if names:
            writer.write_batch(arrow.record_batch(columns, schema=schema))
    return base64.b64encode(stream.getvalue()).decode("ascii")


def _rank(value: JsonValue) -> str:
    """The narrowest column that a value fits."""
    if isinstance(value, bool):
        return "bool"
    return "text" if number_of(value) is None else "number"


def _cell(value: JsonValue, rank: str) -> bool | float | str:
    if rank == "bool":
        return value is True
    if rank == "number":
        return 0.0 if isinstance(value, bool) else number_of(value) or 0.0
    return value if isinstance(value, str) else json_text(value)


def records_to_arrow(value: JsonValue, _context: Context) -> JsonValue:
    """The rows of an Arrow stream, given in Base64, as a list of objects; all batches together."""
    if not isinstance(value, str):
        raise BuiltinError("input must be a base64 string")
    try:
        stream = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BuiltinError(f"base64 decode error: {error}") from None
    arrow = _library()
    try:
        reader = arrow.ipc.open_stream(stream)
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise BuiltinError(f"arrow reader error: {error}") from None
    rows: list[JsonValue] = []
    try:
        for batch in reader:
            names = batch.schema.names
            columns = [cells_of(column) for column in batch.columns]
            for place in range(batch.num_rows):
                cells = (column[place] for column in columns)
                rows.append(dict(zip(names, cells, strict=True)))
    except (arrow.ArrowException, OSError, ValueError, OverflowError, LookupError) as error:
        raise BuiltinError(f"arrow batch error: {error}") from None
    return rows


def _library() -> Any:
    """pyarrow, which not everybody has installed."""
    try:
        import_module("pyarrow.ipc")
        return import_module("pyarrow")
    except ImportError:
        raise BuiltinError(
            "this stage needs the package pyarrow; install noether-scheduler[arrow]"
        ) from None


STAGES: Final = (
    Builtin("arrow_from_records", arrow_from_records, Place.CHILD),
    Builtin("records_to_arrow", records_to_arrow, Place.CHILD),
)
