"""Standard output of the commands: lines for people, one JSON document for programs.

Colours only on a terminal, never with NO_COLOR (no-color.org) or on a dumb terminal.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TextIO, TypeAlias

import orjson

Record: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Screen:
    """Where a command prints. `as_json`: programs read it; `coloured`: a person looks at it."""

    stream: TextIO
    as_json: bool = False
    coloured: bool = False

    def lines(self, lines: Iterable[str]) -> None:
        """Lines of text; whoever makes them has made outside text harmless."""
        for line in lines:
            self.stream.write(f"{line}\n")

    def json(self, value: list[Record] | Record) -> None:
        """One JSON document, indented: an array for a table, an object for one thing."""
        self.stream.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode("utf-8") + "\n")


def screen_for(stream: TextIO, environ: Mapping[str, str], *, as_json: bool) -> Screen:
    """The screen of a command that prints on `stream`."""
    wants_none = bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"
    return Screen(stream, as_json, not as_json and stream.isatty() and not wants_none)
