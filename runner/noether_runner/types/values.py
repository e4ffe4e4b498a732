"""Does a value fit a type (`types.md` §13.3), and the refinements enforced at run time (§10).

Unlike inferring the value's type and comparing types, this loses no hint inside streams, open
records, nested refinements and wide unions.
"""

from dataclasses import replace
from typing import Final, Literal, TypeAlias, assert_never

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass
from noether_runner.types.refine import Refinement, violation
from noether_runner.types.render import render, render_refinement
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
    is_nullable,
)
from noether_runner.types.value_kinds import JsonKind, excerpt, kind_of

_TYPE_TEXT_LENGTH: Final = 200


@dataclass(frozen=True, slots=True)
class Misfit:
    """The first place where a value does not fit.

    `path` leads there (`items[2].name`, empty for the value itself); `reason` is what is wrong
    there; `is_refinement` tells a condition that does not hold from a wrong shape.
    """

    path: str
    reason: str
    is_refinement: bool = False

    @property
    def sentence(self) -> str:
        """Reason and place together."""
        return f"{self.reason} at `{self.path}`" if self.path else self.reason


def misfit(value: JsonValue, term: NType) -> Misfit | None:
    """None when the value fits the type, else the first misfit; fields go by name."""
    match term:
        case Leaf(kind):
            return None if _fits_leaf(value, kind) else _wrong(value, term)
        case Var():
            return None
        case ListOf(element) | StreamOf(element):
            if not isinstance(value, list):
                return _wrong(value, term)
            return _misfit_items(value, element)
        case MapOf(key, inner):
            if not isinstance(value, dict):
                return _wrong(value, term)
            return _misfit_members(value, key, inner)
        case RecordOf(fields) | RecordWith(fields):
            if not isinstance(value, dict):
                return _wrong(value, term)
            return _misfit_fields(value, fields)
        case UnionOf(members):
            return _misfit_union(value, members, term)
        case Refined(base, refinement):
            found = misfit(value, base)
            return found if found is not None else _unmet(value, refinement)
        case _:
            assert_never(term)


def _fits_leaf(value: JsonValue, kind: str) -> bool:
    match kind:
        case "Any":
            return True
        case "Text" | "Bytes":
            return isinstance(value, str)
        case "Number":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case "Bool":
            return isinstance(value, bool)
        case "Null":
            return value is None
        case _:
            return isinstance(value, dict)


def _wrong(value: JsonValue, term: NType) -> Misfit:
    wanted = render(term)
    if len(wanted) > _TYPE_TEXT_LENGTH:
        wanted = f"{wanted[:_TYPE_TEXT_LENGTH]}…"
    return Misfit("", f"expected {wanted}, got {excerpt(value)} ({kind_of(value)})")


def _unmet(value: JsonValue, refinement: Refinement) -> Misfit | None:
    unmet = violation(value, refinement)
    if unmet is None:
        return None
    reason = f"{unmet.reason}, but {render_refinement(refinement)} is declared"
    return Misfit("", reason, is_refinement=True)


def _misfit_items(items: list[JsonValue], element: NType) -> Misfit | None:
    if isinstance(element, Var) or element == Leaf("Any"):
        return None
    for index, item in enumerate(items):
        found = misfit(item, element)
        if found is not None:
            return _under(f"[{index}]", found)
    return None


def _misfit_members(value: dict[str, JsonValue], key: NType, inner: NType) -> Misfit | None:
    for name in sorted(value):
        found = misfit(name, key)
        if found is not None:
            reason = f"the key {excerpt(name)} does not fit: {found.reason}"
            return replace(found, path="", reason=reason)
        found = misfit(value[name], inner)
        if found is not None:
            return _under(name, found)
    return None


def _misfit_fields(value: dict[str, JsonValue], fields: Fields) -> Misfit | None:
    for name, of in fields:
        if name in value:
            found = misfit(value[name], of)
            if found is not None:
                return _under(name, found)
        elif not is_nullable(of):
            return Misfit("", f"missing required field `{name}`")
    return None


def _misfit_union(value: JsonValue, members: tuple[NType, ...], term: NType) -> Misfit | None:
    likely: list[Misfit] = []
    for each in members:
        found = misfit(value, each)
        if found is None:
            return None
        if _kind_asked(each) == kind_of(value):
            likely.append(found)
    # Only one member has the value's shape at all: what is wrong with it says more than the union.
    return likely[0] if len(likely) == 1 else _wrong(value, term)


def _kind_asked(term: NType) -> JsonKind | None:
    match term:
        case ListOf() | StreamOf():
            return "array"
        case MapOf() | RecordOf() | RecordWith():
            return "object"
        case Refined(base):
            return _kind_asked(base) or _LEAF_KINDS.get(base)
        case _:
            return None


_LEAF_KINDS: Final[dict[NType, JsonKind]] = {
    Leaf("Number"): "number",
    Leaf("Text"): "string",
    Leaf("Bytes"): "string",
    Leaf("Bool"): "bool",
}


def _under(step: str, found: Misfit) -> Misfit:
    rest = found.path
    joint = "." if rest and not rest.startswith("[") else ""
    return replace(found, path=f"{step}{joint}{rest}")


def refinement_chain(term: NType) -> tuple[Refinement, ...]:
    """The refinements of a type from the outside in, down to its first other kind (§2)."""
    chain: list[Refinement] = []
    while isinstance(term, Refined):
        chain.append(term.refinement)
        term = term.base
    return tuple(chain)


def unrefined(term: NType) -> NType:
    """The type without its chain of outer refinements."""
    while isinstance(term, Refined):
        term = term.base
    return term


Side: TypeAlias = Literal["input", "output"]


def refinement_failure(value: JsonValue, term: NType, side: Side) -> str | None:
    """The stage's failure text when a refinement of the chain does not hold, outermost first."""
    for refinement in refinement_chain(term):
        unmet = violation(value, refinement)
        if unmet is not None:
            shown = render_refinement(refinement)
            return f"{side} refinement violation ({shown}): {unmet.reason}"
    return None
