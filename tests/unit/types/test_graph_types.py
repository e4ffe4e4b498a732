"""The graph checker beyond its vectors: paths, Parallel edges, warnings, bounds (`types.md` §7)."""

import json
from typing import Any

import pytest

from noether_runner.graph.document import read_graph
from noether_runner.graph.nodes import Node, RetryNode, StageNode
from noether_runner.types.check import Checked, check_graph, finding_text, write_finding
from noether_runner.types.render import render
from type_samples import StageTable

STAGES: dict[str, Any] = {
    "text": {"name": "give_text", "input": "Any", "output": "Text"},
    "number": {"input": "Any", "output": "Number"},
    "bool": {"input": "Any", "output": "Bool"},
    "any": {"input": "Any", "output": "Any"},
    "from_text": {"input": "Text", "output": "Number"},
    "from_number": {"name": "take_number", "input": "Number", "output": "Text"},
    "from_person": {
        "name": "greet",
        "input": {"Record": [["age", "Number"], ["name", "Text"]]},
        "output": "Bool",
    },
    "short": {
        "input": "Any",
        "output": {
            "kind": "Refined",
            "value": {"base": "Text", "refinement": {"kind": "NonEmpty"}},
        },
    },
    "person": {"input": "Any", "output": {"Record": [["age", "Number"], ["name", "Text"]]}},
    "table": {"input": "Any", "output": {"Map": ["Text", "Number"]}},
    "from_table": {"input": {"Map": ["Text", "Number"]}, "output": "Number"},
    "maybe": {"input": "Any", "output": {"Union": ["Null", "Text"]}},
    "same": {"input": {"kind": "Var", "value": "T"}, "output": {"kind": "Var", "value": "T"}},
    "twice": {
        "input": {"kind": "Var", "value": "T"},
        "output": {"Record": [["a", {"kind": "Var", "value": "T"}],
                              ["b", {"kind": "Var", "value": "T"}]]},
    },
    "add_done": {
        "input": {"kind": "RecordWith", "value": {"fields": {}, "rest": "R"}},
        "output": {"kind": "RecordWith", "value": {"fields": {"done": "Bool"}, "rest": "R"}},
    },
    "percent": {
        "name": "take_percent",
        "input": {
            "kind": "Refined",
            "value": {"base": "Number", "refinement": {"kind": "Range", "min": 0, "max": 100}},
        },
        "output": "Text",
    },
}  # fmt: skip


def stage(reference: str, **config: Any) -> dict[str, Any]:
    return {"op": "Stage", "id": reference, **({"config": config} if config else {})}


def sequence(*stages: str | dict[str, Any]) -> dict[str, Any]:
    nodes = [stage(each) if isinstance(each, str) else each for each in stages]
    return {"op": "Sequential", "stages": nodes}


def parallel(**branches: str | dict[str, Any]) -> dict[str, Any]:
    nodes = {name: stage(n) if isinstance(n, str) else n for name, n in branches.items()}
    return {"op": "Parallel", "branches": nodes}


def node_of(root: dict[str, Any]) -> Node:
    document = {"description": "", "version": "0.1.0", "root": root}
    return read_graph(json.dumps(document), "test").root


def checked(root: dict[str, Any]) -> Checked:
    return check_graph(node_of(root), StageTable(STAGES))


def codes(found: Checked) -> list[str]:
    return [type(each).__name__ for each in (*found.errors, *found.warnings)]


def shown(found: Checked) -> str:
    assert found.input is not None
    assert found.output is not None
    return f"{render(found.input)} -> {render(found.output)}"


def test_an_error_names_both_stages_and_the_node() -> None:
    found = checked(sequence("any", sequence("text", "from_number")))
    assert found.input is None
    assert finding_text(found.errors[0]) == (
        "stage take_number takes Number, but stage give_text gives Text: "
        "expected Number, got Text (at root.stages[1].stages[1])"
    )


def test_errors_come_in_the_order_of_the_walk() -> None:
    branch = {
        "op": "Branch",
        "predicate": stage("number"),
        "if_true": sequence("text", "from_number"),
        "if_false": stage("missing"),
    }
    assert codes(checked(branch)) == [
        "SequentialTypeMismatch",
        "StageNotFound",
        "BranchPredicateNotBool",
    ]


def test_two_generic_stages_of_one_name_do_not_meet() -> None:
    assert shown(checked(sequence("text", "same", "twice", "same"))) == (
        "Any -> Record { a: Text, b: Text }"
    )
    assert shown(checked(parallel(a="same", b="same"))) == (
        "Record { a: <T>, b: <T_2> } -> Record { a: <T>, b: <T_2> }"
    )


def test_rows_keep_the_fields_of_all_stages() -> None:
    assert shown(checked(sequence("person", "add_done", "add_done"))) == (
        "Any -> Record { age: Number, done: Bool, name: Text }"
    )
    assert shown(checked(sequence("add_done", "from_person"))) == (
        "Record { age: Number, name: Text } -> Bool"
    )


@pytest.mark.parametrize(
    ("before", "branches"),
    [
        ("text", {"a": "from_text", "b": "any"}),
        ("person", {"age": "from_number", "name": "from_text", "all": "from_person"}),
        ("table", {"a": "from_table"}),
        ("any", {"a": "from_text"}),
        ("percent", {"a": {"op": "Const", "value": 2}}),
        ("maybe", {"a": "any"}),
        ("short", {"a": "from_text"}),
        ("same", {"a": "from_text"}),
        ("add_done", {"done": "bool", "x": "from_text"}),
        ("person", {"age": parallel(x="from_number", y="any")}),
        ("person", {"age": {"op": "Retry", "stage": stage("from_number"), "max_attempts": 2}}),
    ],
)
def test_a_parallel_takes_what_its_branches_would_get(
    before: str, branches: dict[str, Any]
) -> None:
    assert checked(sequence(before, parallel(**branches))).errors == ()
    assert checked(sequence(before, sequence(parallel(**branches), "any"))).errors == ()


@pytest.mark.parametrize(
    ("before", "branches"),
    [
        ("text", {"a": "from_number"}),
        ("person", {"age": "from_text"}),
        ("person", {"other": "from_text"}),
        ("maybe", {"a": "from_text"}),
        # whether a map has the key of a branch, nobody knows: it is handed on whole (§13.2)
        ("table", {"a": "from_number"}),
        ("table", {"a": "from_text"}),
    ],
)
def test_a_parallel_refuses_what_a_branch_cannot_take(before: str, branches: Any) -> None:
    assert codes(checked(sequence(before, parallel(**branches)))) == ["SequentialTypeMismatch"]


def test_a_generic_branch_gets_the_whole_record_where_no_field_has_its_name() -> None:
    assert shown(checked(sequence("person", parallel(copy="same")))) == (
        "Any -> Record { copy: Record { age: Number, name: Text } }"
    )


def test_a_failure_with_variables_carries_the_words_of_unification() -> None:
    found = checked(sequence("text", "add_done"))
    assert write_finding(found.errors[0]) == {
        "code": "UnificationFailure",
        "node": "root.stages[1]",
        "edge": "sequential position 0",
        "from": {"kind": "Text"},
        "to": {"kind": "RecordWith", "value": {"fields": {}, "rest": "R"}},
        "error": {"code": "Mismatch", "why": "shape"},
        "reason": {"code": "PrimitiveMismatch", "expected": "Record { ...<R> }", "got": "Text"},
        "giver": "stage give_text",
        "taker": "stage add_done",
        "message": "stage add_done takes Record { ...<R> }, but stage give_text gives Text; no "
        "choice of the variables fits: expected Record { ...<R> }, got Text (at root.stages[1])",
    }


def test_an_unpromised_refinement_is_a_warning() -> None:
    found = checked(sequence("number", "percent"))
    assert found.errors == ()
    assert codes(found) == ["RefinementCheckedAtRuntime"]
    assert finding_text(found.warnings[0]) == (
        "stage take_percent takes only Range(0..=100), which what comes in does not promise; it "
        "is checked at the call (at root.stages[1])"
    )


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        (stage("from_person", age="old"), ["ConfigTypeMismatch"]),
        (stage("from_person", agee=1), ["ConfigUnknownKey"]),
        (stage("from_person", age=1), []),
        (stage("from_text", age=1), ["ConfigTypeMismatch"]),
        (stage("any", age=1), []),
        (sequence({"op": "Const", "value": 5}, "from_text"), ["ConstMismatch"]),
        (sequence({"op": "Const", "value": "5"}, "from_text"), []),
        (
            {"op": "Branch", "predicate": sequence("from_text", "bool"),
             "if_true": stage("from_number"), "if_false": stage("any")},
            ["BranchInputMismatch"],
        ),
        (
            {"op": "Let", "bindings": {"a": stage("from_person")}, "body": stage("from_text")},
            ["LetBodyMismatch"],
        ),
    ],
)  # fmt: skip
def test_warnings_do_not_fail_the_graph(root: dict[str, Any], expected: list[str]) -> None:
    found = checked(root)
    assert found.ok
    assert codes(found) == expected
    for warning in found.warnings:
        assert finding_text(warning).endswith(f" (at {warning.node})")
        assert write_finding(warning)["node"] == warning.node


def test_two_bindings_that_want_one_field_differently_are_a_warning() -> None:
    stages = {
        "a": {"input": {"Record": [["x", "Text"]]}, "output": "Text"},
        "b": {"input": {"Record": [["x", "Number"]]}, "output": "Text"},
        "body": {"input": {"Record": [["p", "Text"]]}, "output": "Text"},
    }
    bindings = {"p": stage("a"), "q": stage("b")}
    root = node_of({"op": "Let", "bindings": bindings, "body": stage("body")})
    found = check_graph(root, StageTable(stages))
    assert codes(found) == ["LetInputConflict"]
    assert shown(found) == "Record { x: Number } -> Text"
    assert "field `x` as Text and as Number" in finding_text(found.warnings[0])


def test_the_field_of_a_let_is_named() -> None:
    bindings = {"age": stage("text")}
    found = checked({"op": "Let", "bindings": bindings, "body": stage("from_person")})
    assert finding_text(found.errors[0]) == (
        "the field `age` of stage greet takes Number, but stage give_text gives Text: "
        "expected Number, got Text (at root.body)"
    )


def test_a_binding_that_is_not_found_ends_the_let() -> None:
    bindings = {"a": stage("missing"), "b": stage("missing too")}
    found = checked({"op": "Let", "bindings": bindings, "body": stage("missing three")})
    assert codes(found) == ["StageNotFound"]


def test_a_merge_and_a_fanout_name_what_does_not_fit() -> None:
    merge = {"op": "Merge", "sources": [stage("text")], "target": stage("from_number")}
    assert finding_text(checked(merge).errors[0]) == (
        "stage take_number takes Number, but the Merge gives Record { source_0: Text }: "
        "expected Number, got Record { source_0: Text } (at root.target)"
    )
    fanout = {"op": "Fanout", "source": stage("text"), "targets": [stage("from_number")]}
    assert finding_text(checked(fanout).errors[0]).endswith("got Text (at root.targets[0])")


@pytest.mark.parametrize("operator", ["Sequential", "Parallel", "Fanout", "Merge", "Let"])
def test_an_empty_operator_is_an_error(operator: str) -> None:
    members: dict[str, Any] = {
        "Sequential": {"stages": []},
        "Parallel": {"branches": {}},
        "Fanout": {"source": stage("text"), "targets": []},
        "Merge": {"sources": [], "target": stage("text")},
        "Let": {"bindings": {}, "body": stage("text")},
    }
    found = checked(sequence("text", {"op": operator, **members[operator]}))
    assert codes(found) == ["EmptyNode"]
    assert f"the {operator} is empty" in finding_text(found.errors[0])


def test_a_missing_part_silences_its_edges_only() -> None:
    missing = stage("missing")
    merge = {"op": "Merge", "sources": [missing, stage("text")], "target": stage("any")}
    assert codes(checked(merge)) == ["StageNotFound"]
    fanout = {"op": "Fanout", "source": missing, "targets": [stage("from_number")]}
    assert codes(checked(fanout)) == ["StageNotFound"]
    branch = {"op": "Branch", "predicate": missing, "if_true": stage("any"), "if_false": missing}
    assert codes(checked(branch)) == ["StageNotFound", "StageNotFound"]
    assert codes(checked(parallel(a=missing, b=sequence("text", "from_number")))) == [
        "StageNotFound",
        "SequentialTypeMismatch",
    ]


def test_types_that_double_at_every_stage_are_refused_soon() -> None:
    found = checked(sequence("text", *["twice"] * 60))
    assert codes(found) == ["TypesTooLarge"]


def test_a_graph_nested_as_deeply_as_a_text_can_be_is_checked() -> None:
    root: Node = StageNode("from_text")
    for _ in range(125):
        root = RetryNode(root, 2)
    assert shown(check_graph(root, StageTable(STAGES))) == "Text -> Number"


def test_a_graph_nested_beyond_all_bounds_is_a_finding() -> None:
    root: Node = StageNode("from_text")
    for _ in range(3000):
        root = RetryNode(root, 2)
    assert codes(check_graph(root, StageTable(STAGES))) == ["TypesTooLarge"]
