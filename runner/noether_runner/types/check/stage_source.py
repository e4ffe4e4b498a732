"""Where the checker gets stages from, and which one a node means (`types.md` §7)."""

from collections.abc import Sequence
from typing import Protocol

from noether_runner.graph.catalogue import Entry
from noether_runner.graph.nodes import StageNode
from noether_runner.stages.lifecycle import Active
from noether_runner.stages.stage import Stage


class StageSource(Protocol):
    """What the checks ask of a store; every `StageStore` answers it."""

    def active_with_signature(self, reference: str) -> Sequence[Entry]:
        """Active stages whose signature id equals the reference."""
        ...

    def with_id(self, reference: str) -> Entry | None:
        """The stage of exactly this id."""
        ...

    def stage(self, stage_id: str) -> Stage:
        """The record of exactly this id; raises a `RunnerError` when it cannot be given."""
        ...


def stage_for(node: StageNode, source: StageSource) -> Stage | None:
    """The stage a node stands for by its pinning, None when there is none.

    `both`: exactly this id, in any lifecycle. `signature`: the Active stage of the signature
    (of several the smallest id), else the stage of exactly this id if it is Active.
    """
    if node.pinning == "both":
        return stage_with_id(node.id, source)
    active = source.active_with_signature(node.id)
    if active:
        return source.stage(min(entry.id for entry in active))
    entry = source.with_id(node.id)
    if entry is None or not isinstance(entry.lifecycle, Active):
        return None
    return source.stage(entry.id)


def stage_with_id(stage_id: str, source: StageSource) -> Stage | None:
    """The stage of exactly this id, in any lifecycle; None when there is none."""
    entry = source.with_id(stage_id)
    return None if entry is None else source.stage(entry.id)
