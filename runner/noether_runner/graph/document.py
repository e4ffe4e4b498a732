"""Graph documents: from text to nodes and back (`graph.md` §1).

Reading is all or nothing. The error raised is the first problem in the order of the text, with
its code, member, line, column and node; writing drops what the format does not know.
"""

import re
from typing import assert_never

import orjson

from noether_contract.json_values import JsonTextError, JsonValue, compact_json, parse_json
from noether_contract.outcomes import ErrorCode
from noether_runner.errors import RunnerError
from noether_runner.graph.located import CutOff, locate
from noether_runner.graph.mistakes import Mistake, MistakeKind
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
)
from noether_runner.graph.reading import read_document
from noether_runner.types.terms import write_type

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


class GraphError(RunnerError):
    """A text is not a graph document.

    `kind` is a code of `graph.md` §1.4, `field` the member (or `node`, `graph`, None); `path`,
    `line` and `column` say where.
    """

    def __init__(
        self,
        kind: MistakeKind,
        field: str | None,
        message: str,
        *,
        path: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        super().__init__(ErrorCode.GRAPH_INVALID, message, path=path, line=line, column=column)
        self.kind: MistakeKind = kind
        self.field = field


def read_graph(text: str | bytes, name: str) -> Graph:
    """The graph of a document; `name` is that of the file, for messages. Raises `GraphError`."""
    try:
        value = parse_json(text)
    except JsonTextError as error:
        raise _first_error(text, name, _earliest(text, error)) from None
    try:
        if not _has_repeated_members(text, value):
            return read_document(value)
    except Mistake:
        pass  # judged again below, with places
    as_text = text if isinstance(text, str) else text.decode()
    try:
        read_document(locate(as_text))
    except Mistake as mistake:
        raise _as_graph_error(mistake, as_text, name) from None
    return read_document(value)


def _has_repeated_members(text: str | bytes, value: JsonValue) -> bool:
    """Whether some object of the text holds a member twice: the text then has more colons."""
    data = text.encode() if isinstance(text, str) else text
    written, kept = (_STRING.sub(b"", part).count(b":") for part in (data, compact_json(value)))
    return written != kept


def _earliest(text: str | bytes, error: JsonTextError) -> JsonTextError:
    """The error, or what is no JSON before a place that is too deep: depth is measured first."""
    if not error.too_deep or not error.line:
        return error
    try:
        as_text = text if isinstance(text, str) else text.decode()
        before = as_text[: _offset(as_text, error.line, error.column)]
        parse_json(before)
    except UnicodeDecodeError:
        pass
    except JsonTextError as other:
        if _offset(before, other.line, other.column) < len(before):
            return other
    return error


def _first_error(text: str | bytes, name: str, error: JsonTextError) -> GraphError:
    """The text is not JSON, but something before that place may be wrong by itself."""
    try:
        as_text = text if isinstance(text, str) else text.decode()
        if error.line:
            read_document(locate(as_text[: _offset(as_text, error.line, error.column)]))
    except Mistake as mistake:
        return _as_graph_error(mistake, as_text, name)
    except (CutOff, UnicodeDecodeError):
        pass
    where = f" (line {error.line}, column {error.column})" if error.line else ""
    return GraphError(
        "too_deep" if error.too_deep else "invalid_json",
        None,
        f"{name} is not valid JSON: {error.reason}{where}",
        line=error.line or None,
        column=error.column or None,
    )


def _as_graph_error(mistake: Mistake, text: str, name: str) -> GraphError:
    offset = mistake.spot.offset(mistake.aim) or 0
    line = text.count("\n", 0, offset) + 1
    column = offset - text.rfind("\n", 0, offset)
    path = mistake.spot.path or None
    place = f"{path}: " if path else ""
    return GraphError(
        mistake.kind,
        mistake.field,
        f"{name} is not a valid graph: {place}{mistake.sentence} (line {line}, column {column})",
        path=path,
        line=line,
        column=column,
    )


def _offset(text: str, line: int, column: int) -> int:
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
    return start + column - 1


def write_graph(graph: Graph) -> str:
    """The document as text: two-space indent, members in the order of the format."""
    document = {
        "description": graph.description,
        "root": write_node(graph.root),
        "version": graph.version,
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


def write_node(node: Node) -> dict[str, JsonValue]:
    """The node as a JSON object, members in the order of `graph.md` §1.3, maps sorted."""
    match node:
        case StageNode(id, pinning, config):
            written: dict[str, JsonValue] = {"op": "Stage", "id": id}
            if pinning != "signature":
                written["pinning"] = pinning
            if config is not None:
                written["config"] = _sorted(config)
            return written
        case RemoteStageNode(url, input, output):
            types = {"input": write_type(input), "output": write_type(output)}
            return {"op": "RemoteStage", "url": url, **types}
        case ConstNode(value):
            return {"op": "Const", "value": _sorted(value)}
        case SequentialNode(stages):
            return {"op": "Sequential", "stages": [write_node(stage) for stage in stages]}
        case ParallelNode(branches):
            return {
                "op": "Parallel",
                "branches": {name: write_node(child) for name, child in branches.items()},
            }
        case BranchNode(predicate, if_true, if_false):
            return {
                "op": "Branch",
                "predicate": write_node(predicate),
                "if_true": write_node(if_true),
                "if_false": write_node(if_false),
            }
        case FanoutNode(source, targets):
            return {
                "op": "Fanout",
                "source": write_node(source),
                "targets": [write_node(target) for target in targets],
            }
        case MergeNode(sources, target):
            return {
                "op": "Merge",
                "sources": [write_node(source) for source in sources],
                "target": write_node(target),
            }
        case RetryNode(stage, max_attempts, delay_ms):
            return {
                "op": "Retry",
                "stage": write_node(stage),
                "max_attempts": max_attempts,
                "delay_ms": delay_ms,
            }
        case LetNode(bindings, body):
            return {
                "op": "Let",
                "bindings": {name: write_node(child) for name, child in bindings.items()},
                "body": write_node(body),
            }
        case _:
            assert_never(node)


def _sorted(value: JsonValue) -> JsonValue:
    sorted_value: JsonValue = orjson.loads(compact_json(value))
    return sorted_value
