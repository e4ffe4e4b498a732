"""Standard stages that look into JSON values and lay them over one another (`stdlib.md` §9)."""

import re
from collections.abc import Iterator
from typing import Final

from noether_contract.json_values import JsonValue
from noether_runner.builtins.builtin import BuiltinError, plain
from noether_runner.builtins.fields import present, record_of, text_or

_INDEX = re.compile(r"\+?[0-9]+")
_LARGEST_INDEX = 2**64 - 1
_LONGEST_INDEX = 1000


def json_merge(value: JsonValue) -> JsonValue:
    """`patch` over `base`, object by object; null in the patch sets null."""
    record = record_of(value)
    return _merged(present(record, "base"), present(record, "patch"))


def _merged(base: JsonValue, patch: JsonValue) -> JsonValue:
    if not (isinstance(base, dict) and isinstance(patch, dict)):
        return patch
    whole = dict(base)
    for key, over in patch.items():
        whole[key] = _merged(base[key], over) if key in base else over
    return whole


def json_path(value: JsonValue) -> JsonValue:
    """What stands in `data` at `path`."""
    record = record_of(value)
    current = present(record, "data")
    for step in _steps(text_or(record, "path", "path must be a string")):
        if isinstance(step, int):
            if not isinstance(current, list) or step >= len(current):
                raise BuiltinError(f"index {step} out of bounds")
            current = current[step]
        else:
            if not isinstance(current, dict) or step not in current:
                raise BuiltinError(f"field '{step}' not found")
            current = current[step]
    return current


def _steps(path: str) -> Iterator[str | int]:
    """Keys and indices one after the other: a later mistake counts only when it is reached."""
    rest = path.removeprefix("$")
    while rest:
        rest = rest.removeprefix(".")
        if not rest:
            return
        if rest[0] == "[":
            raw, closing, rest = rest[1:].partition("]")
            if not closing:
                raise BuiltinError("unclosed bracket")
            yield _index(raw)
        else:
            end = next((at for at, sign in enumerate(rest) if sign in ".["), len(rest))
            yield rest[:end]
            rest = rest[end:]


def _index(raw: str) -> int:
    """An unsigned number of 64 bits; Python reads huge ones slowly, so digits are counted first."""
    if _INDEX.fullmatch(raw):
        digits = raw.removeprefix("+").lstrip("0") or "0"
        if len(digits) <= _LONGEST_INDEX and int(digits) <= _LARGEST_INDEX:
            return int(digits)
    raise BuiltinError(f"invalid index: {raw}")


STAGES: Final = (plain("json_merge", json_merge), plain("json_path", json_path))
