"""The cases of `type_vectors.json` that are about stages: effects, properties, examples."""

import json
from typing import Any

import pytest

from noether_runner.stages.effects import EffectSet, read_effect
from noether_runner.stages.errors import RecordError, SpecError
from noether_runner.stages.properties import UnknownProperty, read_property
from noether_runner.stages.property_checks import misdeclared, violation_of
from noether_runner.stages.spec import read_spec_text
from noether_runner.stages.spec_checks import example_findings
from noether_runner.stages.stage import read_stage
from noether_runner.types.terms import read_type
from vector_files import load_vectors

pytestmark = pytest.mark.vectors

VECTORS = load_vectors("type_vectors.json")


def of_kind(kind: str) -> pytest.MarkDecorator:
    cases = [case for case in VECTORS["cases"] if case["kind"] == kind]
    return pytest.mark.parametrize("case", cases, ids=[case["id"] for case in cases])


@of_kind("effect_set")
def test_effect_set(case: Any) -> None:
    effects = EffectSet.of(read_effect(each) for each in case["effects"])
    assert effects.write()["effects"] == case["expect"]["effects"]


@of_kind("spec_effects")
def test_spec_effects(case: Any) -> None:
    spec = {"name": "x", "input": "Any", "output": "Any", "implementation": "x", "language": "bash"}
    if "effects" in case:
        spec["effects"] = case["effects"]
    accepted = [case["expect"], *case.get("accept_also", [])]
    try:
        found: Any = {
            "effects": read_spec_text(json.dumps(spec).encode()).effects.write()["effects"]
        }
    except SpecError:
        found = {"error": True}
    assert found in accepted


@of_kind("property")
def test_property(case: Any) -> None:
    entry = read_property(case["property"])
    violation = violation_of(entry, case["input"], case["output"])
    if violation is not None:
        found: Any = {"ok": False, "violation": violation.code.value}
    else:
        found = {"ok": True, "unknown": isinstance(entry, UnknownProperty)}
    assert found in [case["expect"], *case.get("accept_also", [])]


@of_kind("property_types")
def test_property_types(case: Any) -> None:
    entry = read_property(case["property"])
    violation = misdeclared(entry, read_type(case["input"]), read_type(case["output"]))
    found = {"ok": True} if violation is None else {"ok": False, "error": violation.code.value}
    assert found in [case["expect"], *case.get("accept_also", [])]


@of_kind("property_decode")
def test_property_decode(case: Any) -> None:
    try:
        entry = read_property(case["json"])
    except RecordError:
        assert not case["expect"]["ok"]
        return
    found = {
        "ok": True,
        "unknown": isinstance(entry, UnknownProperty),
        "shadowed_kind": entry.shadowed_kind if isinstance(entry, UnknownProperty) else None,
    }
    assert found == case["expect"]


@of_kind("validate_stage")
def test_validate_stage(case: Any) -> None:
    given = case["stage"]
    stage = read_stage(
        {
            "id": "x",
            "signature": {
                "input": given["input"],
                "output": given["output"],
                "effects": {"effects": []},
                "implementation_hash": "x",
            },
            "capabilities": [],
            "cost": {},
            "description": "x",
            "examples": given["examples"],
            "lifecycle": "Draft",
            "properties": given.get("properties", []),
        }
    )
    members = {"code": "code", "index": "index", "kind": "kind", "min": "minimum", "got": "got"}
    found = [
        {name: getattr(finding, attribute) for name, attribute in members.items()}
        for finding in example_findings(stage, case["min_examples"])
    ]
    accepted = [case["expect"], *case.get("accept_also", [])]
    assert any(
        len(found) == len(each["errors"])
        and all(
            one.items() <= other.items() for one, other in zip(each["errors"], found, strict=True)
        )
        for each in accepted
    ), found
