"""The configuration file as it stands on disk: its text, its value, and the place of every key."""

import os
from functools import cached_property
from pathlib import Path

from noether_contract.json_values import JsonTextError, JsonValue, parse_json, position_of
from noether_supervisor.config.bounded import read_bounded
from noether_supervisor.config.excerpt import (
    excerpt,
    harmless,
    is_secret_path,
    may_show_text,
    spans_that_look_secret,
)
from noether_supervisor.config.places import Place, PlaceMap
from noether_supervisor.errors import ConfigError, Finding

UNREADABLE = "Failed to read config from"
INVALID = "Invalid scheduler config JSON:"
"""The documented openings (`scheduler.md` §2)."""

_MOST_BYTES = 64 * 1024 * 1024
"""Of a configuration: ten thousand jobs take two."""

_MOST_PATH_CHARACTERS = 300
_MOST_MESSAGE_CHARACTERS = 1200
"""More than any sentence of ours that does not quote the file."""


class Document:
    """A file that is JSON; nothing is said yet about what it means.

    `path` is absolute. The places of the keys are worked out when the first is asked for.
    """

    def __init__(self, path: Path, text: str, value: JsonValue) -> None:
        self.path = path
        self.text = text
        self.value = value

    @cached_property
    def place_map(self) -> PlaceMap:
        """The places of all keys and values."""
        return PlaceMap(self.text)

    def locate(self, path: str, *, at_key: bool = False) -> tuple[int, int, str]:
        """Line and column (from 1) of the value at `path`, or of its key, and the line itself.

        When the document has no such key, the place of the closest enclosing value.
        """
        place = self.place_map.nearest(path)
        return self._at(place.key if at_key else place.start)

    def finding(self, path: str, message: str, *, at_key: bool = False) -> Finding:
        """A finding about the value at `path`, or about its key."""
        return _finding(path, message, self.locate(path, at_key=at_key))

    def finding_at(self, path: str, message: str, offset: int) -> Finding:
        """A finding about the text at `offset`."""
        return _finding(path, message, self._at(offset))

    def _at(self, offset: int) -> tuple[int, int, str]:
        line = self.text.count("\n", 0, offset) + 1
        column = offset - self.text.rfind("\n", 0, offset)
        return line, column, excerpt(self.text, offset, self._hidden)

    @cached_property
    def _hidden(self) -> list[tuple[int, int]]:
        places = self.place_map.places
        return sorted(
            (place.start, place.end)
            for path, place in places.items()
            if self._is_hidden(path, place)
        )

    def _is_hidden(self, path: str, place: Place) -> bool:
        first = self.text[place.start]
        if first == '"':
            return not may_show_text(path)
        return first not in "[{" and is_secret_path(path)


def _finding(path: str, message: str, place: tuple[int, int, str]) -> Finding:
    return Finding(
        harmless(path, _MOST_PATH_CHARACTERS), harmless(message, _MOST_MESSAGE_CHARACTERS), *place
    )


def read_document(path: Path) -> Document:
    """The document at `path` (relative to the working directory).

    Raises `ConfigError` with the documented openings: the file cannot be read, or is no JSON.
    """
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - absolute, `..` folded, links kept
    try:
        raw = read_bounded(absolute, _MOST_BYTES)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(
            f"{UNREADABLE} {absolute}: {reason}; name a configuration file with --config PATH"
        ) from None
    except ValueError:
        raise ConfigError(f"{UNREADABLE} {absolute}: the path holds a NUL character") from None
    try:
        value = parse_json(raw)
    except JsonTextError as error:
        raise _not_json(absolute, raw, error) from None
    return Document(absolute, raw.decode("utf-8"), value)


_HINTS = (
    (("//", "/*", "#"), "JSON has no comments: write a remark as a key that begins with '_'"),
    (("'",), "JSON has double quotes"),
    (("NaN", "Inf", "-Inf", "None", "True", "False"), "JSON has no such value"),
)
"""What other languages allow, and what to do about it here."""


def _not_json(path: Path, raw: bytes, error: JsonTextError) -> ConfigError:
    text = raw.decode("utf-8", "replace")
    line, column = error.line or 1, error.column or 1
    lines = text.split("\n")
    offset = min(sum(len(each) + 1 for each in lines[: line - 1]) + column - 1, len(text))
    reason = error.reason
    for marks, hint in _HINTS:
        if text.startswith(marks, offset):
            reason = f"{reason} ({hint})"
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as undecodable:
        reason = "the file is not UTF-8 text"
        line, column = position_of(raw, undecodable.start)
        offset = len(raw[: undecodable.start].decode("utf-8"))
    if not text.strip():
        reason = "the file is empty; expected an object with the key 'jobs'"
    shown = excerpt(text, offset, spans_that_look_secret(text))
    finding = Finding("", reason, line, column, shown)
    message = f"{INVALID} {path}: {reason} at line {line}, column {column}"
    return ConfigError(f"{message}\n    {shown}" if shown else message, (finding,))
