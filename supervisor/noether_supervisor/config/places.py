"""Where the members of a JSON text stand: paths such as `jobs[2].cron`, and their offsets.

The text has been accepted by `parse_json` before; this is a map of it, not a second reader.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from noether_contract.json_values import JsonValue, compact_json, parse_json

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]|[^\s\[\]{},:"]+')
_STRING_AND_COLON = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?')
_PLAIN_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*")


@dataclass(frozen=True, slots=True)
class Place:
    """Offsets (in characters) of one value; `key` is that of its key, of itself in a list."""

    key: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class RepeatedMember:
    """A member that an object holds more than once; `offset` is that of the later key."""

    path: str
    key: str
    offset: int


def member_path(path: str, key: str) -> str:
    """The path of the member `key` of the object at `path` (the document itself is `""`)."""
    if not _PLAIN_KEY.fullmatch(key):
        return f"{path}[{compact_json(key).decode()}]"
    return f"{path}.{key}" if path else key


def item_path(path: str, index: int) -> str:
    """The path of an item of the list at `path`."""
    return f"{path}[{index}]"


def path_of(parts: Iterable[str | int]) -> str:
    """The path of a sequence of keys and indices."""
    path = ""
    for part in parts:
        path = item_path(path, part) if isinstance(part, int) else member_path(path, part)
    return path


def has_repeated_members(text: str, value: JsonValue) -> bool:
    """Whether some object of `text`, whose value is `value`, holds a member twice.

    Only counts, so that a large file without such members need not be mapped.
    """
    keys_written = sum(map(bool, _STRING_AND_COLON.findall(text)))
    return keys_written != _count_members(value)


def _count_members(value: JsonValue) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_count_members, value.values()))
    if isinstance(value, list):
        return sum(map(_count_members, value))
    return 0


class PlaceMap:
    """The places of all values of one text, by path; the last of repeated members counts."""

    def __init__(self, text: str) -> None:
        self.places: dict[str, Place] = {}
        self.repeated: list[RepeatedMember] = []
        self._tokens: Iterator[re.Match[str]] = _TOKEN.finditer(text)
        first = next(self._tokens)
        self._value("", first, first.start())

    def nearest(self, path: str) -> Place:
        """The place of `path`, or of the closest enclosing value that the text has."""
        while path not in self.places:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.places[path]

    def _value(self, path: str, token: re.Match[str], key: int) -> None:
        match token.group():
            case "{":
                end = self._object(path)
            case "[":
                end = self._list(path)
            case _:
                end = token.end()
        self.places[path] = Place(key, token.start(), end)

    def _object(self, path: str) -> int:
        seen: set[str] = set()
        while (token := next(self._tokens)).group() != "}":
            if token.group() == ",":
                continue
            key = _key_text(token.group())
            own_path = member_path(path, key)
            if key in seen:
                self.repeated.append(RepeatedMember(own_path, key, token.start()))
            seen.add(key)
            next(self._tokens)  # the colon
            self._value(own_path, next(self._tokens), token.start())
        return token.end()

    def _list(self, path: str) -> int:
        index = 0
        while (token := next(self._tokens)).group() != "]":
            if token.group() == ",":
                continue
            self._value(item_path(path, index), token, token.start())
            index += 1
        return token.end()


def _key_text(token: str) -> str:
    if "\\" not in token:
        return token[1:-1]
    key = parse_json(token)
    assert isinstance(key, str)
    return key
