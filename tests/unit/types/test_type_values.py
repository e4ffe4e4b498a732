"""Values against types and refinements (`types.md` §2.1, §9, §10, §13.3)."""

from typing import Any

import pytest
from hypothesis import given

from noether_runner.types.infer import infer
from noether_runner.types.refine import NonEmpty, OneOf, Range, violation
from noether_runner.types.shorthand import read_spec_type
from noether_runner.types.subtype import is_subtype
from noether_runner.types.terms import (
    ANY,
    BYTES,
    NUMBER,
    TEXT,
    VNODE,
    ListOf,
    MapOf,
    NType,
    RecordWith,
    Refined,
    StreamOf,
    TypeSyntaxError,
    optional,
    record,
    union,
)
from noether_runner.types.value_kinds import equality_key, excerpt, kind_of, same_value
from noether_runner.types.values import misfit, refinement_chain, refinement_failure, unrefined
from type_samples import json_values, types

PERCENT = Refined(NUMBER, Range(0.0, 100.0))


@given(json_values())
def test_a_value_fits_the_type_inferred_from_it(value: Any) -> None:
    assert misfit(value, infer(value)) is None


@given(json_values(), types(variables=False, refined=False))
def test_what_infers_as_a_subtype_fits(value: Any, term: NType) -> None:
    if is_subtype(infer(value, term), term):
        assert misfit(value, term) is None


@given(json_values())
def test_everything_fits_any_and_an_optional_any(value: Any) -> None:
    assert misfit(value, ANY) is None
    assert misfit(value, optional(ANY)) is None


@pytest.mark.parametrize(
    ("spec", "value", "sentence"),
    [
        ("Text", 5, "expected Text, got 5 (number)"),
        ("Number", True, "expected Number, got true (bool)"),
        ("VNode", [], "expected VNode, got [] (array)"),
        ({"List": "Text"}, ["a", 1], "expected Text, got 1 (number) at `[1]`"),
        ({"Stream": "Text"}, {}, "expected Stream<Text>, got {} (object)"),
        ({"Record": [["a", "Text"]]}, {}, "missing required field `a`"),
        (
            {"Record": [["rows", {"List": {"Record": [["id", "Number"]]}}]]},
            {"rows": [{"id": 1}, {"id": "2"}]},
            'expected Number, got "2" (string) at `rows[1].id`',
        ),
        ({"Map": ["Text", "Bool"]}, {"x": 1}, "expected Bool, got 1 (number) at `x`"),
        ({"Map": ["Number", "Bool"]}, {"x": True}, 'the key "x" does not fit: expected Number'),
        ({"Union": ["Null", "Text"]}, 5, "expected Null | Text, got 5 (number)"),
        (
            {"Union": ["Null", {"Record": [["a", "Text"]]}]},
            {"a": 1},
            "expected Text, got 1 (number) at `a`",
        ),
        ({"Union": []}, None, "got null (null)"),
    ],
)
def test_the_first_misfit_is_named_with_its_path(spec: Any, value: Any, sentence: str) -> None:
    found = misfit(value, read_spec_type(spec))
    assert found is not None
    assert sentence in found.sentence
    assert not found.is_refinement


def test_an_optional_field_may_be_absent_and_further_fields_present() -> None:
    term = record({"a": optional(TEXT), "b": ANY})
    assert misfit({}, term) is None
    assert misfit({"a": None, "z": 1}, term) is None
    assert misfit({"a": 1}, term) is not None


def test_hints_are_not_lost_in_streams_open_records_and_wide_unions() -> None:
    inner = MapOf(TEXT, PERCENT)
    assert misfit([{"a": 1}], StreamOf(inner)) is None
    assert misfit({"m": {"a": 1}}, RecordWith((("m", inner),), "R")) is None
    assert misfit({"a": 1}, union([TEXT, NUMBER, inner])) is None
    assert misfit("aGk=", BYTES) is None
    assert misfit({"tag": "b"}, VNODE) is None


def test_a_nested_refinement_is_checked_and_told_from_a_wrong_shape() -> None:
    found = misfit([1, 101], ListOf(PERCENT))
    assert found is not None
    assert found.is_refinement
    assert found.path == "[1]"
    assert "value 101 above maximum 100" in found.reason
    assert "Range(0..=100)" in found.reason


def test_the_chain_is_read_from_the_outside_in() -> None:
    term = Refined(Refined(TEXT, NonEmpty()), OneOf(("a", "")))
    assert refinement_chain(term) == (OneOf(("a", "")), NonEmpty())
    assert unrefined(term) == TEXT
    assert refinement_chain(ListOf(term)) == ()


def test_a_broken_refinement_names_its_side_and_itself() -> None:
    text = refinement_failure(-1, PERCENT, "input")
    assert text == "input refinement violation (Range(0..=100)): value -1 below minimum 0"
    assert refinement_failure(5, PERCENT, "output") is None
    assert refinement_failure("anything", TEXT, "output") is None


@pytest.mark.parametrize(
    ("value", "refinement", "fragment"),
    [
        ("5", Range(0.0), "Range requires a Number"),
        (-1, Range(0.0), "below minimum"),
        (2**64 - 1, Range(0.0, 1.0), "above maximum"),
        (3, OneOf((1, 2)), "not one of the allowed options"),
        ("", NonEmpty(), "string is empty"),
        ([], NonEmpty(), "array is empty"),
        ({}, NonEmpty(), "object is empty"),
        (None, NonEmpty(), "NonEmpty expects"),
    ],
)
def test_a_violation_says_it_in_the_words_of_the_reference(
    value: Any, refinement: Any, fragment: str
) -> None:
    found = violation(value, refinement)
    assert found is not None
    assert fragment in found.reason


def test_numbers_are_equal_by_value_and_never_to_booleans() -> None:
    assert same_value({"a": [1, -0.0]}, {"a": [1.0, 0]})
    assert not same_value([True], [1])
    assert not same_value(0, False)
    assert not same_value(2**53 + 1, float(2**53))
    assert violation(1.0, OneOf((1,))) is None


@given(json_values(), json_values())
def test_equality_keys_agree_with_equality(left: Any, right: Any) -> None:
    assert same_value(left, left)
    assert (hash(equality_key(left)) == hash(equality_key(right))) or not same_value(left, right)


@given(json_values())
def test_an_excerpt_is_short(value: Any) -> None:
    assert len(excerpt(value)) < 500
    assert kind_of(value) in {"null", "bool", "number", "string", "array", "object"}


def test_excerpts_of_large_values_are_cut() -> None:
    assert excerpt("x" * 1000) == '"' + "x" * 60 + '…" (1000 characters)'
    assert excerpt(list(range(1000))) == "an array of 1000 items"
    assert excerpt({str(i): i for i in range(1000)}) == "an object of 1000 members"
    assert excerpt(["x" * 100]).endswith("…")


def test_a_value_nested_too_deeply_has_no_type() -> None:
    value: Any = 1
    for _ in range(200):
        value = [value]
    with pytest.raises(TypeSyntaxError, match="nested deeper"):
        infer(value)
