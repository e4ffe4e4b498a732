"""Terms: reading, writing, order, the union constructor (`types.md` §1)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noether_runner.types.syntax import MAX_TYPE_DEPTH
from noether_runner.types.terms import (
    ANY,
    BOOL,
    NULL,
    NUMBER,
    TEXT,
    ListOf,
    NType,
    OneOf,
    Range,
    RecordOf,
    Refined,
    TypeSyntaxError,
    UnionOf,
    Var,
    is_nullable,
    optional,
    order_key,
    read_type,
    record,
    union,
    write_type,
)
from type_samples import types


@given(types())
def test_a_type_survives_writing_and_reading(term: Any) -> None:
    assert read_type(write_type(term)) == term


@given(types(), types())
def test_equal_types_hash_and_sort_alike(left: Any, right: Any) -> None:
    if left == right:
        assert hash(left) == hash(right)
    if order_key(left) == order_key(right):
        assert left == right


@given(st.lists(types(), max_size=4))
def test_a_union_of_unions_is_made_once(members: list[Any]) -> None:
    spliced = [each for outer in members if isinstance(outer, UnionOf) for each in outer.members]
    # one level is spliced (types.md §1.4): what lies deeper stays, also when nothing stands beside
    if any(isinstance(each, UnionOf) for each in spliced):
        return
    made = union(members)
    assert union([made]) == made
    assert union(reversed(members)) == made


def test_any_does_not_absorb_the_other_members() -> None:
    assert union([TEXT, ANY]) == UnionOf((ANY, TEXT))


def test_optional_adds_null_in_order() -> None:
    assert optional(TEXT) == UnionOf((NULL, TEXT))
    assert optional(BOOL) == UnionOf((BOOL, NULL))
    assert optional(NULL) == NULL


def test_kinds_sort_by_their_fixed_sequence() -> None:
    terms: list[NType] = [Refined(TEXT, Range()), Var("A"), ListOf(TEXT), record({}), NUMBER, ANY]
    ranked = sorted(terms, key=order_key)
    assert ranked == [ANY, ListOf(TEXT), NUMBER, record({}), Var("A"), Refined(TEXT, Range())]


def test_a_record_that_is_a_prefix_is_smaller() -> None:
    small, large = record({"a": TEXT}), record({"a": TEXT, "b": ANY})
    assert order_key(small) < order_key(large)


def test_record_sorts_its_fields_by_code_point() -> None:
    term = record({"\U0001f600": TEXT, "\ue000": TEXT, "a": TEXT})
    assert isinstance(term, RecordOf)
    assert [name for name, _ in term.fields] == ["a", "\ue000", "\U0001f600"]


def test_options_compare_by_value_but_never_true_with_one() -> None:
    assert OneOf((1, "a")) == OneOf((1.0, "a"))
    assert hash(OneOf((1,))) == hash(OneOf((1.0,)))
    assert OneOf((True,)) != OneOf((1,))
    assert OneOf((1, 2)) != OneOf((2, 1))


def test_a_refined_null_is_not_nullable() -> None:
    assert is_nullable(union([TEXT, union([NUMBER, NULL])]))
    assert not is_nullable(Refined(NULL, Range()))
    assert not is_nullable(record({}))


def test_bounds_are_written_as_doubles_and_absent_ones_not_at_all() -> None:
    written = write_type(Refined(NUMBER, Range(0.0, None)))
    assert written["value"] == {
        "base": {"kind": "Number"},
        "refinement": {"kind": "Range", "min": 0.0},
    }


@pytest.mark.parametrize(
    ("json", "message"),
    [
        ("Text", 'expected a type object such as {"kind":"Text"}, got "Text"'),
        (None, "got null"),
        ({"value": 1}, "a type object needs the member `kind`"),
        ({"kind": 5}, "expected a string as `kind` of a type object, got 5"),
        ({"kind": "text"}, "expected one of the kinds Any, Bool"),
        ({"kind": "Text", "value": {}}, "expected no `value` beside the kind Text, got {}"),
        ({"kind": "List", "value": None}, "got null at `value`"),
        ({"kind": "Map", "value": {"key": {"kind": "Text"}}}, "the kind Map needs the member"),
        ({"kind": "Record", "value": []}, "expected an object as `value` of the kind Record"),
        ({"kind": "Union", "value": {}}, "expected an array as `value` of the kind Union"),
        ({"kind": "Var", "value": None}, "expected a string as `value` of the kind Var"),
        ({"kind": "RecordWith", "value": {"fields": {}}}, "needs the member `rest` at `value`"),
        ({"kind": "Refined", "value": {"base": {"kind": "Text"}}}, "`refinement` at `value`"),
        (["List", {"kind": "Text"}], "expected a type object"),
    ],
)
def test_what_is_no_type_is_refused_with_its_place(json: Any, message: str) -> None:
    with pytest.raises(TypeSyntaxError) as caught:
        read_type(json)
    assert message in caught.value.message
    assert caught.value.kind == "invalid_type"


def test_the_path_leads_into_the_type() -> None:
    inner: Any = {"kind": "Union", "value": [{"kind": "Text"}, {"kind": "Txt"}]}
    with pytest.raises(TypeSyntaxError) as caught:
        read_type({"kind": "Record", "value": {"a": {"kind": "List", "value": inner}}})
    assert caught.value.path == "value.a.value.value[1]"


@pytest.mark.parametrize(
    "refinement",
    [
        {"kind": "Range", "min": "0"},
        {"kind": "Range", "max": True},
        {"kind": "OneOf"},
        {"kind": "OneOf", "options": {}},
        {"kind": "range"},
        "NonEmpty",
    ],
)
def test_a_bad_refinement_spoils_the_type(refinement: Any) -> None:
    json: Any = {"kind": "Refined", "value": {"base": {"kind": "Any"}, "refinement": refinement}}
    with pytest.raises(TypeSyntaxError, match=r"value\.refinement"):
        read_type(json)


def test_nesting_is_bounded_with_a_clean_error() -> None:
    json: dict[str, Any] = {"kind": "Text"}
    for _ in range(MAX_TYPE_DEPTH - 1):
        json = {"kind": "Record", "value": {"a": json}}
    deep = read_type(json)
    assert deep == read_type(json)
    assert union([deep, deep]) == deep
    with pytest.raises(TypeSyntaxError, match="nested deeper than"):
        read_type({"kind": "List", "value": json})
