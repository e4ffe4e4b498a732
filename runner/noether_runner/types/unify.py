"""Unification: what must variables stand for so that two types become equal (`types.md` §6).

This is equality, not subtyping: no optional fields, no wider records, unions by position. The
graph checker matches edges with `flow.py`, which accepts more; unification names what is wrong
with an edge in the reference's words. Variables and rows share one name space here.
"""

from collections.abc import Iterable
from typing import Literal, TypeAlias

from noether_contract.lean_dataclass import dataclass
from noether_runner.types.parts import PartCount, changed_fields, normalised, parts, rebuild
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
    record,
)

Why: TypeAlias = Literal[
    "constants", "constructors", "arity", "field_sets", "missing_field", "open_open", "shape"
]


@dataclass(frozen=True, slots=True)
class OccursCheck:
    """A variable would have to contain itself."""

    variable: str


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The types can never become equal."""

    why: Why


Clash: TypeAlias = OccursCheck | Mismatch
Bindings: TypeAlias = dict[str, NType]


class _ClashError(Exception):
    def __init__(self, clash: Clash) -> None:
        super().__init__(clash)
        self.clash = clash


def unify(left: NType, right: NType) -> Bindings | Clash:
    """What the variables and rows of two types stand for, or why they cannot be made equal.

    Each Any counts as a fresh variable `_any_N`, numbered from 0, left type first. Refinements are
    not seen, and do not come back. Raises `TypeTooLargeError`.
    """
    any_counter = _AnyCounter()
    left_term, right_term = any_counter.to_term(left), any_counter.to_term(right)
    try:
        bindings = _unify(left_term, right_term)
    except _ClashError as error:
        return error.clash
    return {name: normalised(term) for name, term in bindings.items()}


class _AnyCounter:
    """Turns types into terms: Any into fresh variables, refined types into their base."""

    def __init__(self) -> None:
        self._count = 0

    def to_term(self, term: NType) -> NType:
        match term:
            case Leaf("Any"):
                self._count += 1
                return Var(f"_any_{self._count - 1}")
            case Refined(base):
                return self.to_term(base)
            case _:
                return rebuild(term, self.to_term)


def _apply(bindings: Bindings, term: NType) -> NType:
    count = PartCount()

    def fill(inner: NType) -> NType:
        with count:
            match inner:
                case Var(name):
                    return bindings.get(name, inner)
                case RecordWith(fields, rest):
                    return _with_row(dict(changed_fields(fields, fill)), rest, bindings)
                case _:
                    return rebuild(inner, fill)

    return fill(term) if bindings else term


def _with_row(known: dict[str, NType], rest: str, bindings: Bindings) -> NType:
    match bindings.get(rest):
        case RecordOf(others):
            return record(dict(others) | known)
        case RecordWith(others, row):
            return RecordWith(record(dict(others) | known).fields, row)
        case _:
            return RecordWith(record(known).fields, rest)


def _compose(earlier: Bindings, later: Bindings) -> Bindings:
    composed = {name: _apply(later, term) for name, term in earlier.items()}
    return later | composed


def _unify(left: NType, right: NType) -> Bindings:
    match left, right:
        case Var(name), Var(other) if name == other:
            return {}
        case Var(name), _:
            return _bind(name, right)
        case _, Var(name):
            return _bind(name, left)
        case Leaf(kind), Leaf(other):
            if kind != other:
                raise _ClashError(Mismatch("constants"))
            return {}
        case RecordOf(fields), RecordOf(others):
            return _unify_records(fields, others)
        case (RecordWith() as opened, RecordOf(closed)) | (
            RecordOf(closed),
            RecordWith() as opened,
        ):
            return _unify_open(opened, dict(closed))
        case RecordWith(), RecordWith():
            raise _ClashError(Mismatch("open_open"))
        case (
            (ListOf() | StreamOf() | MapOf() | UnionOf()),
            (ListOf() | StreamOf() | MapOf() | UnionOf()),
        ):
            return _unify_constructors(left, right)
        case _:
            raise _ClashError(Mismatch("shape"))


def _unify_constructors(left: NType, right: NType) -> Bindings:
    if type(left) is not type(right):
        raise _ClashError(Mismatch("constructors"))
    arguments, others = parts(left), parts(right)
    if len(arguments) != len(others):
        raise _ClashError(Mismatch("arity"))
    return _unify_pairs(zip(arguments, others, strict=True))


def _unify_pairs(pairs: Iterable[tuple[NType, NType]]) -> Bindings:
    bindings: Bindings = {}
    for left, right in pairs:
        found = _unify(_apply(bindings, left), _apply(bindings, right))
        bindings = _compose(bindings, found)
    return bindings


def _unify_records(fields: Fields, others: Fields) -> Bindings:
    if [name for name, _ in fields] != [name for name, _ in others]:
        raise _ClashError(Mismatch("field_sets"))
    return _unify_pairs([(of, other) for (_, of), (_, other) in zip(fields, others, strict=True)])


def _unify_open(opened: RecordWith, closed: dict[str, NType]) -> Bindings:
    bindings: Bindings = {}
    for name, of in opened.fields:
        if name not in closed:
            raise _ClashError(Mismatch("missing_field"))
        found = _unify(_apply(bindings, of), _apply(bindings, closed[name]))
        bindings = _compose(bindings, found)
    known = dict(opened.fields)
    leftover = record({name: of for name, of in closed.items() if name not in known})
    others = _apply(bindings, leftover)
    # A variable of the same name may have taken a meaning meanwhile; it must be this one (TQ-13).
    return _compose(bindings, _unify(_apply(bindings, Var(opened.rest)), others))


def _bind(name: str, term: NType) -> Bindings:
    if _occurs(name, term):
        raise _ClashError(OccursCheck(name))
    return {name: term}


def _occurs(name: str, term: NType) -> bool:
    if isinstance(term, Var):
        return term.name == name
    if isinstance(term, RecordWith) and term.rest == name:
        return True
    return any(_occurs(name, part) for part in parts(term))
