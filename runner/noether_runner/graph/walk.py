"""Walking a graph: the children of a node, their paths, and the one order of every walk.

The order is that of `graph.md` §3: `Sequential` left to right; `Parallel` and `Let` by name,
bindings before the body; `Branch` predicate, true, false; `Fanout` source, then targets; `Merge`
sources, then target. A path names a node for a person: `root.stages[1].branches.left`.
"""

import re
from collections.abc import Callable, Iterator
from typing import assert_never

from noether_contract.json_values import compact_json
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

ROOT = "root"
"""The path of a graph's root node."""

_PLAIN_NAME = re.compile(r"[\w-]+")


def named_step(member: str, name: str) -> str:
    """The step of a path into a map of named nodes: `.branches.left`, `.branches["a b"]`."""
    if _PLAIN_NAME.fullmatch(name):
        return f".{member}.{name}"
    return f".{member}[{compact_json(name).decode()}]"


def indexed_step(member: str, index: int) -> str:
    """The step of a path into a list of nodes: `.stages[2]`."""
    return f".{member}[{index}]"


def children(node: Node) -> list[tuple[str, Node]]:
    """The direct children in walk order, each with the step that leads to it."""
    match node:
        case StageNode() | RemoteStageNode() | ConstNode():
            return []
        case SequentialNode(stages):
            return _indexed("stages", stages)
        case ParallelNode(branches):
            return [(named_step("branches", name), child) for name, child in branches.items()]
        case BranchNode(predicate, if_true, if_false):
            return [(".predicate", predicate), (".if_true", if_true), (".if_false", if_false)]
        case FanoutNode(source, targets):
            return [(".source", source), *_indexed("targets", targets)]
        case MergeNode(sources, target):
            return [*_indexed("sources", sources), (".target", target)]
        case RetryNode(stage):
            return [(".stage", stage)]
        case LetNode(bindings, body):
            return [
                *((named_step("bindings", name), child) for name, child in bindings.items()),
                (".body", body),
            ]
        case _:
            assert_never(node)


def walk(root: Node) -> Iterator[tuple[str, Node]]:
    """Every node with its path, parents before children, children in walk order."""
    waiting = [(ROOT, root)]
    while waiting:
        path, node = waiting.pop()
        yield path, node
        waiting.extend((path + step, child) for step, child in reversed(children(node)))


def stage_nodes(root: Node) -> Iterator[tuple[str, StageNode]]:
    """Every `Stage` node with its path, in walk order."""
    for path, node in walk(root):
        if isinstance(node, StageNode):
            yield path, node


def replace_stages(root: Node, change: Callable[[str, StageNode], Node]) -> Node:
    """A copy of the graph in which `change(path, node)` stands for every `Stage` node.

    `change` is called in walk order; what it raises ends the walk.
    """
    return _replace(root, ROOT, change)


def _replace(node: Node, path: str, change: Callable[[str, StageNode], Node]) -> Node:
    if isinstance(node, StageNode):
        return change(path, node)
    changed = [_replace(child, path + step, change) for step, child in children(node)]
    return with_children(node, changed)


def with_children(node: Node, changed: list[Node]) -> Node:
    """A copy of `node` with other children, given in walk order."""
    match node:
        case StageNode() | RemoteStageNode() | ConstNode():
            return node
        case SequentialNode():
            return SequentialNode(tuple(changed))
        case ParallelNode(branches):
            return ParallelNode(dict(zip(branches, changed, strict=True)))
        case BranchNode():
            predicate, if_true, if_false = changed
            return BranchNode(predicate, if_true, if_false)
        case FanoutNode():
            return FanoutNode(changed[0], tuple(changed[1:]))
        case MergeNode():
            return MergeNode(tuple(changed[:-1]), changed[-1])
        case RetryNode(_, max_attempts, delay_ms):
            return RetryNode(changed[0], max_attempts, delay_ms)
        case LetNode(bindings):
            return LetNode(dict(zip(bindings, changed[:-1], strict=True)), changed[-1])
        case _:
            assert_never(node)


def _indexed(member: str, nodes: tuple[Node, ...]) -> list[tuple[str, Node]]:
    return [(indexed_step(member, index), child) for index, child in enumerate(nodes)]
