"""One edge of a graph: may what a node gives go into what another takes (`types.md` §7, §13.2)."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from noether_contract.lean_dataclass import dataclass
from noether_runner.graph.nodes import ConstNode
from noether_runner.types.check.findings import TypeFinding, TypesTooLarge, UnificationFailure
from noether_runner.types.check.type_warnings import (
    ConstMismatch,
    RefinementCheckedAtRuntime,
    TypeWarning,
)
from noether_runner.types.flow import Flow
from noether_runner.types.parts import TypeTooLargeError, mentions_variables
from noether_runner.types.substitution import Substitution
from noether_runner.types.subtype import (
    FieldTypeMismatch,
    Reason,
    UnionNotCovered,
    mismatch,
    with_types,
)
from noether_runner.types.terms import (
    Leaf,
    NType,
    RecordOf,
    RecordWith,
    Refined,
    UnionOf,
    Var,
    is_nullable,
)
from noether_runner.types.unify import Clash, Mismatch, OccursCheck, unify
from noether_runner.types.values import misfit


@dataclass(frozen=True, slots=True)
class Inlet:
    """What a node takes. `branches` are the inlets of a Parallel that gets the value first: it
    hands each branch the field of its name, or the whole value where there is none. `label` names
    the taker in messages."""

    node: str
    label: str
    type: NType
    branches: Mapping[str, "Inlet"] | None = None


@dataclass(frozen=True, slots=True)
class Outlet:
    """What a node gives; `constant` when it always is the same value."""

    label: str
    type: NType
    constant: ConstNode | None = None


Failure: TypeAlias = Callable[[NType, NType, Reason], TypeFinding]
"""Makes the operator's own error of the given type, the wanted type and the reason."""


class Edges:
    """The edges of one graph, and all that was found on them, in order.

    One substitution serves the whole graph: what a variable stands for is found edge by edge.
    """

    def __init__(self) -> None:
        self.substitution = Substitution()
        self.errors: list[TypeFinding] = []
        self.warnings: list[TypeWarning] = []
        self._gave_up = False

    def check(self, outlet: Outlet, inlet: Inlet, label: str, failure: Failure) -> None:
        """Checks one edge; `label` names it where the error is about variables.

        After a type that grew too large no further edge is looked at.
        """
        if self._gave_up:
            return
        try:
            self._check(outlet, inlet, label, failure)
        except TypeTooLargeError as error:
            self._gave_up = True
            self.errors.append(TypesTooLarge(inlet.node, error.message))

    def _check(self, outlet: Outlet, inlet: Inlet, label: str, failure: Failure) -> None:
        given, wanted = self.substitution.shown(outlet.type, inlet.type)
        has_variables = mentions_variables(given) or mentions_variables(wanted)
        flow = Flow(self.substitution)
        comes = self.substitution.current(outlet.type)
        reason = flow.attempt(lambda: self._accept(flow, comes, inlet))
        if reason is None:
            self.substitution.is_touched |= has_variables
            self._warn(flow, outlet, inlet)
            return
        if has_variables:
            self.errors.append(
                UnificationFailure(
                    node=inlet.node,
                    edge=label,
                    from_type=given,
                    to_type=wanted,
                    error=self._clash(outlet.type, inlet.type),
                    reason=with_types(reason, self._show),
                    giver=outlet.label,
                    taker=inlet.label,
                )
            )
        else:
            known = mismatch(given, wanted) or with_types(reason, self._show)
            self.errors.append(failure(given, wanted, known))

    def _clash(self, given: NType, wanted: NType) -> Clash:
        """Why the edge does not unify: the reference's name for what is wrong with it."""
        found = unify(self.substitution.closed(given), self.substitution.closed(wanted))
        match found:
            case OccursCheck(variable):
                return OccursCheck(self.substitution.source_of(variable))
            case Mismatch():
                return found
            case _:
                return Mismatch("shape")

    def _show(self, term: NType) -> NType:
        return self.substitution.shown(term)[0]

    def _accept(self, flow: Flow, given: NType, inlet: Inlet) -> Reason | None:
        if inlet.branches is None:
            return flow.match(given, self.substitution.current(inlet.type))
        given = self.substitution.head(given)
        match given:
            case Leaf("Any") | Var():
                return flow.match(given, inlet.type)
            case Refined(base):
                return self._accept(flow, base, inlet)
            case UnionOf(members):
                for each in members:
                    if self._accept(flow, each, inlet) is not None:
                        return UnionNotCovered(each)
                return None
            case RecordWith() if flow.attempt(lambda: flow.match(given, inlet.type)) is None:
                return None
            case _:
                pass
        for name, branch in inlet.branches.items():
            reason = self._accept_branch(flow, given, name, branch)
            if reason is not None:
                return FieldTypeMismatch(name, reason)
        return None

    def _accept_branch(self, flow: Flow, given: NType, name: str, branch: Inlet) -> Reason | None:
        match given:
            case RecordOf(fields) | RecordWith(fields):
                present = dict(fields)
                if name in present:
                    return self._accept(flow, present[name], branch)
                reason = flow.attempt(lambda: self._accept(flow, given, branch))
                is_optional = is_nullable(self.substitution.filled(branch.type))
                return None if is_optional else reason
            case _:
                return self._accept(flow, given, branch)

    def _warn(self, flow: Flow, outlet: Outlet, inlet: Inlet) -> None:
        ungained: list[NType] = []
        for wanted in flow.ungained:
            shown = self._show(wanted)
            if shown not in ungained and isinstance(shown, Refined):
                ungained.append(shown)
                self.warnings.append(RefinementCheckedAtRuntime(inlet.node, inlet.label, shown))
        if outlet.constant is not None and inlet.branches is None:
            found = misfit(outlet.constant.value, self._show(inlet.type))
            if found is not None:
                self.warnings.append(ConstMismatch(inlet.node, inlet.label, found.sentence))
