"""Whatever bytes a graph file holds: a graph that can be judged, or one error that says where."""

from typing import Any

from hypothesis import given

from bad_input import few, noise, outcome, spoilt_texts
from noether_runner.errors import RunnerError
from noether_runner.graph.canonical import composition_id
from noether_runner.graph.checks import empty_containers, unknown_members
from noether_runner.graph.document import GraphError, read_graph, write_graph
from noether_runner.graph.nodes import Graph
from noether_runner.graph.optimize import optimize
from noether_runner.graph.resolve import resolve
from noether_runner.types.check import check_graph, finding_text
from noether_runner.types.check.effects import infer_effects
from noether_runner.types.check.plan import plan
from type_samples import StageTable

TEXT = {"kind": "Text"}
STAGE: dict[str, Any] = {"op": "Stage", "id": "give", "config": {"a": 1, "b": [None, 1.5]}}
FULL: dict[str, Any] = {
    "description": "every operator",
    "version": "0.1.0",
    "root": {
        "op": "Sequential",
        "stages": [
            {"op": "Const", "value": {"n": 1, "x": [1.0, "é"]}},
            {"op": "Parallel", "branches": {"one": STAGE, "two": {"op": "Stage", "id": "take"}}},
            {
                "op": "Branch",
                "predicate": {"op": "Const", "value": True},
                "if_true": {"op": "Stage", "id": "give", "pinning": "both"},
                "if_false": {"op": "Retry", "stage": STAGE, "max_attempts": 3, "delay_ms": 5},
            },
            {"op": "Fanout", "source": STAGE, "targets": [{"op": "Stage", "id": "take"}]},
            {"op": "Merge", "sources": [STAGE, STAGE], "target": {"op": "Stage", "id": "take"}},
            {"op": "Let", "bindings": {"x": STAGE}, "body": {"op": "Stage", "id": "take"}},
            {
                "op": "RemoteStage",
                "url": "https://h.example/compose",
                "input": {"kind": "List", "value": TEXT},
                "output": {"kind": "Record", "value": {"a": TEXT}},
            },
        ],
    },
}
TABLE = StageTable(
    {
        "give": {"input": "Any", "output": "Text", "effects": [{"effect": "Fallible"}]},
        "take": {"input": "Text", "output": {"kind": "Var", "value": "T"}},
    }
)


class Names(StageTable):
    """The same as a catalogue: stages are found by what the graph calls them, and nothing else."""

    def with_id_prefix(self, prefix: str) -> list[Any]:
        return []

    def with_name(self, name: str) -> list[Any]:
        return []

    def with_legacy_id(self, reference: str) -> list[Any]:
        return []


NAMES = Names(
    {"give": {"input": "Any", "output": "Text"}, "take": {"input": "Text", "output": "Any"}}
)


def judged(data: bytes) -> Graph | GraphError:
    """What a run would do with the file before any stage is called; anything else is a failure."""
    graph = outcome(lambda: read_graph(data, "graph.json"), GraphError)
    if isinstance(graph, GraphError):
        assert graph.message.startswith("graph.json ")
        assert len(graph.message) < 2000
        assert not set(graph.message) & set("\x1b\0\r")
        assert (graph.line is None) == (graph.column is None)
        assert graph.line is None or graph.line >= 1
        return graph
    assert len(composition_id(graph.root)) == 64
    assert read_graph(write_graph(graph), "again").root == graph.root
    for found in (*unknown_members(graph), *empty_containers(graph.root)):
        assert found.path
        assert found.message
    resolved = outcome(lambda: resolve(graph.root, NAMES), RunnerError)
    if isinstance(resolved, RunnerError):
        assert resolved.message
        assert resolved.path
    checked = check_graph(graph.root, TABLE)
    for finding in (*checked.errors, *checked.warnings):
        assert finding_text(finding)
    infer_effects(graph.root, TABLE)
    plan(optimize(graph.root).root, TABLE)
    return graph


@few
@given(spoilt_texts(FULL))
def test_a_spoilt_graph_is_judged_or_one_error(data: bytes) -> None:
    judged(data)


@few
@given(noise)
def test_bytes_that_are_no_graph(data: bytes) -> None:
    assert isinstance(judged(data), GraphError)
