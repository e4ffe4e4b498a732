"""Laws of the operators over random graphs, and the interpreter's own promises."""

import random

from hypothesis import given
from hypothesis import strategies as st

from graph_samples import STAGES, graphs, json_values, run_graph, untimed
from noether_contract.json_values import JsonValue, compact_json
from noether_contract.outcomes import ErrorCode
from noether_runner.execution.calls import StageFacts
from noether_runner.execution.memo import Memo
from noether_runner.graph.nodes import (
    BranchNode,
    ConstNode,
    FanoutNode,
    LetNode,
    Node,
    ParallelNode,
    RetryNode,
    SequentialNode,
    StageNode,
)


def result(root: Node, argument: JsonValue, threads: int = 2) -> tuple[bytes, str | None]:
    """Output and error of a run, comparable."""
    ran = run_graph(root, argument, threads=threads)
    return compact_json(ran.output), None if ran.error is None else ran.error.message


@untimed
@given(graphs([*STAGES, "not there"]), json_values)
def test_any_graph_ends_in_an_output_or_a_named_error(root: Node, argument: JsonValue) -> None:
    ran = run_graph(root, argument)
    if ran.error is not None:
        assert ran.error.code in {ErrorCode.STAGE_FAILED, ErrorCode.STAGE_NOT_FOUND}
        assert ran.error.path is not None
    assert ran.recorder.open_stages() == ()


@untimed
@given(graphs(), json_values)
def test_threads_change_nothing(root: Node, argument: JsonValue) -> None:
    alone, together = run_graph(root, argument, threads=0), run_graph(root, argument, threads=3)
    assert compact_json(alone.output) == compact_json(together.output)
    assert alone.trace == together.trace


@untimed
@given(graphs(), json_values)
def test_memory_of_pure_stages_changes_only_the_number_of_calls(
    root: Node, argument: JsonValue
) -> None:
    facts = {stage: StageFacts(pure=True) for stage in STAGES}
    plain, memo = run_graph(root, argument), Memo()
    remembering = run_graph(root, argument, facts=facts, memo=memo)
    assert compact_json(plain.output) == compact_json(remembering.output)
    assert plain.trace == remembering.trace
    called = remembering.recorder.usage().stage_calls
    assert called + memo.hits == len(plain.trace)


@untimed
@given(graphs(), json_values)
def test_a_sequence_of_one_is_its_stage(root: Node, argument: JsonValue) -> None:
    assert result(SequentialNode((root,)), argument) == result(root, argument)


@untimed
@given(graphs(), graphs(), graphs(), json_values)
def test_sequences_associate(a: Node, b: Node, c: Node, argument: JsonValue) -> None:
    left = SequentialNode((SequentialNode((a, b)), c))
    right = SequentialNode((a, SequentialNode((b, c))))
    assert result(left, argument) == result(right, argument)


@untimed
@given(st.dictionaries(st.text(max_size=2), graphs(), max_size=4), json_values, st.randoms())
def test_the_order_of_branches_does_not_matter(
    branches: dict[str, Node], argument: JsonValue, chance: random.Random
) -> None:
    names = list(branches)
    chance.shuffle(names)
    shuffled = ParallelNode({name: branches[name] for name in names})
    assert result(ParallelNode(branches), argument) == result(shuffled, argument)


@untimed
@given(graphs(), json_values, st.integers(0, 3))
def test_trying_again_does_not_change_what_depends_on_the_input_alone(
    root: Node, argument: JsonValue, attempts: int
) -> None:
    assert result(RetryNode(root, attempts), argument) == result(root, argument)


@untimed
@given(graphs(), graphs(), json_values)
def test_a_constant_predicate_selects_an_arm(a: Node, b: Node, argument: JsonValue) -> None:
    assert result(BranchNode(ConstNode(True), a, b), argument) == result(a, argument)
    assert result(BranchNode(ConstNode("true"), a, b), argument) == result(b, argument)


@untimed
@given(json_values, json_values)
def test_fanout_of_constants_lists_them(value: JsonValue, argument: JsonValue) -> None:
    root = FanoutNode(StageNode("identity"), (ConstNode(value), StageNode("identity")))
    assert compact_json(run_graph(root, argument).output) == compact_json([value, argument])


@untimed
@given(st.dictionaries(st.text(max_size=2), json_values, max_size=3), json_values)
def test_a_let_body_sees_members_and_bindings(
    members: dict[str, JsonValue], bound: JsonValue
) -> None:
    root = LetNode({"b": ConstNode(bound)}, StageNode("identity"))
    assert compact_json(run_graph(root, members).output) == compact_json({**members, "b": bound})
