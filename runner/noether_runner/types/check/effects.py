"""Effects and costs over a whole graph (`types.md` §8.1, §8.2).

All walks look stages up by exact id, so they belong after resolution; an id that is not there
counts as unknown.
"""

from collections.abc import Iterator
from itertools import zip_longest
from typing import Final, TypeAlias

from noether_contract.lean_dataclass import dataclass
from noether_runner.graph.nodes import (
    ConstNode,
    Node,
    RemoteStageNode,
    RetryNode,
    SequentialNode,
    StageNode,
)
from noether_runner.graph.walk import ROOT, children, stage_nodes, walk
from noether_runner.stages.effects import (
    MAX_UNSIGNED,
    PURE,
    UNKNOWN,
    Effect,
    EffectKind,
    EffectSet,
)
from noether_runner.types.check.stage_source import StageSource, stage_with_id

REMOTE: Final = EffectSet((Effect(EffectKind.FALLIBLE), Effect(EffectKind.NETWORK)))
"""What every `RemoteStage` may do."""


def infer_effects(root: Node, source: StageSource) -> EffectSet:
    """The union of what all leaves may do; Pure stays beside others."""
    found: list[Effect] = []
    for _, node in walk(root):
        found.extend(effects_of(node, source))
    return EffectSet.of(found)


def effects_of(node: Node, source: StageSource) -> EffectSet:
    """The effects of one leaf; none for an operator, whose children have them."""
    match node:
        case StageNode(stage_id):
            stage = stage_with_id(stage_id, source)
            return UNKNOWN if stage is None else stage.effects
        case RemoteStageNode():
            return REMOTE
        case ConstNode():
            return PURE
        case _:
            return EffectSet()


@dataclass(frozen=True, slots=True)
class FallibleWithoutRetry:
    """A fallible stage in a Sequential, and no Retry around it at any level (TQ-19)."""

    node: str
    stage_id: str
    label: str

    @property
    def sentence(self) -> str:
        """What to know, for people."""
        return f"{self.label} may fail and no Retry stands around it"


@dataclass(frozen=True, slots=True)
class NonDeterministicFeedingPure:
    """A Pure stage directly behind a stage whose results vary."""

    node: str
    from_id: str
    to_id: str
    from_label: str
    to_label: str

    @property
    def sentence(self) -> str:
        """What to know, for people."""
        return (
            f"{self.from_label} is not deterministic and feeds {self.to_label}, which is "
            "declared Pure"
        )


EffectWarning: TypeAlias = FallibleWithoutRetry | NonDeterministicFeedingPure


def effect_warnings(root: Node, source: StageSource) -> Iterator[EffectWarning]:
    """Warnings about stages that stand directly in a Sequential, in walk order."""
    return _warnings(root, ROOT, source, is_retried=False)


def _warnings(
    node: Node, path: str, source: StageSource, *, is_retried: bool
) -> Iterator[EffectWarning]:
    is_retried = is_retried or isinstance(node, RetryNode)
    steps = children(node)
    for (step, child), following in zip_longest(steps, steps[1:]):
        yield from _warnings(child, path + step, source, is_retried=is_retried)
        if isinstance(node, SequentialNode) and isinstance(child, StageNode):
            after = following[1] if following else None
            yield from _stage_warnings(child, after, path + step, source, is_retried=is_retried)


def _stage_warnings(
    node: StageNode, after: Node | None, path: str, source: StageSource, *, is_retried: bool
) -> Iterator[EffectWarning]:
    stage = stage_with_id(node.id, source)
    if stage is None:
        return
    if EffectKind.FALLIBLE in stage.effects and not is_retried:
        yield FallibleWithoutRetry(path, node.id, stage.label)
    if isinstance(after, StageNode) and EffectKind.NON_DETERMINISTIC in stage.effects:
        taker = stage_with_id(after.id, source)
        if taker is not None and taker.effects.is_pure:
            yield NonDeterministicFeedingPure(path, node.id, after.id, stage.label, taker.label)


def total_cents(root: Node, source: StageSource) -> int:
    """What all stage occurrences are declared to cost together; a Retry does not multiply."""
    total = 0
    for _, node in stage_nodes(root):
        stage = stage_with_id(node.id, source)
        total += stage.effects.cost_cents if stage else 0
    return min(total, MAX_UNSIGNED)


def cost_map(root: Node, source: StageSource) -> dict[str, int]:
    """Declared cents of each distinct stage that costs anything, by stage id."""
    costs: dict[str, int] = {}
    for _, node in stage_nodes(root):
        stage = stage_with_id(node.id, source)
        if stage is not None and stage.effects.cost_cents:
            costs[node.id] = min(stage.effects.cost_cents, MAX_UNSIGNED)
    return costs
