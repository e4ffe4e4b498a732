import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noether_contract.json_values import JsonValue
from noether_runner.stages.effects import UNKNOWN, EffectKind
from noether_runner.stages.errors import SpecError
from noether_runner.stages.identity import stage_id_v1
from noether_runner.stages.signing import SigningKey
from noether_runner.stages.spec import MAX_SPEC_BYTES, read_spec, read_spec_text
from noether_runner.stages.spec_checks import check_before_storing, lint_warnings, rehashed
from noether_runner.stages.stage import Stage, write_stage
from stage_samples import broken_record, json_values, records, sample, spec


def refusal(document: JsonValue) -> str:
    with pytest.raises(SpecError) as refused:
        read_spec(document)
    return refused.value.kind


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ({"name": 3}, "missing_name"),
        ({"implementation": None}, "missing_implementation_code"),
        ({"implementation": {"language": "bash"}}, "missing_implementation_code"),
        ({"implementation": {"code": 1, "language": "bash"}}, "missing_implementation_code"),
        ({"implementation": {"code": "x"}}, "missing_implementation_language"),
        ({"implementation": {"code": "x", "language": 1}}, "missing_implementation_language"),
        ({"input": None}, "invalid_input_type"),
        ({"input": "Txt", "output": "Txt"}, "invalid_input_type"),
        ({"output": {"Optional": "Text"}}, "invalid_output_type"),
        ({"output": {"Record": [["a"]]}}, "invalid_record_field"),
        ({"input": {"Record": [["a", "Text"], ["a", "Text"]]}}, "invalid_record_field"),
        ({"effects": "Network"}, "unknown_effect"),
        ({"effects": {"effects": []}}, "unknown_effect"),
        ({"effects": ["Network", 7]}, "unknown_effect"),
        ({"effects": ["non_deterministic"]}, "unknown_effect"),
        ({"effects": [{"effect": "Teleport"}]}, "unknown_effect"),
        ({"effects": [{"effect": "FsRead", "path": "/x"}]}, "unknown_effect"),
        ({"effects": [{"effect": "Pure"}, "network"]}, "unknown_effect"),
        ({"examples": {"input": 1, "output": 1}}, "invalid_example"),
        ({"examples": [{"input": "a", "output": "b"}, {"input": "a"}]}, "invalid_example"),
        ({"capabilities": ["Teleport"]}, "invalid_spec"),
        ({"cost": {"tokens_est": -1}}, "invalid_spec"),
        ({"properties": ["x"]}, "invalid_spec"),
        ({"implementation": "pass"}, "python_missing_execute"),
        ({"implementation": "pass", "language": "python3"}, "python_missing_execute"),
        ({"implementation": {"code": "pass", "language": "python"}}, "python_missing_execute"),
    ],
)
def test_what_a_spec_must_not_say(members: dict[str, Any], kind: str) -> None:
    assert refusal({**spec(), **members}) == kind


@pytest.mark.parametrize("document", [None, 1, [], {}, {"name": "x"}, {**spec(), "id": None}])
def test_everything_else_is_read_as_a_full_record(document: JsonValue) -> None:
    assert refusal(document) == "invalid_stage_json"


@pytest.mark.parametrize("language", ["Python", "python ", "py", "javascript"])
def test_the_contract_is_for_two_spellings_of_python_only(language: str) -> None:
    assert read_spec({**spec(code="x"), "language": language}).language == language


def test_a_language_that_is_no_string_means_python() -> None:
    assert read_spec({**spec(), "language": 3}).language == "python"


def test_an_effect_object_that_changes_nothing_is_accepted() -> None:
    same: list[JsonValue] = [[{"effect": "Pure"}], ["Network", {"effect": "Network"}], [], None]
    for effects in same:
        kinds = read_spec({**spec(), "effects": effects}).effects.kinds
        assert kinds in ({EffectKind.PURE}, {EffectKind.NETWORK})


def test_the_hint_of_an_unknown_effect_names_the_effects() -> None:
    with pytest.raises(SpecError) as refused:
        read_spec({**spec(), "effects": ["FsRead"]})
    assert "NonDeterministic" in refused.value.hints[0]


def test_unhashed_members_are_taken_over() -> None:
    members: dict[str, Any] = {
        "description": "d",
        "tags": ["a", 1, "b"],
        "aliases": "none",
        "capabilities": ["Network"],
        "cost": {"tokens_est": 3},
        "ui_style": "b {}",
        "properties": [{"kind": "later"}],
        "lifecycle": "Active",
    }
    stage = read_spec({**spec(), **members})
    record = write_stage(stage)
    assert record["tags"] == ["a", "b"]
    assert "aliases" not in record
    assert record["capabilities"] == ["Network"]
    assert record["properties"] == [{"kind": "later"}]
    assert record["lifecycle"] == "Draft"
    assert stage.cost.tokens_est == 3
    assert stage.id == read_spec(spec()).id


def test_a_description_that_is_no_string_is_the_name() -> None:
    assert read_spec({**spec("n"), "description": 3}).description == "n"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b"{} x",
        b'{"a":01}',
        b"[" * 200,
        b" " * (MAX_SPEC_BYTES + 1),
    ],
)
def test_bytes_that_are_no_json(data: bytes) -> None:
    with pytest.raises(SpecError) as refused:
        read_spec_text(data)
    assert refused.value.kind == "invalid_json"


def test_a_full_record_must_not_repeat_a_member() -> None:
    text = json.dumps(write_stage(sample()))
    with pytest.raises(SpecError, match="twice"):
        read_spec_text(text.replace('"id":', '"id": "x", "id":', 1).encode())


@given(records(), json_values)
def test_full_records_keep_their_ids_or_are_refused(
    record: dict[str, JsonValue], value: JsonValue
) -> None:
    stage = read_spec(record)
    assert stage.id == record["id"]
    with pytest.raises(SpecError):
        read_spec({**record, "signature": value})


@given(st.dictionaries(st.sampled_from(list(spec(language="", effects=0, tags=0))), json_values))
def test_any_spec_is_read_or_refused(members: dict[str, JsonValue]) -> None:
    with suppress(SpecError):
        read_spec({**spec(), **members})


def kept_out(stage: Stage, *, check_examples: bool = True) -> str | None:
    try:
        check_before_storing(stage, check_examples=check_examples)
    except SpecError as error:
        return error.kind
    return None


GOOD = {"input": "a", "output": "b"}
EQUAL = {"kind": "equals", "left_field": "output", "right_field": "input"}


@pytest.mark.parametrize(
    ("stage", "kind"),
    [
        (sample(examples=[GOOD]), None),
        (sample(examples=[GOOD, {"input": 1, "output": "b"}]), "example_type_mismatch"),
        (sample(examples=[{"input": "a", "output": None}]), "example_type_mismatch"),
        (sample(properties=[EQUAL]), "property_violation"),
        (sample(properties=[EQUAL], examples=[GOOD]), "property_violation"),
        (sample(properties=[{**EQUAL, "left_field": 1}]), "shadowed_property_kind"),
        (replace(sample(), id="0" * 64), "id_mismatch"),
        (replace(sample(), effects=UNKNOWN), "id_mismatch"),
        (replace(sample(), signature_id="0" * 64), "signature_id_mismatch"),
        (replace(sample(), code="x"), "implementation_hash_mismatch"),
        (replace(sample(), ed25519_signature="00"), "half_signed"),
        (replace(sample(), ed25519_signature="00", signer_public_key="00"), "bad_signature"),
    ],
)
def test_what_keeps_a_stage_out_of_a_store(stage: Stage, kind: str | None) -> None:
    assert kept_out(stage) == kind


def test_the_place_of_a_bad_example_is_named() -> None:
    stage = sample(examples=[GOOD, {"input": "a", "output": 1}])
    with pytest.raises(SpecError, match=r"examples\[1\]\.output"):
        check_before_storing(stage)
    assert kept_out(stage, check_examples=False) is None


def test_a_record_of_an_older_scheme_names_its_current_id_and_can_be_rehashed() -> None:
    stage = sample()
    old = replace(stage, id=stage_id_v1(stage.signature, stage.implementation_hash))
    made = SigningKey(bytes(32)).sign(old.id)
    old = replace(
        old,
        ed25519_signature=made.ed25519_signature,
        signer_public_key=made.signer_public_key,
    )
    with pytest.raises(SpecError, match=stage.id) as refused:
        check_before_storing(old)
    assert refused.value.kind == "legacy_id"
    assert rehashed(old) == stage


def test_a_union_in_another_order_than_the_usual_is_remarked() -> None:
    stage = sample(input={"List": {"Union": ["Text", "Null"]}}, output={"Union": ["Null", "Text"]})
    (remark,) = lint_warnings(stage)
    assert "Text | Null" in remark
    assert "input" in remark


def test_a_broken_record_is_no_spec() -> None:
    assert refusal(broken_record()) == "invalid_stage_json"
