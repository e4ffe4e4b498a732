"""A JSON text as a tree that knows where everything stands.

`parse_json` says what a text means; this says where it says so, and keeps every spelling of a
repeated member. It is built only when something is wrong with a graph, to find the place of the
first mistake. It also takes the beginning of a text: what is cut off there is marked as such.
"""

import re

from noether_contract.json_values import JsonTextError, JsonValue, parse_json

_PIECE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)


class CutOff(Exception):  # noqa: N818 - a signal inside the package, not an error of its own
    """The text ends inside a value, and nothing before its end is wrong."""


class Members(dict[str, JsonValue]):
    """An object: a plain `dict` to everyone, with its members as written in `pairs`.

    `start` is the offset of its brace; `places` holds the offsets of key and value of each pair;
    `cut` tells that the text ends inside.
    """

    def __init__(self, start: int) -> None:
        super().__init__()
        self.start = start
        self.pairs: list[tuple[str, JsonValue]] = []
        self.places: list[tuple[int, int]] = []
        self.cut = False

    def add(self, name: str, value: JsonValue, name_at: int, value_at: int) -> None:
        """Appends a member as read; in the `dict` the last of repeated ones wins."""
        self[name] = value
        self.pairs.append((name, value))
        self.places.append((name_at, value_at))


class Items(list[JsonValue]):
    """An array; `start` is the offset of its bracket, `places` those of its items."""

    def __init__(self, start: int) -> None:
        super().__init__()
        self.start = start
        self.places: list[int] = []


def pairs_of(value: dict[str, JsonValue]) -> list[tuple[str, JsonValue]]:
    """The members in the order of the text, repeated ones included where they are known."""
    return value.pairs if isinstance(value, Members) else list(value.items())


def locate(text: str) -> JsonValue:
    """The tree of a text that `parse_json` accepts, or of the beginning of a text.

    Raises `CutOff` when there is no whole value and no object or array begun.
    """
    return _Locator(text).whole()


class _Locator:
    def __init__(self, text: str) -> None:
        self._pieces = _PIECE.finditer(text)
        self._ended = False

    def whole(self) -> JsonValue:
        piece, at = self._next()
        value = self._value(piece, at)
        if self._ended and not isinstance(value, Members | Items):
            raise CutOff
        return value

    def _next(self) -> tuple[str, int]:
        match = next(self._pieces, None)
        if match is None:
            self._ended = True
            return "", 0
        return match.group(), match.start()

    def _value(self, piece: str, at: int) -> JsonValue:
        match piece:
            case "{":
                return self._object(at)
            case "[":
                return self._array(at)
            case _:
                return self._scalar(piece)

    def _object(self, start: int) -> Members:
        members = Members(start)
        while not self._ended:
            piece, name_at = self._next()
            if piece == "}":
                return members
            if piece in {",", ""}:
                continue
            name = self._scalar(piece)
            self._next()  # the colon
            piece, value_at = self._next()
            value = self._value(piece, value_at)
            if isinstance(name, str) and (isinstance(value, Members | Items) or not self._ended):
                members.add(name, value, name_at, value_at)
        members.cut = True
        return members

    def _array(self, start: int) -> Items:
        items = Items(start)
        while not self._ended:
            piece, at = self._next()
            if piece == "]":
                break
            if piece in {",", ""}:
                continue
            value = self._value(piece, at)
            items.append(value)
            items.places.append(at)
        return items

    def _scalar(self, piece: str) -> JsonValue:
        try:
            return parse_json(piece)
        except JsonTextError:
            self._ended = True
            return None
