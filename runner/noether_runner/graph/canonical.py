"""The canonical form of a graph and its identity (`graph.md` §2).

Two graphs that mean the same by the rules of §2.1 have one composition id, whatever their
description, version, unknown members or member order. The id is that of the graph as authored:
take it before references are resolved.
"""

from noether_contract.json_values import JsonValue
from noether_runner.canonical_json import canonical_hash
from noether_runner.graph.document import write_node
from noether_runner.graph.nodes import LetNode, Node, RetryNode, SequentialNode
from noether_runner.graph.walk import children, with_children

_MOST_ATTEMPTS = 2**32 - 1


def canonical(root: Node) -> Node:
    """The canonical form: children first, then one local rule for the node itself. Idempotent."""
    node = with_children(root, [canonical(child) for _, child in children(root)])
    match node:
        case SequentialNode(stages):
            return _flattened(stages)
        case RetryNode():
            return _fused(node)
        case LetNode(bindings, body) if not bindings:
            return body
        case _:
            return node


def canonical_json_value(root: Node) -> JsonValue:
    """The JSON value whose canonical bytes are hashed."""
    return write_node(canonical(root))


def composition_id(root: Node) -> str:
    """Lower-case hex SHA-256 of the canonical form: the identity of what the graph does."""
    return canonical_hash(canonical_json_value(root))


def _flattened(stages: tuple[Node, ...]) -> Node:
    flat: list[Node] = []
    for stage in stages:
        flat.extend(stage.stages if isinstance(stage, SequentialNode) else [stage])
    return flat[0] if len(flat) == 1 else SequentialNode(tuple(flat))


def _fused(node: RetryNode) -> Node:
    """One attempt is no retry; two with the same delay (unset is not 0) multiply."""
    if node.max_attempts <= 1:
        return node.stage
    inner = node.stage
    if not isinstance(inner, RetryNode) or inner.delay_ms != node.delay_ms:
        return node
    attempts = min(_MOST_ATTEMPTS, node.max_attempts * inner.max_attempts)
    return _fused(RetryNode(inner.stage, attempts, node.delay_ms))
