"""The short spelling of types in hand-written stage specs (`types.md` §4.2, `stages.md` §6.2).

At every type position either the canonical or the short form may stand. Unions keep the written
order. A broken field list is an error, never skipped: whatever the reference accepts reads as the
same type here, or not at all.
"""

from noether_contract.json_values import JsonValue
from noether_runner.types.syntax import MAX_TYPE_DEPTH, TypeSyntaxError, expected
from noether_runner.types.terms import (
    LEAVES,
    ListOf,
    MapOf,
    NType,
    RecordOf,
    StreamOf,
    UnionOf,
    read_kind,
    record,
)

_EXAMPLES = (
    'a type such as "Text", {"List":"Text"}, {"Record":[["name","Text"]]} or {"kind":"Text"}'
)


def read_spec_type(json: JsonValue) -> NType:
    """The type of its short or canonical spelling; raises `TypeSyntaxError`.

    The error's `kind` is `invalid_record_field` for a field that is not `[name, type]` or that
    repeats a name, else `invalid_type`.
    """
    return _read(json, "", 0)


def _read(json: JsonValue, place: str, depth: int) -> NType:
    if depth >= MAX_TYPE_DEPTH:
        raise TypeSyntaxError(f"types are nested deeper than {MAX_TYPE_DEPTH} levels", place[:80])
    if isinstance(json, str):
        if json in LEAVES:
            return LEAVES[json]
        raise expected(f"one of the names {', '.join(LEAVES)}", json, place)
    if not isinstance(json, dict):
        raise expected(_EXAMPLES, json, place)
    if "kind" in json:
        return read_kind(json, _read, place, depth)
    match json:
        case {"List": element}:
            return ListOf(_read(element, f"{place}.List", depth + 1))
        case {"Stream": element}:
            return StreamOf(_read(element, f"{place}.Stream", depth + 1))
        case {"Map": list(pair)}:
            return _read_map(pair, f"{place}.Map", depth)
        case {"Record": list(pairs)}:
            return _read_record(pairs, f"{place}.Record", depth)
        case {"Union": list(members)}:
            within = f"{place}.Union"
            return UnionOf(
                tuple([_read(at, f"{within}[{i}]", depth + 1) for i, at in enumerate(members)])
            )
        case {"Record": dict()}:
            raise expected(
                'the fields of a Record as pairs, [["name", type], …]', json["Record"], place
            )
        case _:
            raise expected(_EXAMPLES, json, place)


def _read_map(pair: list[JsonValue], place: str, depth: int) -> NType:
    if len(pair) != 2:
        raise expected("a Map as [key type, value type]", pair, place)
    key = _read(pair[0], f"{place}[0]", depth + 1)
    return MapOf(key, _read(pair[1], f"{place}[1]", depth + 1))


def _read_record(pairs: list[JsonValue], place: str, depth: int) -> RecordOf:
    fields: dict[str, NType] = {}
    for index, pair in enumerate(pairs):
        match pair:
            case [str(name), inner] if name not in fields:
                fields[name] = _read(inner, f"{place}[{index}]", depth + 1)
            case [str(name), _]:
                raise TypeSyntaxError(
                    f"the field `{name}` of a Record stands twice",
                    f"{place}[{index}]",
                    "invalid_record_field",
                )
            case _:
                error = expected("a field as [name, type]", pair, f"{place}[{index}]")
                error.kind = "invalid_record_field"
                raise error
    return record(fields)
