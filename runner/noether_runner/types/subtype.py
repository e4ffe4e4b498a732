"""May a value of one type be used where another is expected (`types.md` §5).

The relation of the reference with three defects mended (§5.2, TQ-05 to TQ-07). It is not
transitive: an optional field may be absent, and wider records fit narrower ones. The texts of
reasons are on the wire, so they are exact.
"""

from collections.abc import Callable
from typing import TypeAlias, assert_never

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass
from noether_runner.types.render import render
from noether_runner.types.terms import (
    ANY,
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
    is_nullable,
)


@dataclass(frozen=True, slots=True)
class PrimitiveMismatch:
    """The two types have nothing in common."""

    expected: NType
    got: NType


@dataclass(frozen=True, slots=True)
class MissingField:
    """A field that is not optional is absent."""

    field: str


@dataclass(frozen=True, slots=True)
class FieldTypeMismatch:
    """A field's type does not fit."""

    field: str
    reason: "Reason"


@dataclass(frozen=True, slots=True)
class InnerTypeMismatch:
    """The items do not fit; `context` is `List element` or `Stream element`."""

    context: str
    reason: "Reason"


@dataclass(frozen=True, slots=True)
class UnionNotCovered:
    """A member of a union, or the whole type, fits nothing that is expected."""

    uncovered: NType


@dataclass(frozen=True, slots=True)
class MapKeyMismatch:
    """The keys of a map do not fit."""

    reason: "Reason"


@dataclass(frozen=True, slots=True)
class MapValueMismatch:
    """The values of a map do not fit."""

    reason: "Reason"


Reason: TypeAlias = (
    PrimitiveMismatch
    | MissingField
    | FieldTypeMismatch
    | InnerTypeMismatch
    | UnionNotCovered
    | MapKeyMismatch
    | MapValueMismatch
)


def reason_text(reason: Reason) -> str:
    """The exact text of a reason (§5.1)."""
    match reason:
        case PrimitiveMismatch(expected, got):
            return f"expected {render(expected)}, got {render(got)}"
        case MissingField(field):
            return f"missing required field `{field}`"
        case FieldTypeMismatch(field, inner):
            return f"field `{field}`: {reason_text(inner)}"
        case InnerTypeMismatch(context, inner):
            return f"{context}: {reason_text(inner)}"
        case UnionNotCovered(uncovered):
            return f"type {render(uncovered)} is not covered by the expected union"
        case MapKeyMismatch(inner):
            return f"map key type: {reason_text(inner)}"
        case MapValueMismatch(inner):
            return f"map value type: {reason_text(inner)}"
        case _:
            assert_never(reason)


def write_reason(reason: Reason) -> dict[str, JsonValue]:
    """The reason as JSON: `code` and its data, types as display texts."""
    written: dict[str, JsonValue] = {"code": type(reason).__name__}
    match reason:
        case PrimitiveMismatch(expected, got):
            written |= {"expected": render(expected), "got": render(got)}
        case MissingField(field):
            written["field"] = field
        case FieldTypeMismatch(field, inner):
            written |= {"field": field, "reason": write_reason(inner)}
        case InnerTypeMismatch(context, inner):
            written |= {"context": context, "reason": write_reason(inner)}
        case UnionNotCovered(uncovered):
            written["uncovered"] = render(uncovered)
        case MapKeyMismatch(inner) | MapValueMismatch(inner):
            written["reason"] = write_reason(inner)
        case _:
            assert_never(reason)
    return written


def with_types(reason: Reason, change: Callable[[NType], NType]) -> Reason:
    """The same reason with each type in it changed."""
    match reason:
        case PrimitiveMismatch(expected, got):
            return PrimitiveMismatch(change(expected), change(got))
        case MissingField():
            return reason
        case FieldTypeMismatch(field, inner):
            return FieldTypeMismatch(field, with_types(inner, change))
        case InnerTypeMismatch(context, inner):
            return InnerTypeMismatch(context, with_types(inner, change))
        case UnionNotCovered(uncovered):
            return UnionNotCovered(change(uncovered))
        case MapKeyMismatch(inner):
            return MapKeyMismatch(with_types(inner, change))
        case MapValueMismatch(inner):
            return MapValueMismatch(with_types(inner, change))
        case _:
            assert_never(reason)


def is_subtype(given: NType, wanted: NType) -> bool:
    """Whether a value of `given` may be used where `wanted` is expected."""
    return mismatch(given, wanted) is None


def mismatch(given: NType, wanted: NType) -> Reason | None:
    """None when `given` fits `wanted`, else the first reason why not; fields go by name."""
    if wanted == ANY or given == ANY or isinstance(wanted, Var) or isinstance(given, Var):
        return None
    match given, wanted:
        case Refined(base, refinement), Refined(wanted_base, wanted_refinement):
            if refinement == wanted_refinement:
                return mismatch(base, wanted_base)
            # The outer layer alone may be what is too much (TQ-06).
            return None if is_subtype(base, wanted) else PrimitiveMismatch(wanted, given)
        case Refined(base), _:
            if isinstance(wanted, UnionOf) and _some_member_accepts(given, wanted):
                return None  # a member asks for just this refinement (TQ-05)
            return mismatch(base, wanted)
        case UnionOf(), Refined():
            # Every member may already be refined (TQ-07).
            fits = _uncovered_member(given, wanted) is None
            return None if fits else PrimitiveMismatch(wanted, given)
        case Leaf(kind), Leaf(wanted_kind) if kind == wanted_kind:
            return None
        case ListOf(element), ListOf(wanted_element):
            inner = mismatch(element, wanted_element)
            return inner and InnerTypeMismatch("List element", inner)
        case StreamOf(element), StreamOf(wanted_element):
            inner = mismatch(element, wanted_element)
            return inner and InnerTypeMismatch("Stream element", inner)
        case MapOf(key, value), MapOf(wanted_key, wanted_value):
            inner = mismatch(key, wanted_key)
            if inner is not None:
                return MapKeyMismatch(inner)
            inner = mismatch(value, wanted_value)
            return inner and MapValueMismatch(inner)
        case RecordOf(fields) | RecordWith(fields), RecordOf(asked) | RecordWith(asked):
            return _mismatch_fields(fields, asked)
        case UnionOf(), _:
            return _uncovered_member(given, wanted)
        case _, UnionOf():
            return None if _some_member_accepts(given, wanted) else UnionNotCovered(given)
        case _:
            return PrimitiveMismatch(wanted, given)


def _some_member_accepts(given: NType, wanted: UnionOf) -> bool:
    return any(is_subtype(given, each) for each in wanted.members)


def _uncovered_member(given: UnionOf, wanted: NType) -> UnionNotCovered | None:
    for each in given.members:
        if not is_subtype(each, wanted):
            return UnionNotCovered(each)
    return None


def _mismatch_fields(fields: Fields, asked: Fields) -> Reason | None:
    present = dict(fields)
    for name, wanted in asked:
        if name in present:
            inner = mismatch(present[name], wanted)
            if inner is not None:
                return FieldTypeMismatch(name, inner)
        elif not is_nullable(wanted):
            return MissingField(name)
    return None
