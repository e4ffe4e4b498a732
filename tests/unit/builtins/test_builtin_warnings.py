"""Where a stage gives the reference's value and says what it ignored (`stdlib.md` §1.1, WARN)."""

from collections.abc import Iterator

import pytest

from builtin_calls import Caller, calling
from noether_contract.json_values import JsonValue


@pytest.fixture
def caller() -> Iterator[Caller]:
    with calling() as it:
        yield it


@pytest.mark.parametrize(
    ("stage", "argument", "output", "words"),
    [
        ("group_by", {"items": [{"k": 1}, {"k": "a"}, {}], "key": "k"}, None, "1 item has no text"),
        ("num_sum", [1, "x", None], 1.0, "2 items are no number and counted as 0"),
        ("num_avg", [4, "x"], 2.0, "1 item is no number and counted as 0"),
        ("num_min", [2, "x", 1], 1.0, "1 item is no number and left out"),
        ("num_max", [2, True, 1], 2.0, "1 item is no number and left out"),
        ("text_join", {"items": ["a", 1], "delimiter": ","}, "a", "1 item that is no text"),
        (
            "text_template",
            {"template": "{{a}}", "variables": {"a": 1}},
            "",
            "1 variable that is no text",
        ),
        ("csv_write", {"records": [{"a": "1"}, {"b": "2"}]}, None, "1 key is not in the first"),
        ("csv_write", {"records": [{"a": 1}]}, "a\n", "1 cell is no text"),
        ("csv_write", {"records": [{"a": "1"}, 5]}, "a\n1", "1 row is no record"),
    ],
)
def test_what_is_ignored_is_told(
    caller: Caller, stage: str, argument: JsonValue, output: JsonValue, words: str
) -> None:
    outcome = caller.call(stage, argument)
    assert outcome.error is None
    assert output is None or outcome.output == output
    assert any(words in warning for warning in outcome.warnings)


@pytest.mark.parametrize(
    ("stage", "argument"),
    [
        ("group_by", {"items": [{"k": "a"}, {}, 5], "key": "k"}),
        ("num_sum", [1, 2.5]),
        ("text_join", {"items": ["a"], "delimiter": ","}),
        ("csv_write", {"records": [{"a": "1"}, {"a": "2"}]}),
    ],
)
def test_nothing_is_told_when_nothing_is_ignored(
    caller: Caller, stage: str, argument: JsonValue
) -> None:
    assert caller.call(stage, argument).warnings == ()


def test_a_higher_order_stage_in_a_composition_keeps_its_own_warnings(caller: Caller) -> None:
    outcome = caller.call("map", {"items": [["x"]], "stage_id": "num_sum"})
    assert outcome.warnings == ()
    assert "num_sum" in outcome.nested[0].warnings[0]
