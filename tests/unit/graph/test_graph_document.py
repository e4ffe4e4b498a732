import json
from typing import Any

import pytest

from noether_contract.json_values import JsonValue
from noether_contract.outcomes import ErrorCode
from noether_runner.graph.canonical import composition_id
from noether_runner.graph.checks import empty_containers, unknown_members
from noether_runner.graph.document import GraphError, read_graph, write_graph
from noether_runner.graph.nodes import (
    ConstNode,
    Graph,
    LetNode,
    Node,
    ParallelNode,
    RemoteStageNode,
    RetryNode,
    SequentialNode,
    StageNode,
)


def document(root: Any, **others: Any) -> str:
    return json.dumps({"description": "d", "version": "1", "root": root, **others})


def error_of(text: str | bytes) -> GraphError:
    with pytest.raises(GraphError) as caught:
        read_graph(text, "graph.json")
    return caught.value


def test_an_error_says_what_where_and_in_which_node() -> None:
    text = """{
  "description": "d", "version": "1",
  "root": {"op": "Sequential", "stages": [
    {"op": "Stage", "id": "a"},
    {"op": "Parallel", "branches": {"x": {"op": "Stage", "id": 7}}}
  ]}
}"""
    error = error_of(text)
    assert error.code is ErrorCode.GRAPH_INVALID
    assert (error.kind, error.field) == ("invalid_type", "id")
    assert error.path == "root.stages[1].branches.x"
    assert (error.line, error.column) == (5, 64)
    assert error.message == (
        "graph.json is not a valid graph: root.stages[1].branches.x: id must be a string, not 7 "
        "(line 5, column 64)"
    )
    assert error.record().path == error.path


def test_columns_count_characters() -> None:
    error = error_of('{"description":"é😀","version":1}')
    assert (error.line, error.column) == (1, 31)


@pytest.mark.parametrize(
    ("root", "kind", "field", "path"),
    [
        (None, "invalid_type", "node", "root"),
        ([], "invalid_type", "node", "root"),
        (["Stage", "abc"], "invalid_type", "node", "root"),
        ("abc", "invalid_type", "node", "root"),
        ({"op": 5, "id": "a"}, "invalid_type", "op", "root"),
        ({"op": None, "id": "a"}, "invalid_type", "op", "root"),
        ({"op": ["Stage"]}, "invalid_type", "op", "root"),
        ({"op": ""}, "unknown_op", "op", "root"),
        ({"op": "Stage", "id": None}, "invalid_type", "id", "root"),
        ({"op": "Stage", "id": "a", "pinning": {"both": None}}, "invalid_type", "pinning", "root"),
        (
            {"op": "Stage", "id": "a", "pinning": {"kind": "both"}},
            "invalid_type",
            "pinning",
            "root",
        ),
        ({"op": "Stage", "id": "a", "pinning": ""}, "unknown_variant", "pinning", "root"),
        ({"op": "Stage", "id": "a", "config": "x"}, "invalid_type", "config", "root"),
        ({"op": "Sequential", "stages": {}}, "invalid_type", "stages", "root"),
        ({"op": "Sequential", "stages": None}, "invalid_type", "stages", "root"),
        ({"op": "Sequential", "stages": [None]}, "invalid_type", "node", "root.stages[0]"),
        ({"op": "Let", "bindings": [], "body": 1}, "invalid_type", "bindings", "root"),
        ({"op": "Let", "bindings": {}, "body": 1}, "invalid_type", "node", "root.body"),
        ({"op": "Let", "bindings": {"a b": 1}}, "invalid_type", "node", 'root.bindings["a b"]'),
        ({"op": "Branch", "if_true": 1}, "invalid_type", "node", "root.if_true"),
        ({"op": "Branch"}, "missing_field", "predicate", "root"),
        ({"op": "Fanout", "targets": []}, "missing_field", "source", "root"),
        ({"op": "Merge", "sources": []}, "missing_field", "target", "root"),
        ({"op": "Merge", "sources": [{"op": "Stage"}]}, "missing_field", "id", "root.sources[0]"),
        ({"op": "RemoteStage", "id": "x"}, "missing_field", "url", "root"),
        ({"op": "Retry", "max_attempts": "3"}, "invalid_type", "max_attempts", "root"),
        ({"op": "Retry", "max_attempts": True}, "invalid_type", "max_attempts", "root"),
        ({"op": "Retry", "max_attempts": None}, "invalid_type", "max_attempts", "root"),
        ({"op": "Retry", "max_attempts": -1}, "invalid_value", "max_attempts", "root"),
        ({"op": "Retry", "max_attempts": 2**64}, "invalid_type", "max_attempts", "root"),
        ({"op": "Retry", "delay_ms": -1}, "invalid_value", "delay_ms", "root"),
        ({"op": "Retry", "delay_ms": 1.0}, "invalid_type", "delay_ms", "root"),
    ],
)
def test_the_first_mistake(root: Any, kind: str, field: str, path: str) -> None:
    error = error_of(document(root))
    assert (error.kind, error.field, error.path) == (kind, field, path)


def _refined(refinement: Any) -> Any:
    return {"kind": "Refined", "value": {"base": {"kind": "Any"}, "refinement": refinement}}


@pytest.mark.parametrize(
    ("given", "kind", "field"),
    [
        ("Text", "invalid_type", "input"),
        ({}, "missing_field", "kind"),
        ({"kind": 1}, "invalid_type", "kind"),
        ({"kind": "text"}, "unknown_variant", "kind"),
        ({"kind": "Text", "value": 1}, "invalid_type", "value"),
        ({"kind": "List"}, "missing_field", "value"),
        ({"kind": "List", "value": {"kind": "Nope"}}, "unknown_variant", "kind"),
        ({"kind": "Union", "value": {}}, "invalid_type", "value"),
        ({"kind": "Union", "value": [{"kind": "Text"}, {}]}, "missing_field", "kind"),
        ({"kind": "Union", "value": [1]}, "invalid_type", "value"),
        ({"kind": "Record", "value": []}, "invalid_type", "value"),
        ({"kind": "Map", "value": []}, "invalid_type", "value"),
        (_refined({"kind": "Range", "min": "0"}), "invalid_type", "min"),
        (_refined({"kind": "Range", "max": True}), "invalid_type", "max"),
        (_refined({"kind": "OneOf", "options": {}}), "invalid_type", "options"),
        (_refined({"kind": "OneOf"}), "missing_field", "options"),
        (_refined({"kind": "X"}), "unknown_variant", "kind"),
        (_refined(1), "invalid_type", "refinement"),
        ({"kind": "Var", "value": 1}, "invalid_type", "value"),
        ({"kind": "Map", "value": {"key": {"kind": "Text"}}}, "missing_field", "value"),
        ({"kind": "Record", "value": {"x": {"kind": "X"}}}, "unknown_variant", "kind"),
        ({"kind": "RecordWith", "value": {"fields": {}, "rest": 1}}, "invalid_type", "rest"),
    ],
)
def test_mistakes_in_types(given: Any, kind: str, field: str) -> None:
    error = error_of(document({"op": "RemoteStage", "url": "u", "input": given, "output": 1}))
    assert (error.kind, error.field, error.path) == (kind, field, "root")


@pytest.mark.parametrize(
    ("text", "kind", "field"),
    [
        # the order of the text decides, also between a mistake and text that is no JSON
        ('{"version":1,"root":null,"description":"d"}', "invalid_type", "version"),
        ('{"description":"d","version":1,"root":NaN}', "invalid_type", "version"),
        ('{"description":"d","root":{"op":"Nope"},"version":NaN}', "unknown_op", "op"),
        ('{"description":"d","root":{"op":"Stage"}} x', "missing_field", "id"),
        ('{"root":{"op":"Nope","x":NaN}}', "unknown_op", "op"),
        # a node is read whole before its members are judged
        ('{"root":{"op":"Stage","id":1,"x":NaN}}', "invalid_json", None),
        ('{"root":{"op":"Stage","id":1,"op":"Stage"}}', "duplicate_field", "op"),
        ('{"root":{"id":1}}', "missing_field", "op"),
        # what repetition hides is still judged
        ('{"root":{"op":"Stage","id":1,"id":"a"}}', "invalid_type", "id"),
        (
            '{"root":{"op":"Let","bindings":{"a":1,"a":{"op":"Stage","id":"s"}}}}',
            "invalid_type",
            "node",
        ),
        ('{"description":"d","description":"e"}', "duplicate_field", "description"),
        ('{"root":{"op":"Retry","delay_ms":1,"delay_ms":1}}', "duplicate_field", "delay_ms"),
        # missing ones come last, in the order of the format
        ('{"version":"1"}', "missing_field", "description"),
        ('{"description":"d"}', "missing_field", "root"),
        ('{"description":"d","version":"1","root":{"op":"Const","value":-}}', "invalid_json", None),
        ("", "invalid_json", None),
        ("nul", "invalid_json", None),
        ('"abc', "invalid_json", None),
        ("[]", "invalid_type", "graph"),
        ("5", "invalid_type", "graph"),
        ("\ufeff{}", "invalid_json", None),
        (b"\xff{}", "invalid_json", None),
        ('{"description":"\\ud800"}', "invalid_json", None),
        (
            '{"description":"d","version":"1","root":{"op":"Const","value":1e400}}',
            "invalid_json",
            None,
        ),
        ('{"description":"a\nb"}', "invalid_json", None),
        ('{"description":"d",}', "invalid_json", None),
        ("{/**/}", "invalid_json", None),
        # also between text that is no JSON and text that is nested too deeply
        ('{"description":"d","version":NaN,"x":' + "[" * 200, "invalid_json", None),
        ('{"description":"d","x":' + "[" * 200 + "NaN", "too_deep", None),
        ('{"description":1,"x":' + "[" * 200, "invalid_type", "description"),
    ],
)
def test_the_first_problem_in_the_order_of_the_text(
    text: str | bytes, kind: str, field: str | None
) -> None:
    error = error_of(text)
    assert (error.kind, error.field) == (kind, field)


def test_a_mistake_before_text_that_is_no_json_in_another_line() -> None:
    error = error_of('{"description":"d",\n"version":\n 1,\n\n "root": NaN}')
    assert (error.kind, error.field, error.line, error.column) == ("invalid_type", "version", 3, 2)
    error = error_of('{"description":"d",\n"version":\n "1",\n\n "root": NaN}')
    assert (error.kind, error.line, error.column) == ("invalid_json", 5, 10)


def test_repeated_members_of_maps_are_allowed_and_the_last_wins() -> None:
    text = (
        '{"description":"d","version":"1","_n":{"x":1,"x":2},"_n":3,"root":{"op":"Let","bindings":'
        '{"x":{"op":"Const","value":1},"x":{"op":"Const","value":{"k":1,"k":2}}},'
        '"body":{"op":"Stage","id":"b","config":{"k":1,"k":"a:b"}}}}'
    )
    root = read_graph(text, "g").root
    body = StageNode("b", config={"k": "a:b"})
    assert root == LetNode({"x": ConstNode({"k": 2})}, body)


def test_colons_in_strings_are_not_members() -> None:
    value: JsonValue = {"a:b": '\\":"', "c\\": ":::"}
    assert read_graph(document({"op": "Const", "value": value}), "g").root == ConstNode(value)


def test_minus_zero_is_a_double() -> None:
    text = '{"description":"-0","version":"1","root":{"op":"Const","value":[-0, "-0"]}}'
    root = read_graph(text, "g").root
    assert isinstance(root, ConstNode)
    assert repr(root.value) == "[-0.0, '-0']"


def nested(levels: int, op: str) -> str:
    opening = {
        "Retry": '{"op":"Retry","max_attempts":1,"stage":',
        "Sequential": '{"op":"Sequential","stages":[',
    }[op]
    closing = {"Retry": "}", "Sequential": "]}"}[op]
    inner = opening * levels + '{"op":"Stage","id":"a"}' + closing * levels
    return f'{{"description":"d","version":"1","root":{inner}}}'


@pytest.mark.parametrize(("op", "levels"), [("Retry", 125), ("Sequential", 62)])
def test_deepest_nesting(op: str, levels: int) -> None:
    graph = read_graph(nested(levels, op), "g")
    assert composition_id(graph.root) == composition_id(StageNode("a"))
    assert read_graph(write_graph(graph), "again") == graph
    too_deep = error_of(nested(levels + 1, op))
    assert (too_deep.kind, too_deep.field) == ("too_deep", None)


def test_what_is_written() -> None:
    remote = RemoteStageNode("http://x", *[_type({"kind": "Text"})] * 2)
    stages: tuple[Node, ...] = (
        StageNode("a", "both", {"b": 1, "a": 2}),
        remote,
        RetryNode(StageNode("c"), 2),
    )
    written = write_graph(Graph("d", SequentialNode(stages), "1"))
    assert (
        written
        == """{
  "description": "d",
  "root": {
    "op": "Sequential",
    "stages": [
      {
        "op": "Stage",
        "id": "a",
        "pinning": "both",
        "config": {
          "a": 2,
          "b": 1
        }
      },
      {
        "op": "RemoteStage",
        "url": "http://x",
        "input": {
          "kind": "Text"
        },
        "output": {
          "kind": "Text"
        }
      },
      {
        "op": "Retry",
        "stage": {
          "op": "Stage",
          "id": "c"
        },
        "max_attempts": 2,
        "delay_ms": null
      }
    ]
  },
  "version": "1"
}"""
    )


def _type(json: JsonValue) -> Any:
    from noether_runner.types.terms import read_type

    return read_type(json)


def test_names_are_kept_in_code_point_order() -> None:
    nodes = {name: ConstNode(1) for name in ["b", "\U0001f600", "\ufb33", "a", ""]}
    assert list(ParallelNode(nodes).branches) == ["", "a", "b", "\ufb33", "\U0001f600"]


def test_empty_containers_are_findings() -> None:
    empty = {"op": "Sequential", "stages": []}
    root = {
        "op": "Let",
        "bindings": {
            "p": {"op": "Parallel", "branches": {}},
            "f": {"op": "Fanout", "source": empty, "targets": []},
        },
        "body": {
            "op": "Merge",
            "sources": [],
            "target": {"op": "Let", "bindings": {}, "body": empty},
        },
    }
    findings = empty_containers(read_graph(document(root), "g").root)
    assert [(finding.path, finding.message.split(":")[0]) for finding in findings] == [
        ("root.bindings.f", "empty Fanout node"),
        ("root.bindings.f.source", "empty Sequential node"),
        ("root.bindings.p", "empty Parallel node"),
        ("root.body", "empty Merge node"),
        ("root.body.target", "empty Let node"),
        ("root.body.target.body", "empty Sequential node"),
    ]


@pytest.mark.parametrize(
    ("node", "hint"),
    [
        ({"op": "Retry", "max_attempts": 1, "backoff_ms": 5}, '"delay_ms" is probably meant'),
        ({"op": "Retry", "max_attempts": 1, "DelayMs": 5}, '"delay_ms" is probably meant'),
        ({"op": "Retry", "max_attempts": 1, "note": 5}, 'begin it with "_" if it is a note'),
    ],
)
def test_unknown_members_are_warned_about(node: dict[str, Any], hint: str) -> None:
    text = document({**node, "stage": {"op": "Stage", "id": "a", "_desc": ""}}, _note=1)
    findings = unknown_members(read_graph(text, "g"))
    assert [finding.path for finding in findings] == ["root"]
    assert hint in findings[0].message


def test_unknown_members_of_the_document_and_of_a_remote_stage() -> None:
    any_type = {"kind": "Any"}
    remote = {"op": "RemoteStage", "url": "u", "input": any_type, "output": any_type, "id": "x"}
    findings = unknown_members(read_graph(document(remote, ui={}, desc=""), "g"))
    assert [finding.path for finding in findings] == ["root", "", ""]
    assert "known by its url alone" in findings[0].message
    assert "graphs have no such member" in findings[1].message
    assert '"description" is probably meant' not in findings[1].message
    assert '"description" is probably meant' in findings[2].message


def test_a_missing_member_under_another_name_is_named() -> None:
    error = error_of(document({"op": "Retry", "stage": {"op": "Const", "value": 1}, "attempts": 3}))
    assert 'is "attempts" meant to be it?' in error.message
    error = error_of(document({"type": "Stage", "id": "a"}))
    assert 'is "type" meant to be it?' in error.message
