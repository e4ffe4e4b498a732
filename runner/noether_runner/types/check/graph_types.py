"""The types of a graph's nodes, and whether they fit together (`types.md` §7).

All errors are collected; a node whose types cannot be told drops out of its edges. Errors come in
visiting order: the children of a node in walk order, then its edges.
"""

from itertools import pairwise
from typing import assert_never

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
from noether_runner.graph.walk import ROOT, indexed_step, named_step
from noether_runner.types.check.config import config_warnings, reduced_input
from noether_runner.types.check.edges import Edges, Failure, Inlet, Outlet
from noether_runner.types.check.findings import (
    BranchPredicateNotBool,
    EmptyNode,
    FanoutInputMismatch,
    MergeOutputMismatch,
    SequentialTypeMismatch,
    StageNotFound,
    TypeFinding,
    TypesTooLarge,
)
from noether_runner.types.check.let import check_let
from noether_runner.types.check.stage_source import StageSource, stage_for
from noether_runner.types.check.type_warnings import BranchInputMismatch, TypeWarning
from noether_runner.types.overlap import may_share_a_value
from noether_runner.types.parts import TypeTooLargeError
from noether_runner.types.subtype import Reason
from noether_runner.types.terms import ANY, BOOL, ListOf, NType, record, union


@dataclass(frozen=True, slots=True)
class Checked:
    """What the check found. `input` and `output` are the graph's types, None if there are errors.

    Warnings never make a graph fail.
    """

    input: NType | None
    output: NType | None
    errors: tuple[TypeFinding, ...]
    warnings: tuple[TypeWarning, ...]

    @property
    def ok(self) -> bool:
        """Whether the graph fits together."""
        return not self.errors


@dataclass(frozen=True, slots=True)
class NodeTypes:
    """What one node takes and gives."""

    inlet: Inlet
    outlet: Outlet


def check_graph(root: Node, source: StageSource) -> Checked:
    """Whether the parts of a graph fit together, and the types of the whole.

    Meant for a resolved graph; references that do not resolve are errors. What the source raises
    for an unreadable stage goes through.
    """
    checker = _GraphChecker(source)
    try:
        types = checker.types(root, ROOT)
        if types is None or checker.edges.errors:
            return checker.failed()
        pair = (types.inlet.type, types.outlet.type)
        taken, given = checker.edges.substitution.shown(*pair, numbered=True)
    except TypeTooLargeError as error:
        checker.edges.errors.append(TypesTooLarge(ROOT, error.message))
        return checker.failed()
    except RecursionError:
        reason = "graph and types together are nested too deeply to be checked"
        checker.edges.errors.append(TypesTooLarge(ROOT, reason))
        return checker.failed()
    return Checked(taken, given, (), tuple(checker.edges.warnings))


class _GraphChecker:
    def __init__(self, source: StageSource) -> None:
        self.edges = Edges()
        self._source = source

    def failed(self) -> Checked:
        return Checked(None, None, tuple(self.edges.errors), tuple(self.edges.warnings))

    def types(self, node: Node, path: str) -> NodeTypes | None:
        """The types of a node, None when they cannot be told and an error says so."""
        match node:
            case StageNode():
                return self._stage(node, path)
            case RemoteStageNode():
                taken, given = self.edges.substitution.instantiate(node.input, node.output)
                label = f"the remote stage {node.url}"
                return NodeTypes(Inlet(path, label, taken), Outlet(label, given))
            case ConstNode():
                label = "the constant"
                return NodeTypes(Inlet(path, label, ANY), Outlet(label, ANY, node))
            case RetryNode(stage):
                return self.types(stage, f"{path}.stage")
            case SequentialNode():
                return self._sequential(node, path)
            case ParallelNode():
                return self._parallel(node, path)
            case BranchNode():
                return self._branch(node, path)
            case FanoutNode():
                return self._fanout(node, path)
            case MergeNode():
                return self._merge(node, path)
            case LetNode():
                return self._let(node, path)
            case _:
                assert_never(node)

    def _stage(self, node: StageNode, path: str) -> NodeTypes | None:
        stage = stage_for(node, self._source)
        if stage is None:
            self.edges.errors.append(StageNotFound(path, node.id))
            return None
        self.edges.warnings.extend(config_warnings(node, stage.input, path))
        taken, given = self.edges.substitution.instantiate(
            reduced_input(node, stage.input), stage.output
        )
        label = f"stage {stage.label}"
        return NodeTypes(Inlet(path, label, taken), Outlet(label, given))

    def _sequential(self, node: SequentialNode, path: str) -> NodeTypes | None:
        if not node.stages:
            self.edges.errors.append(EmptyNode(path, "Sequential"))
            return None
        children = self._all(node.stages, path, "stages")
        for position, (before, after) in enumerate(pairwise(children)):
            if before is not None and after is not None:
                label = f"sequential position {position}"
                failure = _sequential_failure(before.outlet, after.inlet, position)
                self.edges.check(before.outlet, after.inlet, label, failure)
        first, last = children[0], children[-1]
        if first is None or last is None:
            return None
        return NodeTypes(first.inlet, last.outlet)

    def _parallel(self, node: ParallelNode, path: str) -> NodeTypes | None:
        if not node.branches:
            self.edges.errors.append(EmptyNode(path, "Parallel"))
            return None
        branches: dict[str, NodeTypes] = {}
        for name, child in node.branches.items():
            types = self.types(child, path + named_step("branches", name))
            if types is not None:
                branches[name] = types
        if len(branches) < len(node.branches):
            return None
        inlets = {name: types.inlet for name, types in branches.items()}
        taken = record({name: inlet.type for name, inlet in inlets.items()})
        given = record({name: types.outlet.type for name, types in branches.items()})
        label = "the Parallel"
        return NodeTypes(Inlet(path, label, taken, inlets), Outlet(label, given))

    def _branch(self, node: BranchNode, path: str) -> NodeTypes | None:
        predicate = self.types(node.predicate, f"{path}.predicate")
        arms = (
            self.types(node.if_true, f"{path}.if_true"),
            self.types(node.if_false, f"{path}.if_false"),
        )
        if predicate is None:
            return None

        def failure(given: NType, _wanted: NType, _reason: Reason) -> TypeFinding:
            return BranchPredicateNotBool(f"{path}.predicate", given, predicate.outlet.label)

        wanted = Inlet(f"{path}.predicate", "the Branch", BOOL)
        self.edges.check(predicate.outlet, wanted, "branch predicate", failure)
        for arm in arms:
            if arm is not None:
                self._compare_inputs(predicate.inlet, arm.inlet)
        if arms[0] is None or arms[1] is None:
            return None
        given = union([arms[0].outlet.type, arms[1].outlet.type])
        return NodeTypes(predicate.inlet, Outlet("the Branch", given))

    def _compare_inputs(self, predicate: Inlet, arm: Inlet) -> None:
        if arm.branches is not None or predicate.branches is not None:
            return  # a Parallel takes whatever its branches take
        taken, wanted = self.edges.substitution.shown(predicate.type, arm.type)
        if not may_share_a_value(taken, wanted):
            self.edges.warnings.append(BranchInputMismatch(arm.node, arm.label, wanted, taken))

    def _fanout(self, node: FanoutNode, path: str) -> NodeTypes | None:
        if not node.targets:
            self.edges.errors.append(EmptyNode(path, "Fanout"))
            return None
        source = self.types(node.source, f"{path}.source")
        targets = self._all(node.targets, path, "targets")
        for index, target in enumerate(targets):
            if source is not None and target is not None:
                failure = _fanout_failure(source.outlet, target.inlet, index)
                self.edges.check(source.outlet, target.inlet, f"fanout target {index}", failure)
        known = [target.outlet.type for target in targets if target is not None]
        if source is None or len(known) < len(targets):
            return None
        given = known[0] if len(known) == 1 else union(known)
        return NodeTypes(source.inlet, Outlet("the Fanout", ListOf(given)))

    def _merge(self, node: MergeNode, path: str) -> NodeTypes | None:
        if not node.sources:
            self.edges.errors.append(EmptyNode(path, "Merge"))
            return None
        sources = {
            f"source_{index}": types
            for index, types in enumerate(self._all(node.sources, path, "sources"))
            if types is not None
        }
        target = self.types(node.target, f"{path}.target")
        if target is None:
            return None
        merged = record({name: types.outlet.type for name, types in sources.items()})

        def failure(given: NType, wanted: NType, reason: Reason) -> TypeFinding:
            taker = target.inlet.label
            return MergeOutputMismatch(f"{path}.target", given, wanted, reason, taker)

        self.edges.check(Outlet("the Merge", merged), target.inlet, "merge target", failure)
        taken = record({name: types.inlet.type for name, types in sources.items()})
        return NodeTypes(Inlet(path, "the Merge", taken), target.outlet)

    def _let(self, node: LetNode, path: str) -> NodeTypes | None:
        if not node.bindings:
            self.edges.errors.append(EmptyNode(path, "Let"))
            return None
        bindings: dict[str, tuple[Inlet, Outlet]] = {}
        for name, child in node.bindings.items():
            types = self.types(child, path + named_step("bindings", name))
            if types is None:
                return None  # as the reference: nothing further of this Let is looked at
            bindings[name] = (types.inlet, types.outlet)
        body = self.types(node.body, f"{path}.body")
        if body is None:
            return None

        def failure_for(outlet: Outlet, inlet: Inlet) -> Failure:
            return _sequential_failure(outlet, inlet, 0)

        taken = check_let(self.edges, bindings, body.inlet, path, failure_for)
        return NodeTypes(Inlet(path, "the Let", taken), body.outlet)

    def _all(self, nodes: tuple[Node, ...], path: str, member: str) -> list[NodeTypes | None]:
        return [
            self.types(child, path + indexed_step(member, index))
            for index, child in enumerate(nodes)
        ]


def _sequential_failure(outlet: Outlet, inlet: Inlet, position: int) -> Failure:
    def failure(given: NType, wanted: NType, reason: Reason) -> TypeFinding:
        return SequentialTypeMismatch(
            inlet.node, position, given, wanted, reason, outlet.label, inlet.label
        )

    return failure


def _fanout_failure(outlet: Outlet, inlet: Inlet, index: int) -> Failure:
    def failure(given: NType, wanted: NType, reason: Reason) -> TypeFinding:
        return FanoutInputMismatch(
            inlet.node, index, given, wanted, reason, outlet.label, inlet.label
        )

    return failure
