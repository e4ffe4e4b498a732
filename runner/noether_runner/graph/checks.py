"""What is wrong or odd about a graph that could be read (`graph.md` §1.3, §1.5).

Empty containers are validation errors at load, although they have a meaning when they run.
Members that the format does not know are warnings, unless they begin with `_`: those are notes.
"""

from noether_contract.lean_dataclass import dataclass
from noether_runner.graph.intents import probable_intent
from noether_runner.graph.nodes import (
    FanoutNode,
    Graph,
    LetNode,
    MergeNode,
    Node,
    ParallelNode,
    SequentialNode,
    UnknownMember,
)
from noether_runner.graph.reading import known_members
from noether_runner.graph.walk import walk


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to mend: the node's path (empty: the document) and a sentence."""

    path: str
    message: str


def empty_containers(root: Node) -> tuple[Finding, ...]:
    """One finding per container without contents, in walk order; each is a validation error."""
    findings = []
    for path, node in walk(root):
        match node:
            case SequentialNode(stages=()):
                what, member = "Sequential", "stages"
            case ParallelNode(branches) if not branches:
                what, member = "Parallel", "branches"
            case FanoutNode(targets=()):
                what, member = "Fanout", "targets"
            case MergeNode(sources=()):
                what, member = "Merge", "sources"
            case LetNode(bindings) if not bindings:
                what, member = "Let", "bindings"
            case _:
                continue
        findings.append(Finding(path, f"empty {what} node: put something into {member}"))
    return tuple(findings)


def unknown_members(graph: Graph) -> tuple[Finding, ...]:
    """One warning per unknown member that is not marked as a note, in the order of the text."""
    return tuple(
        Finding(unknown.path, _about(unknown))
        for unknown in graph.unknown_members
        if not unknown.name.startswith("_")
    )


def _about(unknown: UnknownMember) -> str:
    known = known_members(unknown.operator)
    whose = f"{unknown.operator} nodes have" if unknown.operator else "graphs have"
    sentence = f'member "{unknown.name}" is ignored: {whose} no such member'
    intent = probable_intent(unknown.operator, unknown.name, known)
    if intent is not None:
        return f'{sentence}; "{intent}" is probably meant'
    hint = _HINTS.get((unknown.operator, unknown.name))
    if hint is not None:
        return f"{sentence}; {hint}"
    return f'{sentence}; begin it with "_" if it is a note'


_HINTS: dict[tuple[str | None, str], str] = {
    ("RemoteStage", "id"): "a RemoteStage is known by its url alone; for a stage of the store "
    "use the operator Stage",
    ("RemoteStage", "timeout"): "the call is bounded by 30 seconds and the timeout of the run",
    ("Stage", "timeout"): "the bound of each stage call is the option stage_timeout",
    ("Stage", "retry"): "put the node into a Retry node",
    ("Stage", "retries"): "put the node into a Retry node",
}
