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
from noether_runner.graph.walk import replace_stages, stage_nodes, walk


def stage(name: str) -> StageNode:
    return StageNode(name)


EVERYTHING = SequentialNode(
    (
        ParallelNode({"q": stage("2"), "p": stage("1")}),
        BranchNode(stage("3"), stage("4"), stage("5")),
        FanoutNode(stage("6"), (stage("7"), ConstNode(None), stage("8"))),
        MergeNode((stage("9"), stage("10")), stage("11")),
        RetryNode(stage("12"), 2),
        LetNode({"z z": stage("14"), "A": stage("13")}, stage("15")),
    )
)

PATHS = [
    "root.stages[0].branches.p",
    "root.stages[0].branches.q",
    "root.stages[1].predicate",
    "root.stages[1].if_true",
    "root.stages[1].if_false",
    "root.stages[2].source",
    "root.stages[2].targets[0]",
    "root.stages[2].targets[2]",
    "root.stages[3].sources[0]",
    "root.stages[3].sources[1]",
    "root.stages[3].target",
    "root.stages[4].stage",
    "root.stages[5].bindings.A",
    'root.stages[5].bindings["z z"]',
    "root.stages[5].body",
]


def test_walk_order_and_paths() -> None:
    found = list(stage_nodes(EVERYTHING))
    assert [node.id for _, node in found] == [str(number) for number in range(1, 16)]
    assert [path for path, _ in found] == PATHS


def test_parents_come_before_children() -> None:
    paths = [path for path, _ in walk(EVERYTHING)]
    assert paths[0] == "root"
    parents = [".".join(path.split(".")[:2]) for path in PATHS]
    assert all(
        paths.index(parent) < paths.index(path) for parent, path in zip(parents, PATHS, strict=True)
    )


def test_replacing_stages_keeps_everything_else() -> None:
    seen: list[str] = []

    def change(path: str, node: StageNode) -> Node:
        seen.append(path)
        return StageNode(node.id + "!", node.pinning, node.config)

    changed = replace_stages(EVERYTHING, change)
    assert seen == PATHS
    assert [node.id for _, node in stage_nodes(changed)] == [f"{n}!" for n in range(1, 16)]
    assert replace_stages(changed, lambda _, node: StageNode(node.id[:-1])) == EVERYTHING
