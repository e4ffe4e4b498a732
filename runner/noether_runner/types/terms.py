"""The terms of the type language, `NType`, and their canonical JSON (`types.md` §1).

Terms are immutable and hashable. Reading keeps a union exactly as written (its order, its
duplicates and its nesting are hashed); only the constructor `union` normalises.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, TypeAlias, assert_never

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass
from noether_runner.types.refine import (
    NonEmpty,
    OneOf,
    Range,
    Refinement,
    read_refinement,
    refinement_text,
    write_refinement,
)
from noether_runner.types.syntax import (
    MAX_TYPE_DEPTH,
    TypeSyntaxError,
    expected,
    member,
    object_member,
    text_member,
)

__all__ = [
    "ANY",
    "BOOL",
    "BYTES",
    "LEAVES",
    "NULL",
    "NUMBER",
    "TEXT",
    "VNODE",
    "Fields",
    "Leaf",
    "ListOf",
    "MapOf",
    "NType",
    "NonEmpty",
    "OneOf",
    "Range",
    "RecordOf",
    "RecordWith",
    "Refined",
    "Refinement",
    "StreamOf",
    "TypeSyntaxError",
    "UnionOf",
    "Var",
    "is_nullable",
    "optional",
    "order_key",
    "read_kind",
    "read_type",
    "record",
    "union",
    "write_type",
]

LeafKind: TypeAlias = Literal["Any", "Bool", "Bytes", "Null", "Number", "Text", "VNode"]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A type without content. `Text` and `Bytes` are JSON strings, `VNode` is a UI node."""

    kind: LeafKind


@dataclass(frozen=True, slots=True)
class ListOf:
    """An array whose items all have one type."""

    element: "NType"


@dataclass(frozen=True, slots=True)
class StreamOf:
    """Items one after another; as a value an array, as a type never a List."""

    element: "NType"


@dataclass(frozen=True, slots=True)
class MapOf:
    """An object with any keys."""

    key: "NType"
    value: "NType"


Fields: TypeAlias = tuple[tuple[str, "NType"], ...]
"""Field names with their types, sorted by name (code points)."""


@dataclass(frozen=True, slots=True)
class RecordOf:
    """An object with named fields; build it with `record`, which sorts them."""

    fields: Fields


@dataclass(frozen=True, slots=True)
class UnionOf:
    """A value of one of the members, in stored order."""

    members: tuple["NType", ...]


@dataclass(frozen=True, slots=True)
class Var:
    """A type variable."""

    name: str


@dataclass(frozen=True, slots=True)
class RecordWith:
    """An open record: known fields, sorted by name, and a row variable for the others."""

    fields: Fields
    rest: str


@dataclass(frozen=True, slots=True)
class Refined:
    """A type whose values also satisfy a refinement."""

    base: "NType"
    refinement: Refinement


NType: TypeAlias = (
    Leaf | ListOf | StreamOf | MapOf | RecordOf | UnionOf | Var | RecordWith | Refined
)

ANY: Final = Leaf("Any")
BOOL: Final = Leaf("Bool")
BYTES: Final = Leaf("Bytes")
NULL: Final = Leaf("Null")
NUMBER: Final = Leaf("Number")
TEXT: Final = Leaf("Text")
VNODE: Final = Leaf("VNode")

LEAVES: Final[dict[str, Leaf]] = {
    leaf.kind: leaf for leaf in (ANY, BOOL, BYTES, NULL, NUMBER, TEXT, VNODE)
}
"""The leaf of each leaf name."""


def record(fields: Mapping[str, NType]) -> RecordOf:
    """The record of these fields."""
    return RecordOf(tuple(sorted(fields.items(), key=_name_of)))


def _name_of(field: tuple[str, NType]) -> str:
    return field[0]


def optional(inner: NType) -> NType:
    """`inner` or null."""
    return union([inner, NULL])


def union(members: Iterable[NType]) -> NType:
    """The normalising constructor: one level spliced, sorted, duplicates dropped (§1.4).

    No member gives Null, one gives that member. Any does not absorb the others.
    """
    spliced: list[NType] = []
    for each in members:
        if isinstance(each, UnionOf):
            spliced.extend(each.members)
        else:
            spliced.append(each)
    spliced.sort(key=order_key)
    kept: list[NType] = []
    for each in spliced:
        if not kept or kept[-1] != each:
            kept.append(each)
    if not kept:
        return NULL
    return kept[0] if len(kept) == 1 else UnionOf(tuple(kept))


_SEQUENCE: Final = (
    *("Any", "Bool", "Bytes", "List", "Map", "Null", "Number", "Record", "Stream", "Text"),
    *("Union", "VNode", "Var", "RecordWith", "Refined"),
)
_RANKS: Final = {kind: rank for rank, kind in enumerate(_SEQUENCE)}


def order_key(term: NType) -> tuple[object, ...]:
    """The key of the total order over types (§1.3); a nested tuple."""
    match term:
        case Leaf(kind):
            return (_RANKS[kind],)
        case ListOf(element):
            return (_RANKS["List"], order_key(element))
        case StreamOf(element):
            return (_RANKS["Stream"], order_key(element))
        case MapOf(key, value):
            return (_RANKS["Map"], order_key(key), order_key(value))
        case RecordOf(fields):
            return (_RANKS["Record"], tuple([(name, order_key(of)) for name, of in fields]))
        case UnionOf(members):
            return (_RANKS["Union"], tuple([order_key(each) for each in members]))
        case Var(name):
            return (_RANKS["Var"], name)
        case RecordWith(fields, rest):
            keys = tuple([(name, order_key(of)) for name, of in fields])
            return (_RANKS["RecordWith"], keys, rest)
        case Refined(base, refinement):
            return (_RANKS["Refined"], order_key(base), refinement_text(refinement))
        case _:
            assert_never(term)


def is_nullable(term: NType) -> bool:
    """Whether a field of this type may be absent (§5, TQ-04)."""
    match term:
        case Leaf("Null" | "Any") | Var():
            return True
        case UnionOf(members):
            return any(is_nullable(each) for each in members)
        case _:
            return False


def write_type(term: NType) -> dict[str, JsonValue]:
    """The canonical JSON object (§1.1)."""
    match term:
        case Leaf(kind):
            return {"kind": kind}
        case ListOf(element):
            return {"kind": "List", "value": write_type(element)}
        case StreamOf(element):
            return {"kind": "Stream", "value": write_type(element)}
        case MapOf(key, value):
            return {"kind": "Map", "value": {"key": write_type(key), "value": write_type(value)}}
        case RecordOf(fields):
            return {"kind": "Record", "value": {name: write_type(of) for name, of in fields}}
        case UnionOf(members):
            return {"kind": "Union", "value": [write_type(each) for each in members]}
        case Var(name):
            return {"kind": "Var", "value": name}
        case RecordWith(fields, rest):
            known: JsonValue = {name: write_type(of) for name, of in fields}
            return {"kind": "RecordWith", "value": {"fields": known, "rest": rest}}
        case Refined(base, refinement):
            condition: JsonValue = write_refinement(refinement)
            return {
                "kind": "Refined",
                "value": {"base": write_type(base), "refinement": condition},
            }
        case _:
            assert_never(term)


ReadInner: TypeAlias = Callable[[JsonValue, str, int], NType]
"""Reads the type at an inner position: its JSON, its place for messages, its depth."""


def read_type(json: JsonValue) -> NType:
    """The type of its canonical JSON (§1.2); raises `TypeSyntaxError`.

    Extra members are ignored, short spellings refused (see `shorthand.read_spec_type`).
    """
    return _read_canonical(json, "", 0)


def _read_canonical(json: JsonValue, place: str, depth: int) -> NType:
    if not isinstance(json, dict):
        raise expected('a type object such as {"kind":"Text"}', json, place)
    return read_kind(json, _read_canonical, place, depth)


def read_kind(json: dict[str, JsonValue], inner: ReadInner, place: str, depth: int) -> NType:
    """The type of an object with `kind`; `inner` reads the types inside it."""
    if depth >= MAX_TYPE_DEPTH:
        raise TypeSyntaxError(f"types are nested deeper than {MAX_TYPE_DEPTH} levels", place[:80])
    kind = text_member(json, "kind", "a type object", place)
    leaf = LEAVES.get(kind)
    if leaf is not None:
        if json.get("value") is not None:
            raise expected(f"no `value` beside the kind {kind}", json["value"], place)
        return leaf
    if kind not in _RANKS:
        raise expected(f"one of the kinds {', '.join(_RANKS)}", kind, place)
    owner = f"the kind {kind}"
    within = f"{place}.value"
    match kind:  # kinds whose content is no object
        case "List":
            return ListOf(inner(member(json, "value", owner, place), within, depth + 1))
        case "Stream":
            return StreamOf(inner(member(json, "value", owner, place), within, depth + 1))
        case "Var":
            return Var(text_member(json, "value", owner, place))
        case "Union":
            members = member(json, "value", owner, place)
            if not isinstance(members, list):
                raise expected("an array as `value` of the kind Union", members, place)
            return UnionOf(
                tuple([inner(at, f"{within}[{i}]", depth + 1) for i, at in enumerate(members)])
            )
        case _:
            pass
    content = object_member(json, "value", owner, place)
    match kind:
        case "Record":
            return RecordOf(_read_fields(content, inner, within, depth))
        case "RecordWith":
            known = object_member(content, "fields", owner, within)
            rest = text_member(content, "rest", owner, within)
            return RecordWith(_read_fields(known, inner, f"{within}.fields", depth), rest)
        case "Map":
            key = inner(member(content, "key", owner, within), f"{within}.key", depth + 1)
            value = inner(member(content, "value", owner, within), f"{within}.value", depth + 1)
            return MapOf(key, value)
        case _:
            base = inner(member(content, "base", owner, within), f"{within}.base", depth + 1)
            condition = member(content, "refinement", owner, within)
            return Refined(base, read_refinement(condition, f"{within}.refinement"))


def _read_fields(json: dict[str, JsonValue], inner: ReadInner, place: str, depth: int) -> Fields:
    return tuple([(name, inner(json[name], f"{place}.{name}", depth + 1)) for name in sorted(json)])
