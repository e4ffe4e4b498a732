"""What properties say about values, and about declared types (`types.md` §9.4)."""

from collections.abc import Iterator, Sequence
from typing import assert_never

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass
from noether_runner.stages.properties import (
    Equal,
    Example,
    InRange,
    KnownProperty,
    LengthAtMost,
    LengthEqual,
    Property,
    SetMember,
    SubsetOf,
    TypeIn,
    UnknownProperty,
)
from noether_runner.stages.property_values import (
    ViolatedError,
    Violation,
    ViolationCode,
    length_of,
    missing_from,
    resolve,
    split_path,
)
from noether_runner.types.terms import Leaf, NType, RecordOf, Refined, UnionOf, Var
from noether_runner.types.value_kinds import excerpt, kind_of, same_value


@dataclass(frozen=True, slots=True)
class ExampleViolation:
    """A property that does not hold on one of the stage's own examples (both count from 0)."""

    example: int
    property: int
    violation: Violation


def violation_of(
    entry: Property, input_value: JsonValue, output_value: JsonValue
) -> Violation | None:
    """The first thing wrong with one input and output, or None. Unknown properties always hold."""
    if isinstance(entry, UnknownProperty):
        return None
    try:
        _check(entry, {"input": input_value, "output": output_value})
    except ViolatedError as found:
        return found.violation
    return None


def example_violations(
    properties: Sequence[Property], examples: Sequence[Example]
) -> Iterator[ExampleViolation]:
    """Every property on every example, example by example."""
    for number, example in enumerate(examples):
        for index, entry in enumerate(properties):
            found = violation_of(entry, example.input, example.output)
            if found is not None:
                yield ExampleViolation(number, index, found)


def _check(entry: KnownProperty, scope: dict[str, JsonValue]) -> None:
    match entry:
        case SetMember(field, options):
            value = resolve(field, scope)
            if not any(same_value(value, option) for option in options):
                raise ViolatedError(
                    ViolationCode.NOT_IN_SET, f"{field} is none of the listed values"
                )
        case InRange(field, minimum, maximum):
            _check_range(field, resolve(field, scope), minimum, maximum)
        case LengthEqual(left, right):
            of_left, of_right = resolve(left, scope), resolve(right, scope)
            lengths = length_of(left, of_left), length_of(right, of_right)
            if lengths[0] != lengths[1]:
                message = f"{left} has length {lengths[0]}, {right} has length {lengths[1]}"
                raise ViolatedError(ViolationCode.LENGTH_MISMATCH, message)
        case LengthAtMost(subject, bound):
            of_subject, of_bound = resolve(subject, scope), resolve(bound, scope)
            lengths = length_of(subject, of_subject), length_of(bound, of_bound)
            if lengths[0] > lengths[1]:
                message = f"{subject} has length {lengths[0]}, more than {bound} with {lengths[1]}"
                raise ViolatedError(ViolationCode.LENGTH_EXCEEDS_BOUND, message)
        case SubsetOf(subject, superset):
            of_subject, of_superset = resolve(subject, scope), resolve(superset, scope)
            offender = missing_from(subject, of_subject, superset, of_superset)
            if offender is not None:
                message = f"{excerpt(offender.value)} of {subject} is not in {superset}"
                raise ViolatedError(ViolationCode.NOT_SUBSET, message)
        case Equal(left, right):
            if not same_value(resolve(left, scope), resolve(right, scope)):
                raise ViolatedError(ViolationCode.NOT_EQUAL, f"{left} and {right} differ")
        case TypeIn(field, allowed):
            met = kind_of(resolve(field, scope))
            if met not in allowed:
                message = f"{field} is of kind {met}, allowed: {', '.join(allowed) or 'none'}"
                raise ViolatedError(ViolationCode.TYPE_NOT_IN_ALLOWED, message)
        case _:
            assert_never(entry)


def _check_range(
    field: str, value: JsonValue, minimum: float | None, maximum: float | None
) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        message = f"{field} is {excerpt(value)}, not a number"
        raise ViolatedError(ViolationCode.NOT_NUMBER, message)
    if minimum is not None and value < minimum:
        raise ViolatedError(ViolationCode.BELOW_MIN, f"{field} is {value}, below {minimum}")
    if maximum is not None and value > maximum:
        raise ViolatedError(ViolationCode.ABOVE_MAX, f"{field} is {value}, above {maximum}")


def misdeclared(entry: Property, input_type: NType, output_type: NType) -> Violation | None:
    """What the declared types already say against a property; None when nothing.

    Only the primary path is looked at. Below Any and a type variable every field may exist; a range
    needs a type that can be a number.
    """
    if isinstance(entry, UnknownProperty):
        return None
    try:
        reached = _type_at(_primary_path(entry), {"input": input_type, "output": output_type})
    except ViolatedError as found:
        return found.violation
    if isinstance(entry, InRange) and not _may_be_number(reached):
        message = f"{entry.field} can never be a number"
        return Violation(ViolationCode.RANGE_ON_NON_NUMBER, message)
    return None


def _primary_path(entry: KnownProperty) -> str:
    match entry:
        case SetMember() | InRange() | TypeIn():
            return entry.field
        case LengthEqual() | Equal():
            return entry.left
        case LengthAtMost() | SubsetOf():
            return entry.subject
        case _:
            assert_never(entry)


def _type_at(path: str, types: dict[str, NType]) -> NType:
    side, keys = split_path(path)
    reached = types[side]
    for key in keys:
        match reached:
            case Leaf("Any") | Var():
                return reached
            case RecordOf(fields) if key in dict(fields):
                reached = dict(fields)[key]
            case _:
                message = f"{path}: the declared type has no field {key!r}"
                raise ViolatedError(ViolationCode.FIELD_NOT_IN_TYPE, message)
    return reached


def _may_be_number(term: NType) -> bool:
    match term:
        case Leaf("Number" | "Any") | Var():
            return True
        case Refined(base):
            return _may_be_number(base)
        case UnionOf(members):
            direct = (each for each in members if not isinstance(each, UnionOf))
            return any(_may_be_number(each) for each in direct)
        case _:
            return False
