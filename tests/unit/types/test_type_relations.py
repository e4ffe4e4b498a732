"""Laws of subtyping, unification and overlap (`types.md` §5, §6, §13.4)."""

from itertools import combinations
from typing import Any

from hypothesis import given

from noether_runner.types.overlap import may_share_a_value
from noether_runner.types.subtype import (
    MissingField,
    PrimitiveMismatch,
    UnionNotCovered,
    is_subtype,
    mismatch,
    reason_text,
    with_types,
    write_reason,
)
from noether_runner.types.terms import (
    ANY,
    NULL,
    NUMBER,
    TEXT,
    ListOf,
    MapOf,
    NonEmpty,
    NType,
    Range,
    RecordOf,
    RecordWith,
    Refined,
    StreamOf,
    UnionOf,
    Var,
    is_nullable,
    optional,
    record,
    union,
)
from noether_runner.types.unify import Mismatch, OccursCheck, unify
from noether_runner.types.values import misfit
from type_samples import json_values, types

POSITIVE = Refined(NUMBER, Range(0.0))
SMALL = Refined(NUMBER, Range(None, 9.0))


@given(types())
def test_every_type_fits_itself(term: NType) -> None:
    assert mismatch(term, term) is None


@given(types())
def test_any_fits_in_both_directions(term: NType) -> None:
    assert is_subtype(term, ANY)
    assert is_subtype(ANY, term)
    assert is_subtype(ListOf(ANY), ListOf(term))


@given(types(refined=False), types(refined=False))
def test_a_member_fits_its_union(one: NType, other: NType) -> None:
    assert is_subtype(one, union([one, other]))


@given(types(), types())
def test_a_wider_record_fits_a_narrower_one(one: NType, other: NType) -> None:
    assert is_subtype(record({"x": one, "y": other}), record({"x": one}))


@given(json_values(), types(variables=False), types(variables=False))
def test_a_value_of_a_subtype_fits_the_supertype(value: Any, small: NType, large: NType) -> None:
    # Any holds only part of the way: what is Any fits everything, its values do not.
    if ANY in _leaves(small) or not is_subtype(small, large):
        return
    if misfit(value, small) is None and not _has_optional_field(large):
        assert misfit(value, large) is None


def _leaves(term: NType) -> set[NType]:
    from noether_runner.types.parts import parts

    inner = parts(term)
    return set[NType]().union(*(_leaves(part) for part in inner)) if inner else {term}


def _has_optional_field(term: NType) -> bool:
    """`{a: Text}` fits `{}` fits `{a: Null | Number}`: the relation itself lets values slip."""
    from noether_runner.types.parts import parts

    if isinstance(term, (RecordOf, RecordWith)) and any(is_nullable(of) for _, of in term.fields):
        return True
    return any(_has_optional_field(part) for part in parts(term))


@given(types(), types())
def test_a_reason_can_be_told_and_written(given_type: NType, wanted: NType) -> None:
    reason = mismatch(given_type, wanted)
    if reason is not None:
        assert reason_text(reason)
        assert write_reason(reason)["code"] == type(reason).__name__
        assert with_types(reason, lambda term: term) == reason


def test_the_relation_is_not_transitive() -> None:
    one, two, three = record({"a": TEXT}), record({}), record({"a": optional(NUMBER)})
    assert is_subtype(one, two)
    assert is_subtype(two, three)
    assert not is_subtype(one, three)


def universe() -> list[NType]:
    """Types without Any, variables and optional fields, many of which fit each other."""
    simple: list[NType] = [TEXT, NUMBER, NULL, POSITIVE, SMALL, Refined(POSITIVE, Range(None, 9.0))]
    unions = [UnionOf(pair) for pair in combinations(simple, 2)]
    wide = UnionOf((NULL, NUMBER, POSITIVE, TEXT))
    plain = [*simple, *unions, wide, UnionOf(())]
    present = [each for each in plain if not is_nullable(each)]
    made: list[NType] = [
        *(of(each) for of in (ListOf, StreamOf) for each in plain),
        *(MapOf(TEXT, each) for each in simple),
        record({}),
        *(record({"a": each}) for each in present),
        *(record({"a": each, "b": TEXT}) for each in present),
        *(record({"a": record({"b": each})}) for each in simple if each != NULL),
    ]
    return [*plain, *made, *(UnionOf((NULL, each)) for each in made[::3])]


def test_without_optional_fields_the_relation_is_transitive() -> None:
    types_ = universe()
    above = [{at for at, other in enumerate(types_) if is_subtype(each, other)} for each in types_]
    assert sum(map(len, above)) > 4 * len(types_)
    for small, larger in enumerate(above):
        for middle in larger:
            slipped = above[middle] - larger
            assert not slipped, (types_[small], types_[middle], types_[min(slipped)])


def test_a_refined_member_of_a_union_is_found_before_it_is_stripped() -> None:
    assert is_subtype(POSITIVE, UnionOf((TEXT, POSITIVE)))
    assert mismatch(POSITIVE, UnionOf((TEXT, SMALL))) == UnionNotCovered(NUMBER)


def test_only_the_outer_refinement_may_be_dropped() -> None:
    both = Refined(POSITIVE, Range(None, 9.0))
    assert is_subtype(both, POSITIVE)
    assert mismatch(POSITIVE, both) == PrimitiveMismatch(both, POSITIVE)


def test_a_union_of_the_wanted_refined_type_fits_it() -> None:
    assert is_subtype(UnionOf((POSITIVE, POSITIVE)), POSITIVE)
    assert is_subtype(UnionOf(()), POSITIVE)
    mixed = UnionOf((POSITIVE, NULL))
    assert mismatch(mixed, POSITIVE) == PrimitiveMismatch(POSITIVE, mixed)


def test_fields_are_compared_by_name() -> None:
    assert mismatch(record({}), record({"b": TEXT, "a": TEXT})) == MissingField("a")


@given(types(), types())
def test_unification_answers_for_all_types(left: NType, right: NType) -> None:
    found = unify(left, right)
    assert isinstance(found, (dict, Mismatch, OccursCheck))


@given(types(refined=False))
def test_a_fresh_variable_takes_any_type(term: NType) -> None:
    assert isinstance(unify(Var("Fresh"), term), dict)


def test_a_row_that_means_something_else_already_is_a_mismatch() -> None:
    opened = RecordWith((("a", Var("R")),), "R")
    assert unify(opened, record({"a": TEXT, "b": NUMBER})) == Mismatch("shape")


def test_a_row_may_not_contain_itself() -> None:
    opened = RecordWith((), "R")
    assert unify(opened, record({"a": ListOf(Var("R"))})) == OccursCheck("R")


@given(json_values(), types(variables=False), types(variables=False))
def test_types_with_a_common_value_overlap(value: Any, left: NType, right: NType) -> None:
    if misfit(value, left) is None and misfit(value, right) is None:
        assert may_share_a_value(left, right)


def test_types_of_different_json_kinds_do_not_overlap() -> None:
    assert not may_share_a_value(TEXT, optional(NUMBER))
    assert not may_share_a_value(record({"a": TEXT}), record({"a": NUMBER}))
    assert may_share_a_value(record({"a": TEXT}), record({"b": NUMBER}))
    assert may_share_a_value(Refined(TEXT, NonEmpty()), Var("T"))
