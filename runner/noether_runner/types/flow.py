"""May values of one type flow along an edge into another, variables included (`types.md` §13.2).

Where no variable is involved this is subtyping, with one difference: a refinement that the giver
does not promise is noted instead of refused, because it is checked when the stage is called. With
variables it finds what they stand for, and unlike unification it still allows wider records,
optional fields and union members.
"""

from collections.abc import Callable
from typing import Final

from noether_contract.lean_dataclass import dataclass
from noether_runner.types.parts import TypeTooLargeError, mentions_variables
from noether_runner.types.substitution import Mark, Substitution
from noether_runner.types.subtype import (
    FieldTypeMismatch,
    InnerTypeMismatch,
    MapKeyMismatch,
    MapValueMismatch,
    MissingField,
    PrimitiveMismatch,
    Reason,
    UnionNotCovered,
)
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
from noether_runner.types.values import unrefined

MAX_STEPS: Final = 200_000
"""Comparisons on one edge. Deeply nested unions can ask for more than anyone would wait for."""


@dataclass(frozen=True, slots=True)
class _Point:
    mark: Mark
    ungained: int


class Flow:
    """One edge. `ungained` are the refined types that the giver does not promise."""

    def __init__(self, substitution: Substitution) -> None:
        self.ungained: list[Refined] = []
        self._substitution = substitution
        self._steps = 0

    def attempt(self, matching: Callable[[], Reason | None]) -> Reason | None:
        """Runs calls of `match`; when they fail, no binding of theirs is left behind."""
        point = self._point()
        reason = matching()
        if reason is not None:
            self._back_to(point)
        return reason

    def match(self, given: NType, wanted: NType) -> Reason | None:
        """None when every value of `given` may flow into `wanted`, else the first reason why not.

        Binds variables on the way, also when it fails later. Raises `TypeTooLargeError`.
        """
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise TypeTooLargeError
        given, wanted = self._substitution.head(given), self._substitution.head(wanted)
        if ANY in (given, wanted):
            return None
        if isinstance(given, Var):
            if given == wanted:
                return None
            # Also when both are variables: of two names the taker's remains, as in the reference.
            return self._bind(given, wanted, given, wanted)
        if isinstance(wanted, Var):
            return self._bind(wanted, given, given, wanted)
        match given, wanted:
            case Refined(), UnionOf():
                fits_as_it_is = self._some_member(given, wanted)
                return None if fits_as_it_is else self.match(given.base, wanted)
            case Refined(base, refinement), Refined(wanted_base, wanted_refinement) if (
                refinement == wanted_refinement
            ):
                return self.match(base, wanted_base)
            case Refined(base), _:
                return self.match(base, wanted)
            case UnionOf(), _ if not self._is_variable(unrefined(wanted)):
                return self._match_union(given, wanted)
            case _, Refined(wanted_base):
                reason = self.match(given, wanted_base)
                if reason is None:
                    self.ungained.append(wanted)
                return reason
            case _, UnionOf():
                return None if self._some_member(given, wanted) else UnionNotCovered(given)
            case (RecordOf() | RecordWith(), RecordOf() | RecordWith()):
                return self._match_records(given, wanted)
            case _:
                return self._match_constructors(given, wanted)

    def _bind(self, variable: Var, term: NType, given: NType, wanted: NType) -> Reason | None:
        is_bound = self._substitution.bind(variable.name, term)
        return None if is_bound else PrimitiveMismatch(wanted, given)

    def _match_constructors(self, given: NType, wanted: NType) -> Reason | None:
        match given, wanted:
            case Leaf(kind), Leaf(wanted_kind) if kind == wanted_kind:
                return None
            case ListOf(element), ListOf(wanted_element):
                inner = self.match(element, wanted_element)
                return inner and InnerTypeMismatch("List element", inner)
            case StreamOf(element), StreamOf(wanted_element):
                inner = self.match(element, wanted_element)
                return inner and InnerTypeMismatch("Stream element", inner)
            case MapOf(key, value), MapOf(wanted_key, wanted_value):
                inner = self.match(key, wanted_key)
                if inner is not None:
                    return MapKeyMismatch(inner)
                inner = self.match(value, wanted_value)
                return inner and MapValueMismatch(inner)
            case _:
                return PrimitiveMismatch(wanted, given)

    def _match_records(
        self, given: RecordOf | RecordWith, wanted: RecordOf | RecordWith
    ) -> Reason | None:
        present = dict(given.fields)
        missing: dict[str, NType] = {}
        optional: dict[str, NType] = {}
        for name, asked in wanted.fields:
            if name in present:
                inner = self.match(present[name], asked)
                if inner is not None:
                    return FieldTypeMismatch(name, inner)
            elif is_nullable(self._substitution.filled(asked)):
                optional[name] = asked
            elif isinstance(given, RecordWith):
                missing[name] = asked
            else:
                return MissingField(name)
        asked_names = dict(wanted.fields)
        leftover = [(name, of) for name, of in given.fields if name not in asked_names]
        return self._match_rows(given, wanted, missing, optional, tuple(leftover))

    def _match_rows(
        self,
        given: RecordOf | RecordWith,
        wanted: RecordOf | RecordWith,
        missing: dict[str, NType],
        optional: dict[str, NType],
        leftover: Fields,
    ) -> Reason | None:
        substitution = self._substitution
        rest = given.rest if isinstance(given, RecordWith) else None
        wanted_rest = wanted.rest if isinstance(wanted, RecordWith) else None
        if (rest is not None and not substitution.is_unbound_row(rest)) or (
            wanted_rest is not None and not substitution.is_unbound_row(wanted_rest)
        ):
            return self.match(given, wanted)  # a field has just given the row its meaning
        if rest is not None and (missing or wanted_rest is None):
            may_have = tuple(optional.items()) if wanted_rest is None else None
            if rest == wanted_rest:
                return MissingField(min(missing))
            rest = substitution.extend_row(rest, tuple(missing.items()), may_have)
            if rest is None:
                return PrimitiveMismatch(wanted, given)
        if wanted_rest is None or wanted_rest == rest:
            return None
        is_bound = substitution.bind_row(wanted_rest, leftover, rest)
        return None if is_bound else PrimitiveMismatch(wanted, given)

    def _match_union(self, given: UnionOf, wanted: NType) -> Reason | None:
        if isinstance(wanted, UnionOf) and self._match_by_position(given, wanted):
            return None
        for each in given.members:
            if self.match(each, wanted) is not None:
                return UnionNotCovered(each)
        return None

    def _match_by_position(self, given: UnionOf, wanted: UnionOf) -> bool:
        """Whether unions with variables agree member by member.

        That is how the reference pairs them; a variable would else take the first member it meets.
        """
        if len(given.members) != len(wanted.members):
            return False
        if not mentions_variables(given) and not mentions_variables(wanted):
            return False
        point = self._point()
        for each, asked in zip(given.members, wanted.members, strict=True):
            if self.match(each, asked) is not None:
                self._back_to(point)
                return False
        return True

    def _some_member(self, given: NType, wanted: UnionOf) -> bool:
        """Whether a member takes the type; best one that asks no refinement of it, no variable."""
        point = self._point()
        second_best: NType | None = None
        for each in sorted(wanted.members, key=self._is_variable):
            if self.match(given, each) is None:
                if len(self.ungained) == point.ungained:
                    return True
                second_best = second_best or each
            self._back_to(point)
        return second_best is not None and self.match(given, second_best) is None

    def _is_variable(self, term: NType) -> bool:
        return isinstance(self._substitution.head(term), Var)

    def _point(self) -> _Point:
        return _Point(self._substitution.mark(), len(self.ungained))

    def _back_to(self, point: _Point) -> None:
        self._substitution.back_to(point.mark)
        del self.ungained[point.ungained :]
