"""JSON values as graphs, inputs and outputs carry them (`graph.md` §1.1, §5.3).

Reading is strict RFC 8259 with the reference's number rules; integers and doubles stay apart
(`1` is not `1.0`), booleans are never numbers. orjson does the work; the three points in which
it differs from the rules (`-0`, depth, repeated members) are handled here.
"""

import hashlib
import re
from typing import TypeAlias

import orjson

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
"""Any JSON value. Objects are `dict`s in any order: order never carries meaning."""

MAX_DEPTH = 127
"""Nested arrays and objects allowed in one text; the next level is an error."""

_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_STRINGS = re.compile(_STRING, re.DOTALL)
_STRING_OR_BRACKET = re.compile(_STRING + rb"|[\[\]{}]", re.DOTALL)
_NO_BRACKETS = bytes(sorted(set(range(256)) - set(b"[]{}")))
_SAME_BRACKETS = bytes.maketrans(b"{}", b"[]")
_MINUS_ZERO = re.compile(rb"-0(?![0-9.eE])")
_STRING_OR_MINUS_ZERO = re.compile(_STRING + rb"|-0(?![0-9.eE])", re.DOTALL)


class JsonTextError(ValueError):
    """A text is not acceptable JSON.

    `reason` is a short sentence; `line` and `column` count from 1 (0 when the whole text is meant);
    `too_deep` tells the nesting limit from the other causes.
    """

    def __init__(self, reason: str, line: int, column: int, *, too_deep: bool = False) -> None:
        self.reason = reason
        self.line = line
        self.column = column
        self.too_deep = too_deep
        where = f" at line {line} column {column}" if line else ""
        super().__init__(f"{reason}{where}")


def parse_json(text: bytes | str) -> JsonValue:
    """The value of a JSON text; raises `JsonTextError`.

    Repeated members of an object: the last one wins; callers that must refuse them look at the
    text themselves.
    """
    try:
        data = text.encode("utf-8") if isinstance(text, str) else bytes(text)
    except UnicodeEncodeError:
        raise JsonTextError("the text holds an unpaired surrogate", 0, 0) from None
    _check_depth(data)
    try:
        if _MINUS_ZERO.search(data):
            data = _STRING_OR_MINUS_ZERO.sub(_minus_zero_as_double, data)
        value: JsonValue = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise _as_text_error(error, data) from None
    except RecursionError:
        raise JsonTextError("the JSON text is nested too deeply", 0, 0, too_deep=True) from None
    return value


def compact_json(value: JsonValue) -> bytes:
    """Compact text with sorted members, as the reference prints values (`graph.md` §5.3)."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def value_hash(value: JsonValue) -> str:
    """Lower-case hex SHA-256 of `compact_json(value)`."""
    return hashlib.sha256(compact_json(value)).hexdigest()


def json_equal(left: JsonValue, right: JsonValue) -> bool:
    """Equality by kind: `True`, `1` and `1.0` are three different values, `0.0` is not `-0.0`."""
    return compact_json(left) == compact_json(right)


def _minus_zero_as_double(match: re.Match[bytes]) -> bytes:
    found = match.group()
    return b"-0.0" if found == b"-0" else found


def _check_depth(data: bytes) -> None:
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return
    # Quick for large texts: leave only brackets, of one kind, and take away a level at a time.
    brackets = _STRINGS.sub(b"", data).translate(_SAME_BRACKETS, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        if not brackets:
            return
        brackets = brackets.replace(b"[]", b"")
    if not brackets:
        return
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(data):
        token = match.group()
        if token in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                line, column = position_of(data, match.start())
                raise JsonTextError(
                    f"arrays and objects are nested deeper than {MAX_DEPTH} levels",
                    line,
                    column,
                    too_deep=True,
                )
        elif token in b"]}":
            depth -= 1


def position_of(data: bytes, offset: int) -> tuple[int, int]:
    """Line and column (from 1, in characters) of a byte offset."""
    before = data[:offset]
    line_start = before.rfind(b"\n") + 1
    return before.count(b"\n") + 1, len(before[line_start:].decode("utf-8", "replace")) + 1


def _as_text_error(error: orjson.JSONDecodeError, data: bytes) -> JsonTextError:
    reason = error.msg.split(": line ")[0]
    if data.startswith(b"\xef\xbb\xbf"):
        return JsonTextError("the text begins with a byte order mark; save it without", 1, 1)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as broken:
        return JsonTextError("the text is not UTF-8", *position_of(data, broken.start))
    return JsonTextError(reason, error.lineno, error.colno)
