"""The optimizer of a dry run: what a graph comes down to (`graph.md` §6.5).

Two passes, round after round, until a round changes nothing: the canonical form, and branches
whose predicate is a constant. It belongs after resolution and before the plan. The graph that is
executed is the one that was authored: its paths, and its trace, are what the author knows.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from noether_contract.lean_dataclass import dataclass
from noether_runner.graph.canonical import canonical
from noether_runner.graph.nodes import BranchNode, ConstNode, Node
from noether_runner.graph.walk import children, with_children

MOST_ROUNDS: Final = 16

SWITCH: Final = "NOETHER_NO_OPTIMIZE"
"""Environment variable that turns the optimizer off with `1` or `true`, in any case."""

Pass: TypeAlias = Callable[[Node], Node]


@dataclass(frozen=True, slots=True)
class Optimized:
    """An optimized graph and how it came about.

    `iterations` counts the last round, which changed nothing, too; `hit_cap` says that there was
    no such round among the first sixteen.
    """

    root: Node
    passes_applied: tuple[str, ...] = ()
    iterations: int = 0
    hit_cap: bool = False


def optimize(root: Node) -> Optimized:
    """The graph after all rounds, with the passes that had an effect in order of the first."""
    applied: dict[str, None] = {}
    for rounds in range(1, MOST_ROUNDS + 1):
        before = root
        for name, optimization in PASSES.items():
            changed = optimization(root)
            if changed != root:
                applied[name] = None
            root = changed
        if root == before:
            return Optimized(root, tuple(applied), rounds)
    return Optimized(root, tuple(applied), MOST_ROUNDS, hit_cap=True)


def is_switched_off(environ: Mapping[str, str]) -> bool:
    """Whether an environment asks for graphs to stay as they are."""
    return environ.get(SWITCH, "").lower() in ("1", "true")


def without_dead_branches(root: Node) -> Node:
    """Each `Branch` whose predicate is a constant boolean becomes the arm that it selects.

    Other constants are left alone, though at run time they select `if_false`.
    """
    node = with_children(root, [without_dead_branches(child) for _, child in children(root)])
    match node:
        case BranchNode(ConstNode(True), if_true, _):
            return if_true
        case BranchNode(ConstNode(False), _, if_false):
            return if_false
        case _:
            return node


PASSES: Final[Mapping[str, Pass]] = {
    "canonical_structural": canonical,
    "dead_branch": without_dead_branches,
}
"""The passes of a round, in their order."""
