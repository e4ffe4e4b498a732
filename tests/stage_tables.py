"""Tables of stage calls with what must come out, each table run in one runner."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness_calls import call, run_harness


@dataclass(frozen=True)
class Row:
    """A call and what it must give: `output` as JSON text, or `failure` as one error class."""

    code: str
    output: str | None = None
    failure: str | None = None
    says: tuple[str, ...] = ()
    value: Any = None
    members: Mapping[str, Any] = field(default_factory=dict)


Table = Mapping[str, Row]


def run_table(table: Table, language: str, **options: Any) -> dict[str, dict[str, Any]]:
    """The result of every row by name, all rows called in one runner."""
    calls = [
        call(row.code, row.value, **{"language": language, **row.members}) for row in table.values()
    ]
    return dict(zip(table, run_harness(calls, **options), strict=True))


def check_row(row: Row, result: Mapping[str, Any]) -> None:
    """Fails unless the result is what the row asks for."""
    if row.failure is None:
        assert (result["error_class"], result["message"]) == (None, None)
        assert result["output_text"] == row.output
    else:
        assert (result["error_class"], result["output_text"]) == (row.failure, None), result
    told = "\n".join(
        str(result[key]) for key in ("message", "traceback", "stdout", "stderr", "warnings")
    )
    for text in row.says:
        assert text in told
