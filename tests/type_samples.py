"""Stages and types for tests: a table of stages as a `StageSource`, and types to draw from."""

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from noether_runner.graph.catalogue import Entry
from noether_runner.stages.effects import PURE, read_capabilities, read_effect_set
from noether_runner.stages.lifecycle import Active, read_lifecycle
from noether_runner.stages.stage import Cost, Stage
from noether_runner.types.shorthand import read_spec_type
from noether_runner.types.terms import (
    LEAVES,
    ListOf,
    MapOf,
    NonEmpty,
    NType,
    OneOf,
    Range,
    RecordWith,
    Refined,
    StreamOf,
    UnionOf,
    Var,
    record,
)


def sample_stage(stage_id: str, json: Mapping[str, Any]) -> Stage:
    """A stage of `{input, output, effects?, capabilities?, lifecycle?, signature_id?}`."""
    return Stage(
        id=stage_id,
        signature_id=json.get("signature_id"),
        name=json.get("name"),
        input=read_spec_type(json["input"]),
        output=read_spec_type(json["output"]),
        effects=read_effect_set({"effects": json["effects"]}) if "effects" in json else PURE,
        implementation_hash="",
        capabilities=read_capabilities(json.get("capabilities", [])),
        cost=Cost(),
        description=json.get("description", ""),
        examples=(),
        lifecycle=read_lifecycle(json.get("lifecycle", "Active")),
    )


class StageTable:
    """A `StageSource` that holds just these stages."""

    def __init__(self, stages: Mapping[str, Any]) -> None:
        self._stages = {key: sample_stage(key, json) for key, json in stages.items()}

    def active_with_signature(self, reference: str) -> Sequence[Entry]:
        return [
            self._entry(stage)
            for stage in self._stages.values()
            if stage.signature_id == reference and isinstance(stage.lifecycle, Active)
        ]

    def with_id(self, reference: str) -> Entry | None:
        stage = self._stages.get(reference)
        return None if stage is None else self._entry(stage)

    def stage(self, stage_id: str) -> Stage:
        return self._stages[stage_id]

    def _entry(self, stage: Stage) -> Entry:
        return Entry(stage.id, stage.signature_id, stage.name, stage.lifecycle, "table")


_names = st.sampled_from(["a", "b", "c", "é", "kind"])
_leaves = st.sampled_from(list(LEAVES.values()))
_refinements = st.one_of(
    st.just(NonEmpty()),
    st.builds(Range, st.sampled_from([None, 0.0, 1.5]), st.sampled_from([None, 10.0])),
    st.builds(OneOf, st.sampled_from([(), (1, "a"), (None,)])),
)


def _grown(inner: st.SearchStrategy[NType], *, refined: bool) -> st.SearchStrategy[NType]:
    fields = st.dictionaries(_names, inner, max_size=3)
    options: list[st.SearchStrategy[NType]] = [
        st.builds(ListOf, inner),
        st.builds(StreamOf, inner),
        st.builds(MapOf, inner, inner),
        st.builds(record, fields),
        st.builds(UnionOf, st.lists(inner, max_size=3).map(tuple)),
    ]
    if refined:
        options.append(st.builds(Refined, inner, _refinements))
    return st.one_of(options)


def types(*, variables: bool = True, refined: bool = True) -> st.SearchStrategy[NType]:
    """Any type, of up to a dozen leaves."""
    base: st.SearchStrategy[NType] = _leaves
    if variables:
        rows = st.dictionaries(_names, _leaves, max_size=2).map(lambda fields: record(fields))
        opened = rows.map(lambda rec: RecordWith(rec.fields, "R"))
        base = st.one_of(_leaves, st.builds(Var, st.sampled_from(["T", "U"])), opened)
    return st.recursive(base, lambda inner: _grown(inner, refined=refined), max_leaves=12)


def json_values() -> st.SearchStrategy[Any]:
    """Any JSON value of a moderate size."""
    scalars = st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(-1e6, 1e6), st.text()
    )
    return st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(_names, inner, max_size=4)
        ),
        max_leaves=15,
    )
