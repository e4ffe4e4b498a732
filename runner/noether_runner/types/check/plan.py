"""The plan of a dry run: which stage calls wait for which (`types.md` §8.7, `graph.md` §6.6).

Information only; the interpreter does not follow it. It belongs after resolution and the
optimizer.
"""

from collections.abc import Iterable
from typing import TypeAlias, assert_never

from noether_contract.lean_dataclass import dataclass
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
from noether_runner.types.check.stage_source import StageSource, stage_with_id

Steps: TypeAlias = tuple[int, ...]
"""Indices of plan steps."""


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One stage call and the steps whose results it needs."""

    step_index: int
    stage_id: str
    depends_on: Steps


@dataclass(frozen=True, slots=True)
class PlanCost:
    """Estimates of the stages: time and tokens summed, memory the largest; None when unknown."""

    total_time_ms_p50: int | None
    total_tokens_est: int | None
    total_memory_mb_peak: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps in walk order, and groups of steps that may run at the same time."""

    steps: tuple[PlanStep, ...]
    parallel_groups: tuple[Steps, ...]
    cost: PlanCost


def plan(root: Node, source: StageSource) -> Plan:
    """The plan of a resolved graph; stages that are not there have no estimates."""
    planner = _Planner(source)
    planner.add(root, ())
    return Plan(tuple(planner.steps), tuple(planner.groups), planner.cost())


class _Planner:
    def __init__(self, source: StageSource) -> None:
        self.steps: list[PlanStep] = []
        self.groups: list[Steps] = []
        self._source = source

    def add(self, node: Node, after: Steps) -> Steps:
        """Adds the steps of a node that starts after some steps; gives those it ends with."""
        match node:
            case StageNode(stage_id):
                step = PlanStep(len(self.steps), stage_id, after)
                self.steps.append(step)
                return (step.step_index,)
            case ConstNode() | RemoteStageNode():
                return after
            case RetryNode(stage):
                return self.add(stage, after)
            case SequentialNode(stages):
                return self._add_sequence(stages, after)
            case ParallelNode(branches):
                return self._add_side_by_side(branches.values(), after)
            case BranchNode(predicate, if_true, if_false):
                decided = self.add(predicate, after)
                return (*self.add(if_true, decided), *self.add(if_false, decided))
            case FanoutNode(first, targets):
                return self._add_side_by_side(targets, self.add(first, after))
            case MergeNode(sources, target):
                return self.add(target, self._add_side_by_side(sources, after))
            case LetNode(bindings, body):
                bound = self._add_side_by_side(bindings.values(), after)
                return self.add(body, (*after, *bound))
            case _:
                assert_never(node)

    def _add_sequence(self, stages: tuple[Node, ...], after: Steps) -> Steps:
        first = len(self.steps)
        for child in stages:
            after = self.add(child, after)
        # graph.md §6.6 counts Pure neighbours as a group, though they wait for one another.
        if len(stages) > 1 and all(self._is_pure_stage(child) for child in stages):
            self.groups.append(tuple(range(first, len(self.steps))))
        return after

    def _is_pure_stage(self, node: Node) -> bool:
        if not isinstance(node, StageNode):
            return False
        stage = stage_with_id(node.id, self._source)
        return stage is not None and stage.effects.is_pure

    def _add_side_by_side(self, nodes: Iterable[Node], after: Steps) -> Steps:
        ends = [self.add(child, after) for child in nodes]
        group = tuple(end[0] for end in ends if end)
        if len(group) > 1:
            self.groups.append(group)
        return tuple(step for end in ends for step in end)

    def cost(self) -> PlanCost:
        """The estimates of all steps together."""
        found = [stage_with_id(step.stage_id, self._source) for step in self.steps]
        costs = [stage.cost for stage in found if stage is not None]
        return PlanCost(
            sum(cost.time_ms_p50 or 0 for cost in costs) or None,
            sum(cost.tokens_est or 0 for cost in costs) or None,
            max((cost.memory_mb or 0 for cost in costs), default=0) or None,
        )
