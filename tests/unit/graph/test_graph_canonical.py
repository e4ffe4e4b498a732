import json
import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from graph_samples import graphs, run_graph, untimed
from noether_contract.json_values import JsonValue, compact_json
from noether_runner.graph.canonical import canonical, canonical_json_value, composition_id
from noether_runner.graph.document import read_graph, write_graph, write_node
from noether_runner.graph.nodes import (
    BranchNode,
    ConstNode,
    Graph,
    LetNode,
    Node,
    RetryNode,
    SequentialNode,
    StageNode,
)

A = StageNode("a")


def same(left: Node, right: Node) -> bool:
    return compact_json(write_node(left)) == compact_json(write_node(right))


@untimed
@given(graphs())
def test_canonical_form_is_idempotent(root: Node) -> None:
    once = canonical(root)
    assert same(canonical(once), once)


@untimed
@given(graphs())
def test_wrappers_that_mean_nothing_do_not_change_the_id(root: Node) -> None:
    own = composition_id(root)
    assert composition_id(SequentialNode((root,))) == own
    assert composition_id(SequentialNode((SequentialNode(()), root))) == own
    assert composition_id(RetryNode(root, 1, 500)) == own
    assert composition_id(RetryNode(root, 0)) == own
    assert composition_id(LetNode({}, root)) == own


@untimed
@given(graphs(), st.text(max_size=5), st.text(max_size=5), st.randoms())
def test_id_ignores_texts_unknown_members_and_member_order(
    root: Node, description: str, version: str, chance: random.Random
) -> None:
    document = json.loads(write_graph(Graph(description, root, version)))
    text = json.dumps(_disturbed(document, chance))
    assert composition_id(read_graph(text, "disturbed.json").root) == composition_id(root)


def _disturbed(value: Any, chance: random.Random) -> Any:
    """The same document with members in another order and unknown ones in every node."""
    if isinstance(value, list):
        return [_disturbed(item, chance) for item in value]
    if not isinstance(value, dict):
        return value
    members = [
        (name, member if name in {"value", "config"} else _disturbed(member, chance))
        for name, member in value.items()
    ]
    if "op" in value or "root" in value:
        members.append(("_note", [chance.random()]))
    chance.shuffle(members)
    return dict(members)


@untimed
@given(graphs())
def test_a_written_graph_reads_back(root: Node) -> None:
    graph = Graph("d", root, "1")
    again = read_graph(write_graph(graph), "again.json")
    assert same(again.root, root)
    assert write_graph(again) == write_graph(graph)


@untimed
@given(graphs(least=1), st.sampled_from([None, {"a": 1}, [1]]))
def test_canonical_form_runs_as_the_graph_does(root: Node, argument: JsonValue) -> None:
    """Except for a Let without bindings, which hands no input on unless it is a record (§4.2)."""
    plain, reduced = run_graph(root, argument), run_graph(canonical(root), argument)
    assert compact_json(plain.output) == compact_json(reduced.output)
    assert (plain.error is None) == (reduced.error is None)
    without_path = [[entry[:5] for entry in ran.trace] for ran in (plain, reduced)]
    assert without_path[0] == without_path[1]


def test_retries_multiply_through_what_collapses() -> None:
    inner = SequentialNode((RetryNode(RetryNode(A, 3, 5), 1, 9),))
    assert canonical(RetryNode(inner, 4, 5)) == RetryNode(A, 12, 5)


def test_retries_with_other_delays_stay() -> None:
    nested = RetryNode(RetryNode(A, 3, None), 4, 0)
    assert canonical(nested) == nested


def test_attempts_are_capped() -> None:
    assert canonical(RetryNode(RetryNode(A, 70_000), 70_000)) == RetryNode(A, 2**32 - 1)


def test_a_let_without_bindings_flattens_into_its_parent() -> None:
    let = LetNode({}, SequentialNode((A, A)))
    assert canonical(SequentialNode((let, A))) == SequentialNode((A, A, A))


def test_a_constant_predicate_is_not_folded() -> None:
    branch = BranchNode(ConstNode(True), A, A)
    assert canonical(branch) == branch


def test_values_that_look_like_nodes_are_data() -> None:
    looks: JsonValue = {"op": "Sequential", "stages": [{"op": "Stage", "id": "x"}]}
    root = SequentialNode((ConstNode(looks), StageNode("a", config={"x": looks})))
    written = canonical_json_value(root)
    assert compact_json(looks) in compact_json(written)
