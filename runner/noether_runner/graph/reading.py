"""The rules of the graph document: from a JSON value to nodes, or to the first mistake.

Members are judged in the order of the text, missing ones after those present, children when
their parent's operator is known (`graph.md` §1.3, §1.4). Unknown members are noted, not refused.
The value may be a plain one or a tree of `located.py`; only the latter knows places.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass
from noether_runner.graph.located import CutOff, Members, pairs_of
from noether_runner.graph.mistakes import (
    Mistake,
    Spot,
    missing,
    repeated,
    shown,
    wrong_type,
)
from noether_runner.graph.nodes import (
    BranchNode,
    ConstNode,
    FanoutNode,
    Graph,
    LetNode,
    MergeNode,
    Node,
    ParallelNode,
    RemoteStageNode,
    RetryNode,
    SequentialNode,
    StageNode,
    UnknownMember,
)
from noether_runner.graph.type_mistakes import judge_type
from noether_runner.graph.walk import ROOT, indexed_step, named_step
from noether_runner.types.terms import NType, TypeSyntaxError, read_type

_Read: TypeAlias = Callable[[JsonValue, Spot], Any]


@dataclass(frozen=True, slots=True)
class _Shape:
    """What an object holds: `known` members in the order in which missing ones are reported."""

    make: Callable[..., Any]
    known: Mapping[str, _Read]
    optional: frozenset[str] = frozenset()


def read_document(value: JsonValue) -> Graph:
    """The graph of a whole document; raises `Mistake` or `CutOff`."""
    unknown: list[UnknownMember] = []
    spot = Spot("", "", value, 0, unknown)
    if not isinstance(value, dict):
        expected = "an object with description, root and version"
        wrong_type("graph", expected, value, spot, "holder")
    found = _read_members(value, _DOCUMENT, spot)
    return Graph(**found, unknown_members=tuple(unknown))


def _read_members(
    holder: dict[str, JsonValue], shape: _Shape, spot: Spot, operator: str | None = None
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    path, unknown = spot.path, spot.unknown
    for index, (name, value) in enumerate(pairs_of(holder)):
        here = Spot(path, name, holder, index, unknown)
        if name not in shape.known:
            if name != "op" or operator is None:
                unknown.append(UnknownMember(path, operator, name))
        elif name in found:
            repeated(name, here)
        else:
            found[name] = shape.known[name](value, here)
    if isinstance(holder, Members) and holder.cut:
        raise CutOff
    for name in shape.known:
        if name not in found and name not in shape.optional:
            missing(name, holder, spot, operator)
    return found


def _node(value: JsonValue, spot: Spot) -> Node:
    if not isinstance(value, dict):
        wrong_type("node", 'an object with a member "op"', value, spot)
    inside = Spot(spot.path, spot.member, value, 0, spot.unknown)
    operator = _operator(value, inside)
    shape = _OPERATORS[operator]
    node: Node = shape.make(**_read_members(value, shape, inside, operator))
    return node


def _operator(node: dict[str, JsonValue], spot: Spot) -> str:
    """The operator; looked at in every member before any other member of the node is judged."""
    found: str | None = None
    for index, (name, value) in enumerate(pairs_of(node)):
        if name != "op":
            continue
        here = Spot(spot.path, name, node, index, spot.unknown)
        if found is not None:
            repeated(name, here)
        if not isinstance(value, str):
            wrong_type("op", "the name of an operator", value, here)
        if value not in _OPERATORS:
            known = ", ".join(_OPERATORS)
            sentence = f"{shown(value)} is not an operator; expected one of {known}"
            raise Mistake("unknown_op", "op", sentence, here)
        found = value
    if isinstance(node, Members) and node.cut:
        raise CutOff
    if found is None:
        missing("op", node, spot, "")
    return found


def _root(value: JsonValue, spot: Spot) -> Node:
    return _node(value, replace(spot, path=ROOT))


def _child(value: JsonValue, spot: Spot) -> Node:
    return _node(value, replace(spot, path=f"{spot.path}.{spot.member}"))


def _nodes(value: JsonValue, spot: Spot) -> tuple[Node, ...]:
    if not isinstance(value, list):
        wrong_type(spot.member, "an array of nodes", value, spot)
    return tuple(
        _node(item, Spot(path, spot.member, value, index, spot.unknown))
        for index, item in enumerate(value)
        for path in [spot.path + indexed_step(spot.member, index)]
    )


def _named_nodes(value: JsonValue, spot: Spot) -> dict[str, Node]:
    if not isinstance(value, dict):
        wrong_type(spot.member, "an object of named nodes", value, spot)
    nodes: dict[str, Node] = {}
    for index, (name, item) in enumerate(pairs_of(value)):
        path = spot.path + named_step(spot.member, name)
        nodes[name] = _node(item, Spot(path, spot.member, value, index, spot.unknown))
    return nodes


def _text(value: JsonValue, spot: Spot) -> str:
    if not isinstance(value, str):
        wrong_type(spot.member, "a string", value, spot)
    return value


def _pinning(value: JsonValue, spot: Spot) -> str:
    if not isinstance(value, str):
        wrong_type("pinning", '"signature" or "both"', value, spot)
    if value not in {"signature", "both"}:
        sentence = f'pinning is {shown(value)}; expected "signature" or "both"'
        raise Mistake("unknown_variant", "pinning", sentence, spot)
    return value


def _config(value: JsonValue, spot: Spot) -> dict[str, JsonValue] | None:
    if value is not None and not isinstance(value, dict):
        wrong_type("config", "an object", value, spot)
    return value


def _any(value: JsonValue, _: Spot) -> JsonValue:
    return value


def _count(largest: int) -> _Read:
    def read(value: JsonValue, spot: Spot) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            wrong_type(spot.member, "an integer without fraction or exponent", value, spot)
        if not 0 <= value <= largest:
            sentence = f"{spot.member} is {value}; expected an integer from 0 to {largest}"
            raise Mistake("invalid_value", spot.member, sentence, spot)
        return value

    return read


def _count_or_none(largest: int) -> _Read:
    count = _count(largest)
    return lambda value, spot: None if value is None else count(value, spot)


def _type(value: JsonValue, spot: Spot) -> NType:
    try:
        return read_type(value)
    except TypeSyntaxError as error:
        kind, field = judge_type(value, spot.member) or ("invalid_type", spot.member)
        raise Mistake(kind, field, f"{spot.member}: {error}", spot) from None


def known_members(operator: str | None) -> tuple[str, ...]:
    """The members of an operator's nodes, besides `op`; of the document for None."""
    return tuple((_DOCUMENT if operator is None else _OPERATORS[operator]).known)


_OPERATORS: dict[str, _Shape] = {
    "Stage": _Shape(
        StageNode,
        {"id": _text, "pinning": _pinning, "config": _config},
        frozenset({"pinning", "config"}),
    ),
    "RemoteStage": _Shape(RemoteStageNode, {"url": _text, "input": _type, "output": _type}),
    "Const": _Shape(ConstNode, {"value": _any}),
    "Sequential": _Shape(SequentialNode, {"stages": _nodes}),
    "Parallel": _Shape(ParallelNode, {"branches": _named_nodes}),
    "Branch": _Shape(BranchNode, {"predicate": _child, "if_true": _child, "if_false": _child}),
    "Fanout": _Shape(FanoutNode, {"source": _child, "targets": _nodes}),
    "Merge": _Shape(MergeNode, {"sources": _nodes, "target": _child}),
    "Retry": _Shape(
        RetryNode,
        {"stage": _child, "max_attempts": _count(2**32 - 1), "delay_ms": _count_or_none(2**64 - 1)},
        frozenset({"delay_ms"}),
    ),
    "Let": _Shape(LetNode, {"bindings": _named_nodes, "body": _child}),
}

_DOCUMENT = _Shape(Graph, {"description": _text, "root": _root, "version": _text})
