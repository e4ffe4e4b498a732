"""From the value that `execute` returned to JSON text, or to a sentence that says why not.

Standard library only. Text is ASCII with escapes: two halves of a surrogate pair that a stage
put together become one character when the runner reads it. Numbers, depth and lone surrogates
are judged by the runner, which reads the text under the graph document's rules.
"""

import builtins
import json
import math
import re
from typing import Any

globals()["__builtins__"] = dict(vars(builtins))
# functions defined below look names up here (CPython), whatever a stage does to `builtins`

_SUSPICIOUS = re.compile(rb"\\ud[89a-f]|[0-9]{309}")
"""What the runner may refuse: an escaped surrogate, or an integer longer than any double."""

_DOUBLE_BITS = 1024
_MAX_SHOWN = 200


class NotJsonError(Exception):
    """A returned value has no JSON form; the text names the place and what is there."""


class _Encoder(json.JSONEncoder):
    """Its own class, so that a stage that patches `json.JSONEncoder.default` changes nothing."""

    def default(self, o: Any) -> Any:
        """Refuse whatever JSON does not know."""
        raise TypeError(type(o).__name__)


_encode = _Encoder(allow_nan=False, ensure_ascii=True, separators=(",", ":")).encode
_encode_members = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode

_LIBRARY, _ENCODER = vars(json.encoder), json.JSONEncoder
_PARTS = _LIBRARY.copy()
_METHODS = {name: each for name, each in vars(_ENCODER).items() if callable(each)}
_set_attribute = type.__setattr__


def encode_members(members: dict[str, Any]) -> bytes:
    """What an error frame holds, as ASCII JSON text."""
    _mend_library()
    return _encode_members(members).encode("ascii")


def encode(value: Any) -> bytes:
    """The value as ASCII JSON text; raises NotJsonError.

    Tuples become arrays; None, bool, int and float keys become text; of members with the same
    text the later one wins (the reader's rule).
    """
    _mend_library()
    try:
        text = _encode(value).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise NotJsonError(_explain(value, error)) from None
    if _SUSPICIOUS.search(text) and (place := _find(value, _refused_by_reader)):
        raise NotJsonError(f"the result is not JSON: {place}")
    return text


def _mend_library() -> None:
    """Undo what a stage did to the encoder, which looks up its parts each time it is called."""
    _LIBRARY.update(_PARTS)
    for name, method in _METHODS.items():
        _set_attribute(_ENCODER, name, method)


def _explain(value: Any, error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "the result is not JSON: arrays and objects are nested deeper than 127 levels"
    place = _find(value, _objection)
    return f"the result is not JSON: {place or str(error)[:_MAX_SHOWN]}"


def _find(value: Any, objection: Any) -> str | None:
    """Where and what the first objectionable member is, in words; None when none is found."""
    open_values: list[tuple[Any, str, tuple[int, ...]]] = [(value, "result", ())]
    while open_values:
        member, path, above = open_values.pop()
        if id(member) in above:
            return f"{path} contains itself"
        if found := objection(member):
            return f"{path} is {found}"
        within = (*above, id(member))
        if isinstance(member, dict):
            for key in member:
                if not isinstance(key, (str, int, float, type(None))):
                    return f"{path} has a key that is not text: {_shown(key)}"
                if found := objection(key):
                    return f"{path} has a key that is {found}"
            inner = [(v, f"{path}[{_shown(k)}]", within) for k, v in member.items()]
            open_values.extend(reversed(inner))
        elif isinstance(member, (list, tuple)):
            inner = [(v, f"{path}[{i}]", within) for i, v in enumerate(member)]
            open_values.extend(reversed(inner))
    return None


def _objection(member: Any) -> str | None:
    """What is wrong with a member taken by itself."""
    if member is None or isinstance(member, (str, bool, dict, list, tuple)):
        return None
    if isinstance(member, float):
        return None if math.isfinite(member) else f"{float.__repr__(member)}, which JSON lacks"
    if isinstance(member, int):
        return _too_large(member)
    return f"of type {type(member).__name__}, which has no JSON form"


def _too_large(member: int) -> str | None:
    if int.bit_length(member) > _DOUBLE_BITS:
        return "an integer beyond the range of a double"
    return None


def _refused_by_reader(member: Any) -> str | None:
    """What is wrong with a member that Python can write and JSON readers cannot read."""
    if isinstance(member, int):
        return _too_large(member)
    if isinstance(member, str):
        try:
            str.encode(member, "utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            return "text with an unpaired surrogate"
    return None


def _shown(key: Any) -> str:
    try:
        return repr(key)[:_MAX_SHOWN]
    except Exception:
        return f"a {type(key).__name__}"
