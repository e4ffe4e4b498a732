"""Values that properties look at: paths, lengths, containment (`types.md` §9.4)."""

from collections.abc import Mapping
from enum import StrEnum

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass
from noether_runner.stages.errors import json_kind
from noether_runner.types.value_kinds import same_value


class ViolationCode(StrEnum):
    """Why a property does not hold, or why its path means nothing for the declared types."""

    BAD_PATH = "BadPath"
    FIELD_MISSING = "FieldMissing"
    NOT_IN_SET = "NotInSet"
    NOT_NUMBER = "NotNumber"
    BELOW_MIN = "BelowMin"
    ABOVE_MAX = "AboveMax"
    NOT_MEASURABLE = "NotMeasurable"
    LENGTH_MISMATCH = "LengthMismatch"
    LENGTH_EXCEEDS_BOUND = "LengthExceedsBound"
    NOT_SUBSET = "NotSubset"
    NOT_COLLECTION_FOR_SUBSET = "NotCollectionForSubset"
    NOT_EQUAL = "NotEqual"
    TYPE_NOT_IN_ALLOWED = "TypeNotInAllowed"
    FIELD_NOT_IN_TYPE = "FieldNotInType"
    RANGE_ON_NON_NUMBER = "RangeOnNonNumber"


@dataclass(frozen=True, slots=True)
class Violation:
    """A property that does not hold: the code, and a sentence that names path and values."""

    code: ViolationCode
    message: str


class ViolatedError(Exception):
    """Carries a `Violation` out of a check; never leaves this package."""

    def __init__(self, code: ViolationCode, message: str) -> None:
        super().__init__(message)
        self.violation = Violation(code, message)


@dataclass(frozen=True, slots=True)
class Offender:
    """The first part of a value that another value lacks."""

    value: JsonValue


def split_path(path: str) -> tuple[str, list[str]]:
    """The side (`input` or `output`) that a dotted path starts from, and its object keys."""
    side, *keys = path.split(".")
    if side not in ("input", "output"):
        raise ViolatedError(
            ViolationCode.BAD_PATH, f"path {path!r} must begin with input or output, not {side!r}"
        )
    return side, keys


def resolve(path: str, scope: Mapping[str, JsonValue]) -> JsonValue:
    """The value at a dotted path. Keys are object keys only; one that is missing is a violation."""
    side, keys = split_path(path)
    value = scope[side]
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            raise ViolatedError(ViolationCode.FIELD_MISSING, f"{path}: there is no field {key!r}")
        value = value[key]
    return value


def length_of(path: str, value: JsonValue) -> int:
    """Code points of a string, elements of an array, members of an object."""
    if not isinstance(value, str | list | dict):
        message = f"{path} is {json_kind(value)}, which has no length"
        raise ViolatedError(ViolationCode.NOT_MEASURABLE, message)
    return len(value)


def missing_from(
    subject: str, inner: JsonValue, superset: str, outer: JsonValue
) -> Offender | None:
    """The first element, member or text of `inner` that `outer` lacks; None when it has all."""
    if isinstance(inner, str) and isinstance(outer, str):
        return None if inner in outer else Offender(inner)
    if isinstance(inner, list) and isinstance(outer, list):
        for element in inner:
            if not any(same_value(element, other) for other in outer):
                return Offender(element)
        return None
    if isinstance(inner, dict) and isinstance(outer, dict):
        for key, value in sorted(inner.items()):
            if key not in outer or not same_value(value, outer[key]):
                return Offender({key: value})
        return None
    subject_is_to_blame = not isinstance(inner, str | list | dict)
    path, value = (subject, inner) if subject_is_to_blame else (superset, outer)
    raise ViolatedError(
        ViolationCode.NOT_COLLECTION_FOR_SUBSET,
        f"{path} is {json_kind(value)}; a subset needs two arrays, two objects or two strings",
    )
