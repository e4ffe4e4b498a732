"""The errors of the graph checker, each with its place (`types.md` §7.3).

An error's code is the name of its class, its data members are those of the specification, and its
`sentence` is for people. `giver` and `taker` name the two ends of an edge (`stage parse`).
"""

from typing import Literal, TypeAlias

from noether_contract.json_values import compact_json
from noether_contract.lean_dataclass import dataclass
from noether_runner.types.render import render
from noether_runner.types.subtype import Reason, reason_text
from noether_runner.types.terms import NType
from noether_runner.types.unify import Clash

Operator: TypeAlias = Literal["Sequential", "Parallel", "Fanout", "Merge", "Let"]


@dataclass(frozen=True, slots=True)
class StageNotFound:
    """No Active stage answers to a reference. `node` is the path of the node, here and below."""

    node: str
    id: str

    @property
    def sentence(self) -> str:
        """What is wrong, for people."""
        return (
            f"no active stage has the id or signature id {self.id}; register or activate it, "
            "or correct the reference"
        )


@dataclass(frozen=True, slots=True)
class SequentialTypeMismatch:
    """What one node gives is not what the next one takes; for a field of a Let, `position` is 0."""

    node: str
    position: int
    from_output: NType
    to_input: NType
    reason: Reason
    giver: str
    taker: str

    @property
    def sentence(self) -> str:
        """What is wrong, for people."""
        return _misfit_text(self.giver, self.from_output, self.taker, self.to_input, self.reason)


@dataclass(frozen=True, slots=True)
class BranchPredicateNotBool:
    """A predicate that gives something other than Bool."""

    node: str
    actual: NType
    giver: str

    @property
    def sentence(self) -> str:
        """What is wrong, for people."""
        return f"the predicate of a Branch must give Bool, {self.giver} gives {render(self.actual)}"


@dataclass(frozen=True, slots=True)
class FanoutInputMismatch:
    """A target of a Fanout does not take what the source gives."""

    node: str
    target_index: int
    source_output: NType
    target_input: NType
    reason: Reason
    giver: str
    taker: str

    @property
    def sentence(self) -> str:
        """What is wrong, for people."""
        given, wanted = self.source_output, self.target_input
        return _misfit_text(self.giver, given, self.taker, wanted, self.reason)


@dataclass(frozen=True, slots=True)
class MergeOutputMismatch:
    """The target of a Merge does not take the record of the sources' results."""

    node: str
    merged_type: NType
    target_input: NType
    reason: Reason
    taker: str

    @property
    def sentence(self) -> str:
        """What is wrong, for people."""
        given, wanted = self.merged_type, self.target_input
        return _misfit_text("the Merge", given, self.taker, wanted, self.reason)


@dataclass(frozen=True, slots=True)
class EmptyNode:
    """An operator without anything in it."""

    node: str
    operator: Operator

    @property
    def sentence(self) -> str:
        """What is wrong, for people."""
        return f"the {self.operator} is empty; put something into it or remove it"


@dataclass(frozen=True, slots=True)
class UnificationFailure:
    """Nothing that the variables could stand for makes an edge fit.

    `edge` names it (`sequential position 0`); `reason` is where the types part.
    """

    node: str
    edge: str
    from_type: NType
    to_type: NType
    error: Clash
    reason: Reason
    giver: str
    taker: str

    @property
    def sentence(self) -> str:
        """What is wrong, for people."""
        wanted = f"{self.taker} takes {render(self.to_type)}"
        given = f"{self.giver} gives {render(self.from_type)}"
        return f"{wanted}, but {given}; no choice of the variables fits: {reason_text(self.reason)}"


@dataclass(frozen=True, slots=True)
class TypesTooLarge:
    """Types grew beyond all bounds while variables were filled in; no later edge is checked."""

    node: str
    sentence: str


TypeFinding: TypeAlias = (
    StageNotFound
    | SequentialTypeMismatch
    | BranchPredicateNotBool
    | FanoutInputMismatch
    | MergeOutputMismatch
    | EmptyNode
    | UnificationFailure
    | TypesTooLarge
)


def _misfit_text(giver: str, given: NType, taker: str, wanted: NType, reason: Reason) -> str:
    return (
        f"{taker} takes {render(wanted)}, but {giver} gives {render(given)}: {reason_text(reason)}"
    )


def binding_label(name: str) -> str:
    """What an edge into a field of a Let's body is called."""
    return f"let binding {compact_json(name).decode()}"
