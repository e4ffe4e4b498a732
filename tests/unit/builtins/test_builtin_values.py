"""Laws and corners of the plain stages that no vector shows."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noether_contract.json_values import JsonValue, compact_json
from noether_runner.builtins import lists, numbers, paths, scalar, tables, text
from noether_runner.builtins.builtin import BuiltinError, Context
from noether_runner.builtins.fields import whole_number

NO_CONTEXT: Context = object()  # type: ignore[assignment]  # these never warn

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(VALUES)
def test_json_text_reads_back_as_the_same_value(value: Any) -> None:
    written = scalar.to_json(value)
    assert isinstance(written, str)
    assert compact_json(scalar.parse_json(written)) == compact_json(value)


@given(st.lists(SCALARS))
def test_sorting_keeps_every_item_and_is_stable_both_ways(items: Any) -> None:
    up = lists.sort(items)
    down = lists.sort({"items": items, "descending": True})
    assert isinstance(up, list)
    assert isinstance(down, list)
    assert sorted(map(compact_json, up)) == sorted(map(compact_json, items))
    nulls = [item for item in items if item is None]
    assert up[len(up) - len(nulls) :] == down[len(down) - len(nulls) :] == nulls
    assert lists.sort(up) == up
    assert lists.sort({"items": down, "descending": True}) == down


@given(st.lists(VALUES))
def test_dedup_keeps_the_first_of_each(items: Any) -> None:
    kept = lists.list_dedup(items)
    assert isinstance(kept, list)
    texts = [compact_json(item) for item in kept]
    assert texts == list(dict.fromkeys(map(compact_json, items)))


@given(st.text(), st.text(max_size=3))
def test_split_and_join_are_opposites(whole: str, delimiter: str) -> None:
    pieces = text.text_split({"text": whole, "delimiter": delimiter})
    joined = text.text_join({"items": pieces, "delimiter": delimiter}, NO_CONTEXT)
    if delimiter:
        assert joined == whole
    else:
        assert pieces == ["", *whole, ""]


def test_a_text_that_would_take_all_memory_is_not_made() -> None:
    growing: JsonValue = {str(step): f"{{{{{step + 1}}}}}" * 100 for step in range(9)}
    too_much = "at most 67108864 are made"
    with pytest.raises(BuiltinError, match=too_much):
        text.text_template({"template": "{{0}}", "variables": growing}, NO_CONTEXT)
    long = "a" * 10_000
    with pytest.raises(BuiltinError, match=too_much):
        text.text_replace({"text": long, "from": "a", "to": long})
    with pytest.raises(BuiltinError, match=too_much):
        text.text_join({"items": list(long), "delimiter": long}, NO_CONTEXT)
    with pytest.raises(BuiltinError, match=too_much):
        scalar.to_text(["\0" * 12_000_000])


@given(st.text())
def test_reversing_twice_changes_nothing(whole: str) -> None:
    assert text.text_reverse(text.text_reverse(whole)) == whole


@pytest.mark.parametrize("blank", ["\x1c", "\x1f", "\u200b", "\ufeff"])
def test_trimming_leaves_what_unicode_does_not_call_white_space(blank: str) -> None:
    assert text.text_trim(f"\u3000 {blank}a \u2028") == f"{blank}a"


@pytest.mark.parametrize("given_text", ["inf", "NaN", "1e400", " 1", "1_0", "٣", "", ".", "1e"])
def test_what_is_no_decimal_number_is_no_number(given_text: str) -> None:
    with pytest.raises(BuiltinError, match="cannot parse"):
        scalar.to_number(given_text)


def test_minus_zero_stays() -> None:
    number = scalar.to_number("-0")
    assert isinstance(number, float)
    assert math.copysign(1, number) == -1


def test_letters_have_the_cases_of_todays_unicode_whatever_the_python() -> None:
    assert text.text_upper("\u019bß") == "\ua7dcSS"
    assert text.text_lower("\ua7daİΑΣ") == "\ua7dbi\u0307ας"


def test_a_sum_of_minus_zeros_is_one() -> None:
    assert compact_json(numbers.num_sum([-0.0, -0.0], NO_CONTEXT)) == b"-0.0"
    assert compact_json(numbers.num_sum([], NO_CONTEXT)) == b"0.0"


def test_a_sum_is_not_compensated() -> None:
    assert numbers.num_sum([1e16, 1, -1e16], NO_CONTEXT) == 0.0
    assert numbers.num_sum([0.1, 0.2, 0.3], NO_CONTEXT) == 0.6000000000000001
    with pytest.raises(BuiltinError, match="not a finite number"):
        numbers.num_sum([1e308, 1e308], NO_CONTEXT)


@pytest.mark.parametrize(
    ("path", "outcome"),
    [
        ("a.", 1),
        ("..a", "field '' not found"),
        ("l[+01]", 2),
        ("l[1", "unclosed bracket"),
        ("l[]", "invalid index: "),
        ("l[18446744073709551616]", "invalid index: 18446744073709551616"),
        ("l[18446744073709551615]", "index 18446744073709551615 out of bounds"),
        ("a[0]", "index 0 out of bounds"),
        ("l.x", "field 'x' not found"),
        ("x y]", 3),
    ],
)
def test_corners_of_paths(path: str, outcome: JsonValue) -> None:
    data: JsonValue = {"a": 1, "l": [1, 2], "x y]": 3}
    if isinstance(outcome, str):
        with pytest.raises(BuiltinError) as caught:
            paths.json_path({"data": data, "path": path})
        assert caught.value.message == outcome
    else:
        assert paths.json_path({"data": data, "path": path}) == outcome


def test_a_patch_sets_null_and_changes_neither_side() -> None:
    base: JsonValue = {"a": {"b": 1}, "l": [1]}
    patch: JsonValue = {"a": {"c": None}, "l": []}
    merged = paths.json_merge({"base": base, "patch": patch})
    assert merged == {"a": {"b": 1, "c": None}, "l": []}
    assert base == {"a": {"b": 1}, "l": [1]}


@pytest.mark.parametrize(
    ("text_given", "rows"),
    [
        ("", []),
        ("\n", []),
        ("a\r\r\nb\r", [{"a\r": "b\r"}]),
        ("a,a\n1,2", [{"a": "2"}]),
        ("a\n \u3000\n1", [{"a": "1"}]),
        ("\n1", [{"": "1"}]),
    ],
)
def test_corners_of_delimited_text(text_given: str, rows: JsonValue) -> None:
    assert tables.csv_parse({"text": text_given}) == rows


@pytest.mark.parametrize("value", [-1, 2.5, "3", True, []])
def test_a_count_is_a_whole_number(value: JsonValue) -> None:
    with pytest.raises(BuiltinError, match="limit must be a whole number"):
        whole_number({"limit": value}, "limit", 10)


@pytest.mark.parametrize(("value", "count"), [(None, 10), (3, 3), (3.0, 3), (0, 0)])
def test_a_count_may_be_written_as_a_double(value: JsonValue, count: int) -> None:
    assert whole_number({"limit": value}, "limit", 10) == count
