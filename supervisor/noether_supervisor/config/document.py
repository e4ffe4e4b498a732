"""The configuration file as it stands on disk: its text, its value, and the place of every key."""

import os
from functools import cached_property
from pathlib import Path

from noether_contract.json_values import JsonTextError, JsonValue, parse_json, position_of
from noether_supervisor.config.excerpt import excerpt, is_secret_path, spans_that_look_secret
from noether_supervisor.config.places import Place, PlaceMap
from noether_supervisor.errors import ConfigError, Finding

UNREADABLE = "Failed to read config from"
INVALID = "Invalid scheduler config JSON:"
"""The documented openings (`scheduler.md` §2)."""


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
        return Finding(path, message, *self.locate(path, at_key=at_key))

    def finding_at(self, path: str, message: str, offset: int) -> Finding:
        """A finding about the text at `offset`."""
        return Finding(path, message, *self._at(offset))

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
            if is_secret_path(path) and self._is_scalar(place)
        )

    def _is_scalar(self, place: Place) -> bool:
        return self.text[place.start] not in "[{"


def read_document(path: Path) -> Document:
    """The document at `path` (relative to the working directory).

    Raises `ConfigError` with the documented openings: the file cannot be read, or is no JSON.
    """
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - absolute, `..` folded, links kept
    try:
        raw = absolute.read_bytes()
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


def _not_json(path: Path, raw: bytes, error: JsonTextError) -> ConfigError:
    text = raw.decode("utf-8", "replace")
    reason, line, column = error.reason, error.line, error.column
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as undecodable:
        reason = "the file is not UTF-8 text"
        line, column = position_of(raw, undecodable.start)
    if not text.strip():
        reason = "the file is empty; expected an object with the key 'jobs'"
    lines = text.split("\n")
    if not line:
        line, column = 1, 1
    offset = sum(len(each) + 1 for each in lines[: line - 1]) + max(column - 1, 0)
    shown = excerpt(text, min(offset, len(text)), spans_that_look_secret(text))
    finding = Finding("", reason, line, column, shown)
    message = f"{INVALID} {path}: {reason} at line {line}, column {column}"
    return ConfigError(f"{message}\n    {shown}" if shown else message, (finding,))
