"""Can one value fit two types; used for warnings, so every doubt counts as yes."""

from typing import assert_never

from noether_runner.types.terms import (
    Fields,
    Leaf,
    ListOf,
    MapOf,
    NType,
    RecordOf,
    RecordWith,
    Refined,
    StreamOf,
    UnionOf,
    Var,
)
from noether_runner.types.value_kinds import JsonKind


def may_share_a_value(left: NType, right: NType) -> bool:
    """Whether some JSON value fits both types; refinements are not looked at."""
    match left, right:
        case (Refined(base), other) | (other, Refined(base)):
            return may_share_a_value(base, other)
        case (UnionOf(members), other) | (other, UnionOf(members)):
            return any(may_share_a_value(each, other) for each in members)
        case ((RecordOf(fields) | RecordWith(fields)), (RecordOf(others) | RecordWith(others))):
            return _fields_agree(fields, others)
        case _:
            kinds = _json_kind(left), _json_kind(right)
            return None in kinds or kinds[0] == kinds[1]


def _fields_agree(fields: Fields, others: Fields) -> bool:
    present = dict(others)
    return all(may_share_a_value(of, present[name]) for name, of in fields if name in present)


def _json_kind(term: NType) -> JsonKind | None:
    """The JSON kind of a type's values, None when it can be several."""
    match term:
        case Leaf("Null"):
            return "null"
        case Leaf("Bool"):
            return "bool"
        case Leaf("Number"):
            return "number"
        case Leaf("Text" | "Bytes"):
            return "string"
        case ListOf() | StreamOf():
            return "array"
        case Leaf("VNode") | MapOf() | RecordOf() | RecordWith():
            return "object"
        case Leaf() | Var() | UnionOf() | Refined():
            return None
        case _:
            assert_never(term)
