"""The nodes of a composition graph: frozen, tagged, complete (`graph.md` §1.3).

Ten operators and nothing else. Whoever looks into a graph does so with one `match` over `Node`.
Maps of named nodes are kept in the order of their names (code points), which is the order of
every walk, of traces and of error precedence.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Literal, TypeAlias

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass
from noether_runner.types.terms import NType

Pinning: TypeAlias = Literal["signature", "both"]
"""`signature`: the reference means any implementation of it; `both`: this implementation only."""


@dataclass(frozen=True, slots=True)
class StageNode:
    """One stage call. `id` is a reference: a stage or signature id, a prefix of one, or a name."""

    id: str
    pinning: Pinning = "signature"
    config: dict[str, JsonValue] | None = None


@dataclass(frozen=True, slots=True)
class RemoteStageNode:
    """One HTTP call to a composition that runs elsewhere; the types are what it promises."""

    url: str
    input: NType
    output: NType


@dataclass(frozen=True, slots=True)
class ConstNode:
    """A fixed value, whatever comes in."""

    value: JsonValue


@dataclass(frozen=True, slots=True)
class SequentialNode:
    """Each stage gets the result of the one before; empty, it hands its input on."""

    stages: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class ParallelNode:
    """All branches at once; the result is a record of theirs."""

    branches: Mapping[str, "Node"]

    def __post_init__(self) -> None:
        object.__setattr__(self, "branches", _by_name(self.branches))


@dataclass(frozen=True, slots=True)
class BranchNode:
    """`if_true` when the predicate gives exactly `true`, else `if_false`."""

    predicate: "Node"
    if_true: "Node"
    if_false: "Node"


@dataclass(frozen=True, slots=True)
class FanoutNode:
    """Each target gets the source's result, one after the other; the result is their list."""

    source: "Node"
    targets: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class MergeNode:
    """The sources, one after the other, feed the target a record `source_0`, `source_1`, …"""

    sources: tuple["Node", ...]
    target: "Node"


@dataclass(frozen=True, slots=True)
class RetryNode:
    """The node again until it succeeds; `max_attempts` 0 means 1, `delay_ms` lies in between."""

    stage: "Node"
    max_attempts: int
    delay_ms: int | None = None


@dataclass(frozen=True, slots=True)
class LetNode:
    """The body sees the input's members, overlaid by the results of the bindings."""

    bindings: Mapping[str, "Node"]
    body: "Node"

    def __post_init__(self) -> None:
        object.__setattr__(self, "bindings", _by_name(self.bindings))


Node: TypeAlias = (
    StageNode
    | RemoteStageNode
    | ConstNode
    | SequentialNode
    | ParallelNode
    | BranchNode
    | FanoutNode
    | MergeNode
    | RetryNode
    | LetNode
)
"""Any node of a graph."""


@dataclass(frozen=True, slots=True)
class UnknownMember:
    """A member that the format does not have: ignored, noted for the linter in `checks.py`.

    `path` is that of the node, empty for the document itself; `operator` is None there.
    """

    path: str
    operator: str | None
    name: str


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph document. Only `root` has meaning; the two texts are for people."""

    description: str
    root: Node
    version: str
    unknown_members: tuple[UnknownMember, ...] = field(default=(), compare=False)


def _by_name(nodes: Mapping[str, Node]) -> dict[str, Node]:
    return {name: nodes[name] for name in sorted(nodes)}
