"""The type of a JSON value (`types.md` §9.2), for display and messages.

A declared type may be given as a hint, because one value can have several types: an object is a
record or a map, a string text or bytes. Hints reach only where the reference carries them, so
whether a value fits a type is asked of `values.misfit`, never by comparing an inferred type.
"""

from noether_contract.json_values import JsonValue
from noether_runner.types.syntax import MAX_TYPE_DEPTH, TypeSyntaxError
from noether_runner.types.terms import (
    ANY,
    BOOL,
    BYTES,
    NULL,
    NUMBER,
    TEXT,
    VNODE,
    ListOf,
    MapOf,
    NType,
    RecordOf,
    UnionOf,
    Var,
    record,
    union,
)


def infer(value: JsonValue, hint: NType | None = None) -> NType:
    """The type of a value; never refined, never a variable, never a stream.

    Raises `TypeSyntaxError` for a value nested deeper than types may be.
    """
    return _infer(value, hint, 0)


def _infer(value: JsonValue, hint: NType | None, depth: int) -> NType:
    if depth >= MAX_TYPE_DEPTH:
        raise TypeSyntaxError(f"the value is nested deeper than {MAX_TYPE_DEPTH} levels", "")
    hint = _relevant(hint)
    match value:
        case None:
            return NULL
        case bool():
            return BOOL
        case int() | float():
            return NUMBER
        case str():
            return BYTES if hint == BYTES else TEXT
        case list():
            inner = hint.element if isinstance(hint, ListOf) else None
            items = [_infer(item, inner, depth + 1) for item in value]
            return ListOf(union(items) if items else ANY)
        case _:
            return _infer_object(value, hint, depth)


def _relevant(hint: NType | None) -> NType | None:
    if isinstance(hint, UnionOf):
        others = [each for each in hint.members if each != NULL]
        if len(others) == 1:
            hint = others[0]
    return None if isinstance(hint, Var) else hint


def _infer_object(value: dict[str, JsonValue], hint: NType | None, depth: int) -> NType:
    if hint == VNODE:
        return VNODE
    if isinstance(hint, MapOf):
        values = [_infer(each, hint.value, depth + 1) for each in value.values()]
        return MapOf(TEXT, union(values) if values else ANY)
    hints = dict(hint.fields) if isinstance(hint, RecordOf) else {}
    return record({name: _infer(value[name], hints.get(name), depth + 1) for name in value})
