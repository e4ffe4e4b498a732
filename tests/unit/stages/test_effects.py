from contextlib import suppress

import pytest
from hypothesis import given

from noether_contract.json_values import JsonValue
from noether_runner.stages.effects import (
    PURE,
    Capability,
    Effect,
    EffectKind,
    EffectSet,
    read_capabilities,
    read_effect,
    read_effect_set,
)
from noether_runner.stages.errors import RecordError
from stage_samples import json_values


def paths_in_order(*paths: str) -> list[object]:
    return [each.data for each in EffectSet.of(Effect(EffectKind.FS_READ, p) for p in paths)]


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        ("/a/c", "/a-b"),
        ("/z", "a"),
        ("./z", "../a"),
        ("../z", "a"),
        ("", "/"),
        ("/a", "/a/b"),
        ("a", "ä"),
    ],
)
def test_paths_are_ordered_by_component(smaller: str, larger: str) -> None:
    assert paths_in_order(larger, smaller) == [smaller, larger]


@pytest.mark.parametrize(
    ("first", "second"),
    [("/a//b", "/a/b/"), ("/a/./b", "/a/b"), ("/./a", "/a"), ("./a", "./a/."), ("//", "/")],
)
def test_two_spellings_of_a_path_are_one_effect_and_the_first_is_kept(
    first: str, second: str
) -> None:
    assert paths_in_order(first, second) == [first]


def test_a_leading_point_is_a_component_of_its_own() -> None:
    assert paths_in_order("./a", "a") == ["./a", "a"]


def test_purity_and_cost() -> None:
    effects = EffectSet.of(
        [Effect(EffectKind.COST, 5), Effect(EffectKind.COST, 7), Effect(EffectKind.LLM, "m")]
    )
    assert effects.cost_cents == 12
    assert not effects.is_pure
    assert PURE.is_pure
    assert EffectKind.LLM in effects
    assert effects.kinds == {EffectKind.COST, EffectKind.LLM}


def test_the_names_that_policies_use() -> None:
    assert [kind.policy_name for kind in EffectKind] == [
        "cost",
        "fallible",
        "fs-read",
        "fs-write",
        "llm",
        "network",
        "non-deterministic",
        "process",
        "pure",
        "unknown",
    ]


@pytest.mark.parametrize(
    ("json", "where"),
    [
        ("Pure", "effect"),
        ({}, "effect.effect"),
        ({"effect": "pure"}, "effect.effect"),
        ({"effect": ["Pure"]}, "effect.effect"),
        ({"effect": "Cost"}, "effect.cents"),
        ({"effect": "Cost", "cents": 1.0}, "effect.cents"),
        ({"effect": "Cost", "cents": True}, "effect.cents"),
        ({"effect": "Cost", "cents": -1}, "effect.cents"),
        ({"effect": "Cost", "cents": 2.0**64}, "effect.cents"),
        ({"effect": "Llm"}, "effect.model"),
        ({"effect": "FsRead", "path": None}, "effect.path"),
    ],
)
def test_an_effect_that_cannot_be_read_says_where(json: JsonValue, where: str) -> None:
    with pytest.raises(RecordError) as refused:
        read_effect(json)
    assert refused.value.where == where


def test_extra_members_of_an_effect_are_dropped() -> None:
    effect = read_effect({"effect": "Cost", "cents": 2**64 - 1, "note": "x"})
    assert effect.write() == {"effect": "Cost", "cents": 2**64 - 1}


def test_an_empty_set_is_legal_and_stays_empty() -> None:
    assert read_effect_set({"effects": []}).write() == {"effects": []}


def test_capabilities_come_out_sorted_and_once() -> None:
    assert read_capabilities(["Process", "Network", "Process"]) == (
        Capability.NETWORK,
        Capability.PROCESS,
    )
    with pytest.raises(RecordError, match=r"capabilities\[1\]"):
        read_capabilities(["Network", "network"])


@given(json_values)
def test_reading_never_fails_in_another_way(json: JsonValue) -> None:
    for read in (read_effect, read_effect_set, read_capabilities):
        with suppress(RecordError):
            read(json)
