"""The warnings of the graph checker: what the reference lets pass in silence (`types.md` §12).

None of them makes a graph fail.
"""

from typing import TypeAlias

from noether_contract.lean_dataclass import dataclass
from noether_runner.types.render import render, render_refinement
from noether_runner.types.terms import NType, Refined


@dataclass(frozen=True, slots=True)
class RefinementCheckedAtRuntime:
    """What comes in does not promise a refinement of the taker; the call checks it (TQ-08)."""

    node: str
    taker: str
    wanted: Refined

    @property
    def sentence(self) -> str:
        """What to know, for people."""
        return (
            f"{self.taker} takes only {render_refinement(self.wanted.refinement)}, which what "
            "comes in does not promise; it is checked at the call"
        )


@dataclass(frozen=True, slots=True)
class BranchInputMismatch:
    """No value fits both the predicate and an arm, which get the same one (TQ-14)."""

    node: str
    taker: str
    arm_input: NType
    predicate_input: NType

    @property
    def sentence(self) -> str:
        """What to know, for people."""
        return (
            f"{self.taker} takes {render(self.arm_input)}, the predicate of its Branch "
            f"{render(self.predicate_input)}; both get the same input, and none fits both"
        )


@dataclass(frozen=True, slots=True)
class ConfigTypeMismatch:
    """`config` gives the stage what it does not take (TQ-16)."""

    node: str
    key: str
    reason: str

    @property
    def sentence(self) -> str:
        """What to know, for people."""
        return f"config `{self.key}`: {self.reason}"


@dataclass(frozen=True, slots=True)
class ConfigUnknownKey:
    """`config` has a key that is no field of the stage's input (TQ-16)."""

    node: str
    key: str

    @property
    def sentence(self) -> str:
        """What to know, for people."""
        return f"config has the key `{self.key}`, which is no field of the stage's input"


@dataclass(frozen=True, slots=True)
class ConstMismatch:
    """A Const whose value does not fit the node it feeds (TQ-18)."""

    node: str
    taker: str
    reason: str

    @property
    def sentence(self) -> str:
        """What to know, for people."""
        return f"the constant that goes into {self.taker} does not fit: {self.reason}"


@dataclass(frozen=True, slots=True)
class LetInputConflict:
    """Two bindings ask for one field of the input, and no value fits both (TQ-17)."""

    node: str
    field: str
    first: NType
    second: NType

    @property
    def sentence(self) -> str:
        """What to know, for people."""
        return (
            f"bindings of this Let take the input's field `{self.field}` as {render(self.first)} "
            f"and as {render(self.second)}; no value fits both"
        )


@dataclass(frozen=True, slots=True)
class LetBodyMismatch:
    """The body of a Let always gets a record, and takes none (TQ-17)."""

    node: str
    taker: str
    body_input: NType

    @property
    def sentence(self) -> str:
        """What to know, for people."""
        return f"the body of a Let gets a record, but {self.taker} takes {render(self.body_input)}"


TypeWarning: TypeAlias = (
    RefinementCheckedAtRuntime
    | BranchInputMismatch
    | ConfigTypeMismatch
    | ConfigUnknownKey
    | ConstMismatch
    | LetInputConflict
    | LetBodyMismatch
)
