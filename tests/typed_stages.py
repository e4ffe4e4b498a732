"""Typed stages to draw graphs from: types, values of them, and stages with variables."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hypothesis import strategies as st

from noether_contract.json_values import JsonValue
from noether_runner.types.terms import (
    ANY,
    BOOL,
    LEAVES,
    NULL,
    NUMBER,
    TEXT,
    VNODE,
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
    record,
    union,
)

Behaviour = Callable[[JsonValue], JsonValue]

FEW = Refined(NUMBER, Range(0.0, 10.0))
SAID = Refined(TEXT, NonEmpty())
T = Var("T")


@dataclass(frozen=True)
class TypedStage:
    """A stage with what it does."""

    input: NType
    output: NType
    behave: Behaviour


def _members(value: JsonValue) -> dict[str, JsonValue]:
    assert isinstance(value, dict)
    return value


def _items(value: JsonValue) -> list[JsonValue]:
    assert isinstance(value, list)
    return value


GENERIC: Mapping[str, TypedStage] = {
    "same": TypedStage(T, T, lambda value: value),
    "wrap": TypedStage(T, ListOf(T), lambda value: [value]),
    "twice": TypedStage(T, record({"x": T, "y": T}), lambda value: {"x": value, "y": value}),
    "first": TypedStage(ListOf(T), union([NULL, T]), lambda value: (_items(value) or [None])[0]),
    "take_a": TypedStage(record({"a": T}), T, lambda value: _members(value)["a"]),
    "done": TypedStage(
        RecordWith((), "R"),
        RecordWith((("done", BOOL),), "R"),
        lambda value: {**_members(value), "done": True},
    ),
    "without_a": TypedStage(
        RecordWith((("a", T),), "R"),
        RecordWith((), "R"),
        lambda value: {k: v for k, v in _members(value).items() if k != "a"},
    ),
}
"""Stages with variables. They do the same to values of every type."""


def generic_output(name: str, given: NType) -> NType | None:
    """What a generic stage gives for a type, None when it does not take it."""
    match name, given:
        case "same", _:
            return given
        case "wrap", _:
            return ListOf(given)
        case "twice", _:
            return record({"x": given, "y": given})
        case "first", ListOf(element):
            return union([NULL, element])
        case "take_a", RecordOf(fields):
            return dict(fields).get("a")
        case "done", RecordOf(fields):
            return record({**dict(fields), "done": BOOL})
        case "without_a", RecordOf(fields) if "a" in dict(fields):
            return record({name: of for name, of in fields if name != "a"})
        case _:
            return None


def value_of(term: NType, chance: random.Random) -> JsonValue:
    """A value that has every declared field and no other.

    A nullable field may be absent (`types.md` §5, TQ-04) and a record may have more members than
    its type tells. Either lets through what may not run: a Parallel hands on the whole record where
    the key of a branch is missing, and a forgotten member may not fit an optional field.
    """
    match term:
        case Refined(base):
            return 5 if base == NUMBER else "said"
        case ListOf(element) | StreamOf(element):
            return [value_of(element, chance) for _ in range(chance.randint(0, 2))]
        case MapOf(_, value):
            return {name: value_of(value, chance) for name in chance.choice(["", "k", "kl"])}
        case RecordOf(fields):
            return {name: value_of(of, chance) for name, of in fields}
        case UnionOf(members):
            return value_of(chance.choice(members), chance)
        case _:
            samples: dict[NType, JsonValue] = {
                TEXT: "text", NUMBER: chance.choice([0, 11, -1.5]), BOOL: chance.random() < 0.5,
                NULL: None, VNODE: {"tag": "p"},
            }  # fmt: skip
            return samples.get(term, "bytes")


NAMES = st.sampled_from(["a", "b", "source_0"])
PLAIN = st.sampled_from([leaf for leaf in LEAVES.values() if leaf != ANY])


def _grown(inner: st.SearchStrategy[NType]) -> st.SearchStrategy[NType]:
    return st.one_of(
        st.dictionaries(NAMES, inner, max_size=3).map(record),
        st.builds(ListOf, inner),
        st.builds(StreamOf, inner),
        st.builds(MapOf, st.just(TEXT), inner),
        st.lists(inner, min_size=1, max_size=3).map(union),
    )


GIVEN = st.recursive(st.one_of(PLAIN, st.sampled_from([FEW, SAID])), _grown, max_leaves=4)
"""Types of outputs: no Any, which flows into everything unseen (§5, TQ-03)."""

STRANGE: st.SearchStrategy[NType] = st.one_of(
    st.sampled_from([TEXT, BOOL, FEW, ListOf(TEXT), record({"a": BOOL})]), st.builds(ListOf, GIVEN)
)
"""Types of takers that were not made for what they get. None may be absent: a Parallel is accepted
by the reading that an optional branch gets nothing (§13.2), though it gets the whole record."""
