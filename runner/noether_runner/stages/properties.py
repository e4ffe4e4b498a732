"""Properties that a stage declares of its inputs and outputs (`stages.md` §1.3, `types.md` §9.4).

What they say about values is in `property_checks.py`. Reading never fails for an object: a kind
that is not known is kept as it stands and skipped by checks; a *known* kind with wrong members is
kept too, but counts as shadowed: almost surely a typo, and an error when a stage is registered.
Properties take no part in a stage's identity.
"""

from enum import StrEnum
from typing import TypeAlias, assert_never

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass
from noether_runner.stages.errors import RecordError, json_kind


@dataclass(frozen=True, slots=True)
class SetMember:
    """The value at `field` equals one of `options`."""

    field: str
    options: tuple[JsonValue, ...]


@dataclass(frozen=True, slots=True)
class InRange:
    """The value at `field` is a number within the bounds, both inclusive."""

    field: str
    minimum: float | None
    maximum: float | None


@dataclass(frozen=True, slots=True)
class LengthEqual:
    """The values at both paths have the same length."""

    left: str
    right: str


@dataclass(frozen=True, slots=True)
class LengthAtMost:
    """The value at `subject` is not longer than the one at `bound`."""

    subject: str
    bound: str


@dataclass(frozen=True, slots=True)
class SubsetOf:
    """Elements, members or text of `subject` occur in the value at `superset`."""

    subject: str
    superset: str


@dataclass(frozen=True, slots=True)
class Equal:
    """The values at both paths are equal; numbers by value, so `1` equals `1.0`."""

    left: str
    right: str


@dataclass(frozen=True, slots=True)
class TypeIn:
    """The JSON kind of the value at `field` is one of `allowed`."""

    field: str
    allowed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UnknownProperty:
    """An object that is kept as it stands. `shadowed_kind` is set when its kind is a known one
    whose members did not read."""

    raw: dict[str, JsonValue]
    shadowed_kind: str | None


KnownProperty: TypeAlias = (
    SetMember | InRange | LengthEqual | LengthAtMost | SubsetOf | Equal | TypeIn
)
Property: TypeAlias = KnownProperty | UnknownProperty


class PropertyStatus(StrEnum):
    """How an entry of `properties` was read."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    SHADOWED = "shadowed"


@dataclass(frozen=True, slots=True)
class Example:
    """An input that a stage's author gives, with the output that belongs to it."""

    input: JsonValue
    output: JsonValue


def property_status(entry: Property) -> PropertyStatus:
    """Whether checks can use the entry, and if not, whether that looks like a mistake."""
    if not isinstance(entry, UnknownProperty):
        return PropertyStatus.KNOWN
    return PropertyStatus.SHADOWED if entry.shadowed_kind else PropertyStatus.UNKNOWN


def read_property(json: JsonValue, where: str = "property") -> Property:
    """One entry of `properties`; raises `RecordError` only when it is not an object."""
    if not isinstance(json, dict):
        raise RecordError(where, f"expected an object, got {json_kind(json)}")
    kind = json.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        return UnknownProperty(json, None)
    try:
        return _read_known(kind, json)
    except _MalformedError:
        return UnknownProperty(json, kind)


def write_property(entry: Property) -> JsonValue:
    """The record form; bounds are written as doubles, absent ones not at all."""
    match entry:
        case UnknownProperty():
            return dict(entry.raw)
        case SetMember():
            return {"kind": "set_member", "field": entry.field, "set": list(entry.options)}
        case InRange():
            bounds: dict[str, JsonValue] = {"min": entry.minimum, "max": entry.maximum}
            given = {name: bound for name, bound in bounds.items() if bound is not None}
            return {"kind": "range", "field": entry.field, **given}
        case LengthEqual():
            return {
                "kind": "field_length_eq",
                "left_field": entry.left,
                "right_field": entry.right,
            }
        case LengthAtMost():
            return {
                "kind": "field_length_max",
                "subject_field": entry.subject,
                "bound_field": entry.bound,
            }
        case SubsetOf():
            return {
                "kind": "subset_of",
                "subject_field": entry.subject,
                "super_field": entry.superset,
            }
        case Equal():
            return {"kind": "equals", "left_field": entry.left, "right_field": entry.right}
        case TypeIn():
            return {"kind": "field_type_in", "field": entry.field, "allowed": list(entry.allowed)}
        case _:
            assert_never(entry)


class _MalformedError(Exception):
    """A member of a known kind is missing or has the wrong JSON kind."""


_PATH_MEMBERS = {
    "field_length_eq": ("left_field", "right_field"),
    "field_length_max": ("subject_field", "bound_field"),
    "subset_of": ("subject_field", "super_field"),
    "equals": ("left_field", "right_field"),
}
_KINDS = frozenset({"set_member", "range", "field_type_in", *_PATH_MEMBERS})
_JSON_KINDS = frozenset({"null", "bool", "number", "string", "array", "object"})


def _read_known(kind: str, json: dict[str, JsonValue]) -> KnownProperty:
    if kind in _PATH_MEMBERS:
        first, second = (_text(json, member) for member in _PATH_MEMBERS[kind])
        match kind:
            case "field_length_eq":
                return LengthEqual(first, second)
            case "field_length_max":
                return LengthAtMost(first, second)
            case "subset_of":
                return SubsetOf(first, second)
            case _:
                return Equal(first, second)
    field = _text(json, "field")
    if kind == "range":
        return InRange(field, _bound(json, "min"), _bound(json, "max"))
    if kind == "set_member":
        return SetMember(field, tuple(_array(json, "set")))
    allowed = [name for name in _array(json, "allowed") if isinstance(name, str)]
    if len(allowed) != len(_array(json, "allowed")) or not _JSON_KINDS.issuperset(allowed):
        raise _MalformedError
    return TypeIn(field, tuple(allowed))


def _text(json: dict[str, JsonValue], member: str) -> str:
    value = json.get(member)
    if not isinstance(value, str):
        raise _MalformedError
    return value


def _array(json: dict[str, JsonValue], member: str) -> list[JsonValue]:
    value = json.get(member)
    if not isinstance(value, list):
        raise _MalformedError
    return value


def _bound(json: dict[str, JsonValue], member: str) -> float | None:
    value = json.get(member)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _MalformedError
    return float(value)
