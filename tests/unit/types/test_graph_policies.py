"""Effects, policies, cost and plan of a graph beyond the vectors (`types.md` §8)."""

from typing import Any

import pytest

from noether_contract.outcomes import ErrorCode
from noether_runner.graph.nodes import (
    BranchNode,
    ConstNode,
    FanoutNode,
    LetNode,
    MergeNode,
    Node,
    ParallelNode,
    RemoteStageNode,
    RetryNode,
    SequentialNode,
    StageNode,
)
from noether_runner.stages.effects import MAX_UNSIGNED, Capability, EffectKind
from noether_runner.types.check.effects import cost_map, effect_warnings, total_cents
from noether_runner.types.check.plan import PlanCost, plan
from noether_runner.types.check.policies import (
    PolicyError,
    check_budget,
    check_capabilities,
    check_effects,
    read_capability_policy,
    read_effect_policy,
    split_names,
)
from noether_runner.types.terms import ANY
from type_samples import StageTable


def with_effects(*effects: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"input": "Any", "output": "Any", "effects": list(effects), **more}


TABLE = StageTable(
    {
        "f": with_effects({"effect": "Fallible"}, name="fetch", capabilities=["Network"]),
        "n": with_effects({"effect": "NonDeterministic"}),
        "p": with_effects({"effect": "Pure"}),
        "c": with_effects({"effect": "Cost", "cents": 5}, {"effect": "Cost", "cents": 2}),
        "dear": with_effects({"effect": "Cost", "cents": MAX_UNSIGNED}),
        "proc": with_effects({"effect": "Process"}, capabilities=["Process", "Gpu"]),
    }
)


def sequence(*ids: str) -> SequentialNode:
    return SequentialNode(tuple([StageNode(each) for each in ids]))


def test_a_fallible_stage_is_silenced_by_a_retry_at_any_level_and_by_no_other() -> None:
    inner = sequence("f", "p")
    retried = RetryNode(inner, 3)
    root = SequentialNode((StageNode("f"), retried, RetryNode(StageNode("f"), 2)))
    found = list(effect_warnings(root, TABLE))
    assert [each.node for each in found] == ["root.stages[0]"]
    assert found[0].sentence == "fetch may fail and no Retry stands around it"


def test_warnings_look_at_direct_stages_of_a_sequential_only() -> None:
    assert list(effect_warnings(StageNode("f"), TABLE)) == []
    nested = SequentialNode((ParallelNode({"a": StageNode("n")}), StageNode("p")))
    assert list(effect_warnings(nested, TABLE)) == []
    found = list(effect_warnings(sequence("n", "p", "gone"), TABLE))
    assert [type(each).__name__ for each in found] == ["NonDeterministicFeedingPure"]


def test_pure_is_always_allowed_and_an_empty_policy_allows_nothing_else() -> None:
    allowed = read_effect_policy([])
    found = check_effects(sequence("p", "f", "gone"), TABLE, allowed)
    assert [each.stage_id for each in found] == ["f", "gone"]
    assert found[0].message == (
        "stage fetch has the effect `fallible`, which allow_effects does not name; "
        "add `fallible` if it may (at root.stages[1])"
    )
    assert check_effects(sequence("f"), TABLE, None) == ()


def test_a_remote_stage_needs_network_and_fallible() -> None:
    root = RemoteStageNode("http://example.test/x", ANY, ANY)
    found = check_effects(root, TABLE, frozenset())
    assert [(each.stage_id, each.effect.kind) for each in found] == [
        ("remote", EffectKind.NETWORK),
        ("remote", EffectKind.FALLIBLE),
    ]
    assert "http://example.test/x" in found[0].message


def test_process_can_be_granted_as_a_capability() -> None:
    allowed = read_capability_policy(["process"])
    found = check_capabilities(sequence("f", "proc", "gone"), TABLE, allowed)
    assert [(each.stage_id, each.required) for each in found] == [
        ("f", Capability.NETWORK),
        ("proc", Capability.GPU),
    ]
    assert read_capability_policy(None) is None


@pytest.mark.parametrize("name", ["Network", "fs_read", "all", "gpu"])
def test_an_unknown_effect_name_is_an_error_of_the_request(name: str) -> None:
    with pytest.raises(PolicyError, match=f"allow_effects: `{name}` is not known") as caught:
        read_effect_policy(["pure", name])
    assert caught.value.code is ErrorCode.BAD_REQUEST


def test_an_unknown_capability_name_is_an_error_of_the_request() -> None:
    with pytest.raises(PolicyError, match="allow_capabilities: `pure`"):
        read_capability_policy(["pure"])


def test_names_are_split_at_commas_and_blanks_do_not_count() -> None:
    assert split_names(" pure ,, fs-read,") == ("pure", "fs-read")
    assert split_names("") == ()


def test_cost_counts_occurrences_in_total_and_stages_in_the_map() -> None:
    root = SequentialNode((StageNode("c"), RetryNode(StageNode("c"), 5), StageNode("gone")))
    assert total_cents(root, TABLE) == 14
    assert cost_map(root, TABLE) == {"c": 7}
    assert total_cents(sequence("dear", "dear"), TABLE) == MAX_UNSIGNED


def test_exactly_the_budget_is_allowed() -> None:
    root = sequence("c", "c")
    assert check_budget(root, TABLE, 14) is None
    assert check_budget(root, TABLE, None) is None
    exceeded = check_budget(root, TABLE, 13)
    assert exceeded is not None
    assert "14 cents together, the budget is 13 cents" in exceeded.sentence


def test_the_plan_follows_the_data() -> None:
    root: Node = SequentialNode(
        (
            StageNode("a"),
            ParallelNode({"x": StageNode("b"), "y": sequence("p", "p")}),
            BranchNode(ConstNode(value=True), StageNode("e"), StageNode("g")),
        )
    )
    found = plan(root, TABLE)
    assert [step.depends_on for step in found.steps] == [(), (0,), (0,), (2,), (1, 3), (1, 3)]
    assert found.parallel_groups == ((2, 3), (1, 3))
    assert found.cost == PlanCost(None, None, None)


def test_the_plan_of_let_merge_and_fanout() -> None:
    fanout = FanoutNode(StageNode("c"), (StageNode("d"), StageNode("e")))
    merge = MergeNode((RetryNode(StageNode("b"), 2), fanout), StageNode("t"))
    found = plan(LetNode({"k": StageNode("a"), "l": ConstNode(1)}, merge), TABLE)
    assert [step.stage_id for step in found.steps] == ["a", "b", "c", "d", "e", "t"]
    assert [step.depends_on for step in found.steps] == [(), (0,), (0,), (2,), (2,), (1, 3, 4)]
    assert found.parallel_groups == ((3, 4), (1, 3))
