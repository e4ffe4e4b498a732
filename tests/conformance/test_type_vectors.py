"""The cases of `type_vectors.json` (`types.md` §14): types, effects, properties, whole graphs."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from noether_runner.errors import RunnerError
from noether_runner.graph.document import read_graph
from noether_runner.stages.effects import Capability, EffectKind, read_effect_set
from noether_runner.stages.errors import RecordError
from noether_runner.stages.properties import Example, UnknownProperty, read_property
from noether_runner.stages.property_checks import misdeclared, violation_of
from noether_runner.stages.spec import read_simple_spec
from noether_runner.stages.spec_checks import example_findings
from noether_runner.types.check import check_graph, write_finding
from noether_runner.types.check.effects import (
    EffectWarning,
    FallibleWithoutRetry,
    cost_map,
    effect_warnings,
    infer_effects,
)
from noether_runner.types.check.policies import (
    CAPABILITY_NAMES,
    check_budget,
    check_capabilities,
    check_effects,
    read_effect_policy,
    split_names,
)
from noether_runner.types.infer import infer
from noether_runner.types.refine import read_refinement, violation
from noether_runner.types.render import render
from noether_runner.types.shorthand import read_spec_type
from noether_runner.types.subtype import mismatch, reason_text, write_reason
from noether_runner.types.terms import TypeSyntaxError, read_type, union, write_type
from noether_runner.types.unify import Mismatch, OccursCheck, unify
from type_samples import StageTable, sample_stage
from vector_files import load_vectors

pytestmark = pytest.mark.vectors

Case = dict[str, Any]


def of_subtype(case: Case) -> Case:
    reason = mismatch(read_type(case["sub"]), read_type(case["sup"]))
    if reason is None:
        return {"compatible": True}
    return {"compatible": False, "reason": write_reason(reason), "text": reason_text(reason)}


def of_unify(case: Case) -> Case:
    found = unify(read_type(case["lhs"]), read_type(case["rhs"]))
    match found:
        case OccursCheck(variable):
            return {"ok": False, "error": {"code": "OccursCheck", "var": variable}}
        case Mismatch(why):
            return {"ok": False, "error": {"code": "Mismatch", "why": why}}
        case bindings:
            return {"ok": True, "bindings": {k: write_type(v) for k, v in bindings.items()}}


def of_infer(case: Case) -> Case:
    hint = None if case.get("hint") is None else read_type(case["hint"])
    return {"type": write_type(infer(case["value"], hint))}


def of_refine(case: Case) -> Case:
    found = violation(case["value"], read_refinement(case["refinement"]))
    return {"ok": True} if found is None else {"ok": False, "why": found.code}


def of_normalize(case: Case) -> Case:
    try:
        return {"ok": True, "type": write_type(read_spec_type(case["spec"]))}
    except TypeSyntaxError:
        return {"ok": False}


def of_decode(case: Case) -> Case:
    try:
        return {"ok": True, "type": write_type(read_type(case["json"]))}
    except TypeSyntaxError:
        return {"ok": False}


def of_display(case: Case) -> Case:
    return {"text": render(read_type(case["type"]))}


def of_union(case: Case) -> Case:
    return {"type": write_type(union([read_type(each) for each in case["variants"]]))}


def of_effect_set(case: Case) -> Case:
    return dict(read_effect_set({"effects": case["effects"]}).write())


def of_spec_effects(case: Case) -> Case:
    code = {"code": "cat", "language": "bash"}
    spec: Case = {"name": "s", "input": "Any", "output": "Any", "implementation": code}
    if "effects" in case:
        spec["effects"] = case["effects"]
    return dict(read_simple_spec(spec).effects.write())


def of_parse_allow_effects(case: Case) -> Case:
    text = case["text"]
    if text is None:
        return {"restricted": False, "kinds": [], "ignored": []}
    allowed = read_effect_policy(split_names(text))
    assert allowed is not None
    kinds = [kind.policy_name for kind in EffectKind if kind in allowed]
    ignored = ["" for token in text.split(",") if not token.strip()]
    return {"restricted": True, "kinds": kinds, "ignored": ignored}


def of_property(case: Case) -> Case:
    entry = read_property(case["property"])
    found = violation_of(entry, case["input"], case["output"])
    if found is not None:
        return {"ok": False, "violation": found.code.value}
    return {"ok": True, "unknown": isinstance(entry, UnknownProperty)}


def of_property_types(case: Case) -> Case:
    entry = read_property(case["property"])
    found = misdeclared(entry, read_type(case["input"]), read_type(case["output"]))
    return {"ok": True} if found is None else {"ok": False, "error": found.code.value}


def of_property_decode(case: Case) -> Case:
    try:
        entry = read_property(case["json"])
    except RecordError:
        return {"ok": False}
    is_unknown = isinstance(entry, UnknownProperty)
    shadowed = entry.shadowed_kind if isinstance(entry, UnknownProperty) else None
    return {"ok": True, "unknown": is_unknown, "shadowed_kind": shadowed}


def of_check_graph(case: Case) -> Case:
    document = {"description": "", "version": "0.1.0", "root": case["root"]}
    root = read_graph(json.dumps(document), case["id"]).root
    source = StageTable(case["stages"])
    checked = check_graph(root, source)
    policy = case.get("policy") or {}
    found: Case = {
        "ok": checked.ok,
        "effects": infer_effects(root, source).write()["effects"],
        "warnings": [write_effect_warning(each) for each in effect_warnings(root, source)],
        "cost_map": cost_map(root, source),
    }
    if checked.input is not None and checked.output is not None:
        found |= {"input": write_type(checked.input), "output": write_type(checked.output)}
    else:
        found["errors"] = [write_finding(each) for each in checked.errors]
    effects = read_effect_policy(policy.get("allow_effects"))
    found["effect_violations"] = [
        {"stage_id": each.stage_id, "effect": each.effect.write()}
        for each in check_effects(root, source, effects)
    ]
    names = policy.get("allow_capabilities")
    capabilities = (
        None
        if names is None
        else frozenset(CAPABILITY_NAMES.get(name) or Capability(name) for name in names)
    )
    found["capability_violations"] = [
        {"stage_id": each.stage_id, "required": each.required.value}
        for each in check_capabilities(root, source, capabilities)
    ]
    exceeded = check_budget(root, source, policy.get("budget_cents"))
    found["budget_exceeded"] = (
        [{"total_cents": exceeded.total_cents, "budget_cents": exceeded.budget_cents}]
        if exceeded
        else []
    )
    return found


def write_effect_warning(warning: EffectWarning) -> Case:
    if isinstance(warning, FallibleWithoutRetry):
        return {"code": "FallibleWithoutRetry", "stage_id": warning.stage_id}
    return {"code": type(warning).__name__, "from": warning.from_id, "to": warning.to_id}


def of_validate_stage(case: Case) -> Case:
    json = case["stage"]
    stage = replace(
        sample_stage("s", json),
        examples=tuple(Example(each["input"], each["output"]) for each in json.get("examples", [])),
        properties=tuple(read_property(each) for each in json.get("properties", [])),
    )
    errors: list[Case] = []
    for found in example_findings(stage, case["min_examples"]):
        members = {"index": found.index, "kind": found.kind, "min": found.minimum, "got": found.got}
        given = {name: value for name, value in members.items() if value is not None}
        errors.append({"code": found.code, **given})
    return {"errors": errors}


ANSWERS: dict[str, Callable[[Case], Case]] = {
    name.removeprefix("of_"): answer
    for name, answer in list(globals().items())
    if name.startswith("of_")
}

WHOLE = {
    *("type", "input", "output", "from", "to", "from_output", "to_input", "source_output"),
    *("target_input", "merged_type", "actual", "effect", "effects", "cost_map"),
}
"""Members that must be equal; in all others the result may have more than the pattern."""


def matches(pattern: Any, result: Any, *, whole: bool = False) -> bool:
    match pattern:
        case dict():
            if not isinstance(result, dict) or (whole and set(pattern) != set(result)):
                return False
            return all(
                name in result and matches(each, result[name], whole=whole or name in WHOLE)
                for name, each in pattern.items()
            )
        case list():
            return (
                isinstance(result, list)
                and len(pattern) == len(result)
                and all(
                    matches(each, met, whole=whole)
                    for each, met in zip(pattern, result, strict=True)
                )
            )
        case bool() | None:
            return pattern is result
        case _:
            return bool(pattern == result) and not isinstance(result, bool)


CASES = load_vectors("type_vectors.json")["cases"]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_case(case: Case) -> None:
    try:
        result = ANSWERS[case["kind"]](case)
    except RunnerError:
        result = {"error": True}
    patterns = [case["expect"], *case.get("accept_also", [])]
    assert any(matches(pattern, result) for pattern in patterns), (case, result)
