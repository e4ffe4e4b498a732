"""The short spelling of specs (`types.md` §4) and the display text (§1.5)."""

from typing import Any

import pytest
from hypothesis import given

from noether_runner.types.refine import plain_decimal
from noether_runner.types.render import render
from noether_runner.types.shorthand import read_spec_type
from noether_runner.types.terms import (
    NUMBER,
    TEXT,
    MapOf,
    Range,
    Refined,
    StreamOf,
    TypeSyntaxError,
    UnionOf,
    record,
    write_type,
)
from type_samples import types


@given(types())
def test_every_canonical_spelling_is_read_in_specs_too(term: Any) -> None:
    assert read_spec_type(write_type(term)) == term


def test_short_and_canonical_forms_nest_in_each_other() -> None:
    inner = {"key": "Text", "value": {"Union": ["Number", "Text"]}}
    spec: Any = {"kind": "Record", "value": {"a": {"Stream": {"kind": "Map", "value": inner}}}}
    expected = record({"a": StreamOf(MapOf(TEXT, UnionOf((NUMBER, TEXT))))})
    assert read_spec_type(spec) == expected


def test_a_map_that_is_no_array_lets_the_next_key_speak() -> None:
    assert read_spec_type({"Map": {}, "Record": [["a", "Text"]]}) == record({"a": TEXT})


def test_a_map_of_another_length_is_refused_whatever_else_stands_there() -> None:
    with pytest.raises(TypeSyntaxError, match=r"a Map as \[key type, value type\]"):
        read_spec_type({"Map": ["Text"], "Record": [["a", "Text"]]})


def test_kind_wins_over_short_keys() -> None:
    assert read_spec_type({"List": "Number", "kind": "Text"}) == TEXT


@pytest.mark.parametrize(
    "pairs",
    [[["a"]], [["a", "Text", 1]], ["a"], [[1, "Text"]], [["a", "Text"], ["a", "Text"]]],
)
def test_a_bad_field_is_told_from_a_bad_type(pairs: Any) -> None:
    with pytest.raises(TypeSyntaxError) as caught:
        read_spec_type({"List": {"Record": pairs}})
    assert caught.value.kind == "invalid_record_field"
    assert caught.value.path is not None
    assert caught.value.path.startswith("List.Record[")


@pytest.mark.parametrize(
    "spec", ["Optional", 5, None, [], {}, {"Var": "T"}, {"Record": {"a": "Text"}}, {"kind": "X"}]
)
def test_what_is_no_type_is_refused(spec: Any) -> None:
    with pytest.raises(TypeSyntaxError) as caught:
        read_spec_type(spec)
    assert caught.value.kind == "invalid_type"


def test_nesting_is_bounded() -> None:
    spec: Any = "Text"
    for _ in range(500):
        spec = {"List": spec}
    with pytest.raises(TypeSyntaxError, match="nested deeper"):
        read_spec_type(spec)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (100.0, "100"),
        (1e21, "1000000000000000000000"),
        (1e-7, "0.0000001"),
        (-0.5, "-0.5"),
        (1.5e300, "15" + "0" * 299),
        (0.1, "0.1"),
        (123456789.125, "123456789.125"),
    ],
)
def test_bounds_print_without_exponent(number: float, text: str) -> None:
    assert plain_decimal(number) == text


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        (Range(0.0, 100.0), "Number | Range(0..=100)"),
        (Range(0.0), "Number | Range(0..)"),
        (Range(None, 5.5), "Number | Range(..=5.5)"),
        (Range(), "Number | Range(..)"),
    ],
)
def test_ranges_print_like_the_reference(bounds: Range, text: str) -> None:
    assert render(Refined(NUMBER, bounds)) == text


def test_an_empty_union_prints_nothing() -> None:
    assert render(UnionOf(())) == ""
