"""Directed matching with variables (`types.md` §13.1, §13.2)."""

from hypothesis import given

from noether_runner.types.flow import Flow
from noether_runner.types.parts import mentions_variables
from noether_runner.types.substitution import Substitution, erased
from noether_runner.types.subtype import PrimitiveMismatch, UnionNotCovered, is_subtype
from noether_runner.types.terms import (
    ANY,
    BOOL,
    NULL,
    NUMBER,
    TEXT,
    ListOf,
    MapOf,
    NonEmpty,
    NType,
    Range,
    RecordWith,
    Refined,
    UnionOf,
    Var,
    optional,
    record,
)
from type_samples import types

T, U = Var("T"), Var("U")
PERCENT = Refined(NUMBER, Range(0.0, 100.0))


def opened(row: str, **fields: NType) -> RecordWith:
    return RecordWith(record(fields).fields, row)


def flows(given_type: NType, wanted: NType) -> Substitution | None:
    """The substitution when it flows, else None."""
    substitution = Substitution()
    return substitution if Flow(substitution).match(given_type, wanted) is None else None


def meaning(given_type: NType, wanted: NType, asked: NType = T) -> NType:
    substitution = flows(given_type, wanted)
    assert substitution is not None
    return substitution.filled(asked)


@given(types(variables=False), types(variables=False))
def test_a_subtype_flows(one: NType, other: NType) -> None:
    if is_subtype(one, other):
        assert flows(one, other) is not None


@given(types(variables=False), types(variables=False))
def test_without_variables_only_refinements_are_let_through(one: NType, other: NType) -> None:
    substitution = Substitution()
    flow = Flow(substitution)
    if flow.match(one, other) is None and not flow.ungained:
        assert is_subtype(one, other) or is_subtype(erased(one), erased(other))


@given(types(), types())
def test_an_attempt_that_fails_leaves_nothing_behind(one: NType, other: NType) -> None:
    substitution = Substitution()
    before = substitution.mark()
    flow = Flow(substitution)
    if flow.attempt(lambda: flow.match(one, other)) is not None:
        assert substitution.mark() == before
        assert flow.ungained == []


@given(types(), types())
def test_stages_with_equal_names_share_no_variable(one: NType, other: NType) -> None:
    substitution = Substitution()
    first = substitution.instantiate(one)[0]
    second = substitution.instantiate(other)[0]
    if mentions_variables(first) and mentions_variables(second):
        assert first != second
    assert substitution.shown(first, second) == (one, other)


def test_a_variable_stands_for_what_flows_into_it_without_its_refinement() -> None:
    assert meaning(PERCENT, T) == NUMBER
    assert meaning(ListOf(PERCENT), T) == ListOf(NUMBER)
    assert meaning(T, ListOf(BOOL)) == ListOf(BOOL)


def test_any_gives_a_variable_no_meaning() -> None:
    assert meaning(ANY, T) == T
    assert meaning(ListOf(ANY), T) == ListOf(ANY)


def test_records_may_be_wider_and_lack_optional_fields() -> None:
    assert meaning(record({"a": NUMBER, "b": TEXT}), record({"a": T})) == NUMBER
    assert flows(record({"a": NUMBER}), record({"a": T, "b": optional(U)})) is not None
    assert flows(record({}), record({"a": ListOf(T)})) is None


def test_a_row_takes_the_fields_that_are_left() -> None:
    row = meaning(record({"a": NUMBER, "b": TEXT}), opened("R", a=T), opened("R"))
    assert row == record({"b": TEXT})


def test_an_open_record_gains_the_fields_it_is_asked_for() -> None:
    substitution = flows(opened("R", a=TEXT), record({"a": TEXT, "b": NUMBER, "c": optional(TEXT)}))
    assert substitution is not None
    shown = substitution.shown(opened("R"))[0]
    assert shown == record({"b": NUMBER, "c": optional(TEXT)})
    flow = Flow(substitution)
    assert flow.match(opened("R"), record({"d": BOOL})) is None
    assert flow.match(opened("R"), record({"c": NUMBER})) is None
    assert flow.match(opened("R"), record({"b": TEXT})) is not None


def test_open_records_flow_into_each_other() -> None:
    given_type = opened("R", a=NUMBER, b=TEXT)
    assert meaning(given_type, opened("S", a=T), T) == NUMBER
    row = meaning(given_type, opened("S", a=T), opened("S"))
    assert row == opened("R", b=TEXT)
    assert flows(opened("R", a=TEXT), opened("R")) is not None
    assert flows(opened("R"), opened("R", a=TEXT)) is None


def test_no_variable_and_no_row_may_contain_itself() -> None:
    assert flows(T, ListOf(T)) is None
    assert flows(record({"a": opened("R")}), opened("R")) is None


def test_a_union_prefers_members_that_ask_for_nothing_more() -> None:
    substitution = Substitution()
    flow = Flow(substitution)
    assert flow.match(NUMBER, UnionOf((PERCENT, NUMBER))) is None
    assert flow.ungained == []
    assert meaning(NULL, UnionOf((T, NULL))) == T
    assert meaning(TEXT, UnionOf((T, NULL))) == TEXT


def test_a_union_that_only_a_refined_member_takes_is_noted() -> None:
    flow = Flow(Substitution())
    assert flow.match(NUMBER, UnionOf((TEXT, PERCENT))) is None
    assert flow.ungained == [PERCENT]


def test_unions_with_variables_agree_by_position_where_they_can() -> None:
    given_type = UnionOf((BOOL, TEXT, NULL))
    assert meaning(given_type, UnionOf((BOOL, T, NULL))) == TEXT
    assert meaning(UnionOf((NULL, TEXT)), UnionOf((T, NULL))) == TEXT


def test_every_member_of_a_union_must_flow() -> None:
    flow = Flow(Substitution())
    assert flow.match(UnionOf((TEXT, NUMBER)), TEXT) == UnionNotCovered(NUMBER)
    assert Flow(Substitution()).match(UnionOf((TEXT, NUMBER)), Refined(T, NonEmpty())) is None


def test_a_refinement_that_is_not_promised_is_noted() -> None:
    flow = Flow(Substitution())
    assert flow.match(MapOf(TEXT, NUMBER), MapOf(TEXT, PERCENT)) is None
    assert flow.ungained == [PERCENT]
    assert Flow(Substitution()).match(TEXT, PERCENT) == PrimitiveMismatch(NUMBER, TEXT)


def test_names_that_would_be_alike_are_numbered() -> None:
    substitution = Substitution()
    first, second = substitution.instantiate(T)[0], substitution.instantiate(T)[0]
    shown = substitution.shown(first, record({"a": second, "b": first}), numbered=True)
    assert shown == (T, record({"a": Var("T_2"), "b": T}))
