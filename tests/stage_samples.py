"""Stages to test with: small records made from specs, and a strategy that draws any record."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from noether_contract.json_values import JsonValue
from noether_runner.stages.lifecycle import Active, Lifecycle
from noether_runner.stages.spec import read_simple_spec
from noether_runner.stages.stage import Stage, read_stage, write_stage

CODE = "def execute(input):\n    return input\n"


def spec(name: str = "sample", code: str = CODE, **members: Any) -> dict[str, Any]:
    """A spec as a file holds it: Text to Text, Python, unless `members` say otherwise."""
    return {"name": name, "input": "Text", "output": "Text", "implementation": code, **members}


def sample(
    name: str = "sample", code: str = CODE, lifecycle: Lifecycle | None = None, **members: Any
) -> Stage:
    """The stage of `spec(...)`, Active unless told otherwise."""
    stage = read_simple_spec(spec(name, code, **members))
    return replace(stage, lifecycle=Active() if lifecycle is None else lifecycle)


def version(number: int, lifecycle: Lifecycle | None = None) -> Stage:
    """One of several implementations of a single signature."""
    return sample("versioned", f"def execute(input):\n    return {number}\n", lifecycle)


def broken_record(name: str = "broken") -> dict[str, JsonValue]:
    """A record that cannot be read: it declares an effect that nobody knows."""
    record = write_stage(sample(name))
    signature: Any = record["signature"]
    effects: JsonValue = {"effects": [{"effect": "Telepathy"}]}
    return {**record, "signature": {**signature, "effects": effects}}


names = st.text(max_size=8)
json_values: st.SearchStrategy[JsonValue] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


def _content_types(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    fields = st.dictionaries(names, inner, max_size=3)
    bounds = st.none() | st.floats(allow_nan=False, allow_infinity=False)
    refinements = st.one_of(
        st.fixed_dictionaries({"kind": st.just("Range"), "min": bounds, "max": bounds}),
        st.fixed_dictionaries(
            {"kind": st.just("OneOf"), "options": st.lists(json_values, max_size=2)}
        ),
        st.just({"kind": "NonEmpty"}),
    )
    contents = {
        "List": inner,
        "Stream": inner,
        "Map": st.fixed_dictionaries({"key": inner, "value": inner}),
        "Record": fields,
        "Union": st.lists(inner, max_size=3),
        "Var": names,
        "RecordWith": st.fixed_dictionaries({"fields": fields, "rest": names}),
        "Refined": st.fixed_dictionaries({"base": inner, "refinement": refinements}),
    }
    return st.one_of(
        [
            st.fixed_dictionaries({"kind": st.just(kind), "value": content})
            for kind, content in contents.items()
        ]
    )


types: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(["Any", "Bool", "Bytes", "Null", "Number", "Text", "VNode"]).map(
        lambda kind: {"kind": kind}
    ),
    _content_types,
    max_leaves=5,
)
effects: st.SearchStrategy[Any] = st.lists(
    st.one_of(
        st.sampled_from(
            ["Fallible", "Network", "NonDeterministic", "Process", "Pure", "Unknown"]
        ).map(lambda name: {"effect": name}),
        st.builds(lambda cents: {"effect": "Cost", "cents": cents}, st.integers(0, 2**64 - 1)),
        st.builds(lambda path: {"effect": "FsRead", "path": path}, st.text("/.ab", max_size=6)),
        st.builds(lambda model: {"effect": "Llm", "model": model}, names),
    ),
    max_size=5,
)


@st.composite
def records(draw: st.DrawFn) -> dict[str, JsonValue]:
    """Any readable stage record."""
    record: dict[str, Any] = {
        "id": draw(names),
        "signature_id": draw(st.none() | names),
        "signature": {
            "input": draw(types),
            "output": draw(types),
            "effects": {"effects": draw(effects)},
            "implementation_hash": draw(names),
        },
        "capabilities": draw(st.lists(st.sampled_from(["Network", "Gpu", "Llm"]), max_size=4)),
        "cost": {"tokens_est": draw(st.none() | st.integers(0, 2**64 - 1))},
        "description": draw(names),
        "examples": [
            {"input": value, "output": value} for value in draw(st.lists(json_values, max_size=2))
        ],
        "lifecycle": draw(
            st.sampled_from(["Draft", "Active", "Tombstone"])
            | names.map(lambda successor: {"Deprecated": {"successor_id": successor}})
        ),
        "tags": draw(st.lists(names, max_size=2)),
        "name": draw(st.none() | names),
        "x-unknown": draw(json_values),
    }
    return record


stages = records().map(read_stage)
