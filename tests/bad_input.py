"""Bad input by generation: valid documents, spoilt in every way that files and networks spoil them.

`spoilt_values` spoils the *meaning* of a JSON value (wrong kinds, missing, extra and misspelt
members, huge and odd numbers, deep nesting, lone surrogates), `spoilt_texts` also its *bytes*
(truncated, not UTF-8, a byte order mark, NUL, repeated members, what other languages than JSON
allow). Both leave most of the document as it was, since only that reaches the far ends of a reader.
"""

import copy
import json
import os
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

T = TypeVar("T")
E = TypeVar("E", bound=Exception)


def _some(examples: int) -> settings:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    times = int(os.environ.get("BAD_INPUTS", "1"))
    return settings(max_examples=examples * times, suppress_health_check=checks)


few = _some(60)
"""For readers: enough to meet every kind of damage, and quick. `BAD_INPUTS=50` looks harder."""

fewer = _some(20)
"""For what takes more than a few milliseconds."""

_DEEP = 60
"""Levels of nesting that a text may have; `TOO_DEEP` of them are an error in themselves."""
TOO_DEEP = 200

_LONG = 9_000
_ENORMOUS = 200_000
"""Characters of a long string in a value, and of one that is more than a pipe or a socket holds."""


class Spoilt(bytes):
    """Bytes that a failing test shows in short."""

    def __repr__(self) -> str:
        if len(self) <= 4000:
            return super().__repr__()
        return f"{bytes(self[:2000])!r} … {bytes(self[-500:])!r} ({len(self)} bytes)"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """The same for hypothesis, which does not ask `__repr__` of a kind of bytes."""
        printer.text(repr(self))


def outcome(call: Callable[[], T], error: type[E]) -> T | E:
    """What the call returns, or the one kind of error that it may raise; others go through."""
    try:
        return call()
    except error as raised:
        return raised


def nested(levels: int, inmost: Any = None) -> Any:
    """Lists and objects in turn, one within the other."""
    value = inmost
    for level in range(levels):
        value = [value] if level % 2 else {"stages": value}
    return value


odd_numbers = st.sampled_from(
    [
        *(0, 1, -1, 2**31, -(2**31), 2**32, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 2**64 - 1),
        *(2**64, -(2**63) - 1, 10**30, 10**400),
        *(0.0, -0.0, 0.5, -1.5, 1e-320, 5e-324, 1.7976931348623157e308, 1e16),
        *(float("nan"), float("inf"), float("-inf")),
    ]
)
"""Numbers at the borders of integers and doubles, and some that JSON does not know."""

odd_strings = st.one_of(
    st.sampled_from(
        [
            *(
                "",
                " ",
                "\t",
                "\n",
                "\0",
                "a\0b",
                "\x1b[31m",
                "\u2028",
                "\ufeff",
                "\ufffd",
                "e\u0301",
            ),
            *("\ud800", "a\udfff", "😀", "null", "true", "1", "-", ".", "..", "/", "~", "@", "[0]"),
            *("a.b", "$x", "_x", "%s", "{}", "{0}", "${HOME}", "../../etc/passwd", "jobs[0].name"),
        ]
    ),
    st.text(max_size=20),
    st.just("x" * _LONG),
)
"""Texts that mean something to somebody: controls, separators, halves of characters, templates."""

odd_values: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([None, True, False, [], {}, [[]], [None], {"": None}]),
    odd_numbers,
    odd_strings,
    st.builds(nested, st.sampled_from([3, _DEEP]), odd_numbers),
    st.dictionaries(st.text(max_size=4), st.none() | st.integers(), max_size=3),
).map(copy.deepcopy)
"""A JSON value of any kind where another one is expected."""

Path = tuple[str | int, ...]


@st.composite
def spoilt_values(draw: st.DrawFn, valid: Any, most: int = 3) -> Any:
    """The valid value with one to `most` mistakes in it."""
    value = copy.deepcopy(valid)
    for _ in range(draw(st.integers(1, most))):
        path = draw(st.sampled_from(list(_places(value))))
        value = draw(st.sampled_from(_MISTAKES))(draw, value, path)
    return value


@st.composite
def spoilt_texts(draw: st.DrawFn, valid: Any) -> Spoilt:
    """The bytes of the valid value, with mistakes in what they mean, how they are written, or both.

    Now and then they are those of the valid value itself.
    """
    value = draw(st.just(valid) | spoilt_values(valid))
    indent = draw(st.sampled_from([None, 2]))
    data = json.dumps(value, indent=indent, ensure_ascii=_has_surrogates(value)).encode()
    for _ in range(draw(st.integers(0, 2))):
        data = draw(st.sampled_from(_DAMAGES))(draw, data)
    return Spoilt(data)


noise: st.SearchStrategy[Spoilt] = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from(
        [b"", b"\n", b"{}", b"[]", b"null", b"0", b'""', b"{", b'{"', b"\xef\xbb\xbf", b"\0" * 50]
    ),
    st.just(b"[" * TOO_DEEP + b"]" * TOO_DEEP),
    st.just(b"[" * _ENORMOUS),
    st.just(b'"' + b"x" * _ENORMOUS + b'"'),
).map(Spoilt)
"""Bytes that were never meant as anything."""


def _has_surrogates(value: Any) -> bool:
    return re.search("[\ud800-\udfff]", json.dumps(value, ensure_ascii=False)) is not None


def _places(value: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of values, the document itself among them; not into every depth and length."""
    yield path
    if len(path) > 20:
        return
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _places(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value[:5]):
            yield from _places(item, (*path, index))


def _changed(value: Any, path: Path, change: Callable[[Any, Any], None]) -> Any:
    """The value after `change(holder, key)` of the one at the path; the document has no holder."""
    if not path:
        return value
    holder = value
    for part in path[:-1]:
        holder = holder[part]
    change(holder, path[-1])
    return value


def _replaced(draw: st.DrawFn, value: Any, path: Path) -> Any:
    odd = draw(odd_values)
    return odd if not path else _changed(value, path, lambda at, key: at.__setitem__(key, odd))


def _removed(_draw: st.DrawFn, value: Any, path: Path) -> Any:
    return _changed(value, path, lambda at, key: at.__delitem__(key))


def _misspelt(draw: st.DrawFn, value: Any, path: Path) -> Any:
    """A member under a name that is nearly its own."""
    letter = draw(st.integers(0, 20))

    def change(holder: Any, key: Any) -> None:
        if isinstance(key, str) and key:
            place = letter % len(key)
            turned = key[:place] + key[place : place + 2][::-1] + key[place + 2 :]
            holder[turned if turned != key else f"{key}s"] = holder.pop(key)

    return _changed(value, path, change)


def _extended(draw: st.DrawFn, value: Any, path: Path) -> Any:
    """A member or item that nobody asked for; a copy of a neighbour, or something odd."""
    odd = draw(odd_values)
    name = draw(st.text(max_size=5) | st.sampled_from(["id", "op", "kind", "env", "__class__"]))

    def change(holder: Any, key: Any) -> None:
        found = holder[key]
        if isinstance(found, dict):
            found[name] = odd
        elif isinstance(found, list):
            found.append(copy.deepcopy(found[0]) if found else odd)

    return _changed(value, path, change)


_COATS: tuple[Callable[[Any], Any], ...] = (
    lambda met: [met],
    lambda met: {"value": met},
    lambda met: json.dumps(met),
)


def _wrapped(draw: st.DrawFn, value: Any, path: Path) -> Any:
    """A list around it, an object around it, or its own text."""
    coat = draw(st.sampled_from(_COATS))
    if not path:
        return coat(value)
    return _changed(value, path, lambda at, key: at.__setitem__(key, coat(at[key])))


_MISTAKES = (_replaced, _replaced, _removed, _misspelt, _extended, _wrapped)


def _place_in(draw: st.DrawFn, data: bytes) -> int:
    return draw(st.integers(0, len(data)))


def _truncated(draw: st.DrawFn, data: bytes) -> bytes:
    return data[: _place_in(draw, data)]


def _inserted(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes that do not belong there: no UTF-8, NUL, half a character, marks of other syntax."""
    place = _place_in(draw, data)
    foreign = draw(
        st.sampled_from(
            [
                *(b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\0", b"\\ud800", b"\\"),
                *(b'"', b",", b":", b"{", b"}", b"[", b"]", b"'", b"//c\n", b"/*c*/", b"#", b"\r"),
                *(b"NaN", b"Infinity", b"01", b"1e999", b"-", b"\xef\xbb\xbf", b"\xc2\xa0"),
            ]
        )
    )
    return data[:place] + foreign + data[place:]


def _cut_out(draw: st.DrawFn, data: bytes) -> bytes:
    start = _place_in(draw, data)
    return data[:start] + data[start + draw(st.integers(1, 20)) :]


def _marked(_draw: st.DrawFn, data: bytes) -> bytes:
    return b"\xef\xbb\xbf" + data


def _continued(_draw: st.DrawFn, data: bytes) -> bytes:
    return data + b"\n" + data


def _in_another_encoding(draw: st.DrawFn, data: bytes) -> bytes:
    encoding = draw(st.sampled_from(["utf-16", "utf-32", "latin-1", "cp037"]))
    return data.decode("utf-8", "replace").encode(encoding, "replace")


def _repeated(draw: st.DrawFn, data: bytes) -> bytes:
    """A member twice: first with another value, then with its own."""
    members = list(re.finditer(rb'"[A-Za-z_]+":', data))
    if not members:
        return data
    member = draw(st.sampled_from(members))
    value = draw(st.sampled_from([b"null", b"1", b'"x"', b"{}", b"[]"]))
    return data[: member.start()] + member.group() + value + b"," + data[member.start() :]


def _deepened(draw: st.DrawFn, data: bytes) -> bytes:
    """A value so deep that reading it is an error of its own."""
    colons = [found.end() for found in re.finditer(rb'":', data)]
    if not colons:
        return b"[" * TOO_DEEP + data + b"]" * TOO_DEEP
    place = draw(st.sampled_from(colons))
    return data[:place] + b"[" * TOO_DEEP + b"]" * TOO_DEEP + b"," + data[place:]


_DAMAGES = (
    *(_truncated, _inserted, _inserted, _cut_out, _marked, _continued),
    *(_in_another_encoding, _repeated, _repeated, _deepened),
)
