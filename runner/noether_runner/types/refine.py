"""Refinements: conditions on a value beyond its shape (`types.md` §2).

Reading and writing, equality, and whether a value satisfies one. Bounds are doubles; options
compare by value (`1` equals `1.0`).
"""

from typing import Literal, TypeAlias, assert_never

import orjson

from noether_contract.json_values import JsonValue, compact_json
from noether_contract.lean_dataclass import dataclass
from noether_runner.types.syntax import expected, member, text_member
from noether_runner.types.value_kinds import equality_key, excerpt, kind_of, same_value


@dataclass(frozen=True, slots=True)
class Range:
    """A number within bounds, both inclusive; None means no bound."""

    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class OneOf:
    """A value equal to one of the options; their order is kept, and counts in equality."""

    options: tuple[JsonValue, ...]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, OneOf):
            return NotImplemented
        return equality_key(list(self.options)) == equality_key(list(other.options))

    def __hash__(self) -> int:
        return hash(equality_key(list(self.options)))


@dataclass(frozen=True, slots=True)
class NonEmpty:
    """A string, array or object that is not empty."""


Refinement: TypeAlias = Range | OneOf | NonEmpty


def read_refinement(json: JsonValue, place: str = "") -> Refinement:
    """The refinement of its JSON object; raises `TypeSyntaxError` naming `place`."""
    if not isinstance(json, dict):
        raise expected("a refinement object with `kind`", json, place)
    kind = text_member(json, "kind", "a refinement", place)
    match kind:
        case "Range":
            return Range(_bound(json, "min", place), _bound(json, "max", place))
        case "OneOf":
            options = member(json, "options", "the refinement OneOf", place)
            if not isinstance(options, list):
                raise expected("an array as `options` of the refinement OneOf", options, place)
            return OneOf(tuple(options))
        case "NonEmpty":
            return NonEmpty()
        case _:
            raise expected("one of the refinements Range, OneOf, NonEmpty", kind, place)


def _bound(json: dict[str, JsonValue], name: str, place: str) -> float | None:
    bound = json.get(name)
    if bound is None:
        return None
    if not isinstance(bound, (int, float)) or isinstance(bound, bool):
        raise expected(f"a number or null as `{name}` of the refinement Range", bound, place)
    return float(bound)


def write_refinement(refinement: Refinement) -> dict[str, JsonValue]:
    """The JSON object; absent bounds are left out, bounds are floats."""
    match refinement:
        case Range(minimum, maximum):
            written: dict[str, JsonValue] = {"kind": "Range"}
            if minimum is not None:
                written["min"] = minimum
            if maximum is not None:
                written["max"] = maximum
            return written
        case OneOf(options):
            return {"kind": "OneOf", "options": list(options)}
        case NonEmpty():
            return {"kind": "NonEmpty"}
        case _:
            assert_never(refinement)


def refinement_text(refinement: Refinement) -> bytes:
    """Compact JSON with members in written order: the key by which refined types sort."""
    if isinstance(refinement, OneOf):
        return b'{"kind":"OneOf","options":' + compact_json(list(refinement.options)) + b"}"
    return orjson.dumps(write_refinement(refinement))


ViolationCode: TypeAlias = Literal[
    "not_number", "below_min", "above_max", "not_member", "empty", "not_measurable"
]


@dataclass(frozen=True, slots=True)
class Violation:
    """Why a value does not satisfy a refinement; `reason` is a sentence without its start."""

    code: ViolationCode
    reason: str


def violation(value: JsonValue, refinement: Refinement) -> Violation | None:
    """None when the value satisfies the refinement (`types.md` §2.1)."""
    match refinement:
        case Range(minimum, maximum):
            return _outside(value, minimum, maximum)
        case OneOf(options):
            for option in options:
                if same_value(value, option):
                    return None
            listed = excerpt(list(options))
            return Violation(
                "not_member", f"{excerpt(value)} is not one of the allowed options {listed}"
            )
        case NonEmpty():
            return _emptiness(value)
        case _:
            assert_never(refinement)


def _outside(value: JsonValue, minimum: float | None, maximum: float | None) -> Violation | None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return Violation("not_number", f"Range requires a Number, got {kind_of(value)}")
    number = float(value)
    met = f"value {plain_decimal(number)}"
    if minimum is not None and number < minimum:
        return Violation("below_min", f"{met} below minimum {plain_decimal(minimum)}")
    if maximum is not None and number > maximum:
        return Violation("above_max", f"{met} above maximum {plain_decimal(maximum)}")
    return None


def _emptiness(value: JsonValue) -> Violation | None:
    if not isinstance(value, (str, list, dict)):
        met = f"{excerpt(value)} ({kind_of(value)})"
        return Violation(
            "not_measurable", f"NonEmpty expects a string, an array or an object, got {met}"
        )
    if value:
        return None
    return Violation("empty", f"{kind_of(value)} is empty")


def plain_decimal(number: float) -> str:
    """The shortest decimal that reads back as this double: no exponent, no trailing `.0`."""
    text = repr(number)
    if "e" in text:
        from decimal import Decimal  # seldom needed, and not free to import

        text = format(Decimal(text), "f")
    return text.removesuffix(".0")
