"""The optimizer of a dry run beyond the vectors (`graph.md` §6.5)."""

import pytest
from hypothesis import given

from graph_samples import graphs, json_values, run_graph, untimed
from noether_contract.json_values import JsonValue, compact_json
from noether_runner.graph.canonical import canonical
from noether_runner.graph.nodes import (
    BranchNode,
    ConstNode,
    FanoutNode,
    LetNode,
    MergeNode,
    Node,
    ParallelNode,
    RetryNode,
    SequentialNode,
    StageNode,
)
from noether_runner.graph.optimize import (
    MOST_ROUNDS,
    Optimized,
    is_switched_off,
    optimize,
    without_dead_branches,
)

A, B = StageNode("a"), StageNode("b")


def chosen(value: JsonValue, predicate: Node | None = None) -> BranchNode:
    """A branch between a and b, decided by a constant."""
    return BranchNode(predicate or ConstNode(value), A, B)


def rounds_deep(levels: int) -> Node:
    """A branch whose predicate takes one more round to become a constant with each level."""
    predicate: Node = ConstNode(value=True)
    for _ in range(levels):
        nothing = BranchNode(predicate, SequentialNode(()), A)
        predicate = SequentialNode((nothing, ConstNode(value=True)))
    return BranchNode(predicate, A, B)


def test_an_untouched_graph_takes_one_round() -> None:
    assert optimize(A) == Optimized(A, (), 1)


@pytest.mark.parametrize(("value", "arm"), [(True, A), (False, B)])
def test_a_constant_boolean_decides_a_branch(value: bool, arm: Node) -> None:
    assert optimize(chosen(value)) == Optimized(arm, ("dead_branch",), 2)


@pytest.mark.parametrize("value", [1, 0, 1.0, None, "true", [], {}])
def test_other_constants_decide_nothing(value: JsonValue) -> None:
    assert optimize(chosen(value)) == Optimized(chosen(value), (), 1)


def test_branches_are_decided_everywhere() -> None:
    dead = chosen(value=True)
    cases: list[tuple[Node, Node]] = [
        (SequentialNode((dead, B)), SequentialNode((A, B))),
        (ParallelNode({"x": dead}), ParallelNode({"x": A})),
        (BranchNode(dead, dead, dead), BranchNode(A, A, A)),
        (FanoutNode(dead, (dead,)), FanoutNode(A, (A,))),
        (MergeNode((dead,), dead), MergeNode((A,), A)),
        (RetryNode(dead, 2), RetryNode(A, 2)),
        (LetNode({"x": dead}, dead), LetNode({"x": A}, A)),
        (chosen(None, chosen(value=True)), BranchNode(A, A, B)),
        (BranchNode(BranchNode(*[ConstNode(value=True)] * 3), A, B), A),
    ]
    for before, after in cases:
        assert without_dead_branches(before) == after


def test_a_selected_sequence_is_spliced_in_the_next_round() -> None:
    inner = BranchNode(ConstNode(value=True), SequentialNode((A, B)), A)
    found = optimize(SequentialNode((inner, A)))
    assert found == Optimized(SequentialNode((A, B, A)), ("dead_branch", "canonical_structural"), 3)


def test_a_retry_of_no_attempts_is_its_stage() -> None:
    assert optimize(RetryNode(A, 0)) == Optimized(A, ("canonical_structural",), 2)


def test_sixteen_rounds_are_the_most() -> None:
    just = optimize(rounds_deep(MOST_ROUNDS - 2))
    assert (just.root, just.iterations, just.hit_cap) == (A, MOST_ROUNDS, False)
    beyond = optimize(rounds_deep(MOST_ROUNDS + 4))
    assert (beyond.iterations, beyond.hit_cap) == (MOST_ROUNDS, True)
    assert beyond.root != A


@untimed
@given(graphs())
def test_the_result_is_canonical_and_stays_as_it_is(root: Node) -> None:
    found = optimize(root)
    assert not found.hit_cap
    assert canonical(found.root) == found.root
    assert without_dead_branches(found.root) == found.root
    assert optimize(found.root) == Optimized(found.root, (), 1)
    assert bool(found.passes_applied) == (found.root != root)


@untimed
@given(graphs(least=1), json_values)
def test_the_result_means_the_same(root: Node, argument: JsonValue) -> None:
    """Of graphs that may run: a `Let` without bindings, which may not, makes a record of null."""
    plain, optimized = run_graph(root, argument), run_graph(optimize(root).root, argument)
    assert compact_json(plain.output) == compact_json(optimized.output)
    assert (plain.error is None) == (optimized.error is None)


@pytest.mark.parametrize(
    ("environment", "is_off"),
    [
        ({}, False),
        ({"NOETHER_NO_OPTIMIZE": ""}, False),
        ({"NOETHER_NO_OPTIMIZE": "0"}, False),
        ({"NOETHER_NO_OPTIMIZE": "yes"}, False),
        ({"NOETHER_NO_OPTIMIZE": "1"}, True),
        ({"NOETHER_NO_OPTIMIZE": "true"}, True),
        ({"NOETHER_NO_OPTIMIZE": "True"}, True),
    ],
)
def test_the_environment_switches_it_off(environment: dict[str, str], is_off: bool) -> None:
    assert is_switched_off(environment) is is_off
