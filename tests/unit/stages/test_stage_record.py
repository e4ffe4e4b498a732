from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given

from noether_contract.json_values import JsonValue
from noether_runner.stages.errors import RecordError
from noether_runner.stages.stage import read_stage, read_stage_text, write_stage
from noether_runner.types.terms import read_type
from stage_samples import json_values, records, sample

RECORD = write_stage(sample(tags=["t"], description="d"))


def changed(**members: Any) -> dict[str, Any]:
    return {**RECORD, **members}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in RECORD.items() if key != name}


@pytest.mark.parametrize(
    "name",
    ["id", "signature", "capabilities", "cost", "description", "examples", "lifecycle"],
)
def test_a_required_member_is_missing(name: str) -> None:
    with pytest.raises(RecordError, match=f"'{name}' is missing"):
        read_stage(without(name))


@pytest.mark.parametrize(
    ("members", "where"),
    [
        ({"id": 1}, "id"),
        ({"tags": None}, "tags"),
        ({"aliases": "x"}, "aliases"),
        ({"tags": ["a", 1]}, r"tags\[1\]"),
        ({"properties": None}, "properties"),
        ({"properties": [1]}, r"properties\[0\]"),
        ({"cost": []}, "cost"),
        ({"cost": {"memory_mb": 1.0}}, "cost.memory_mb"),
        ({"cost": {"memory_mb": "1"}}, "cost.memory_mb"),
        ({"examples": [[1, 2]]}, r"examples\[0\]"),
        ({"examples": [{"input": 1}]}, r"examples\[0\]"),
        ({"lifecycle": "active"}, "lifecycle"),
        ({"lifecycle": {"Deprecated": {}}}, "lifecycle.Deprecated.successor_id"),
        ({"lifecycle": {"Deprecated": {"successor_id": "x"}, "Active": None}}, "lifecycle"),
        ({"capabilities": ["Teleport"]}, r"capabilities\[0\]"),
        ({"ed25519_signature": 1}, "ed25519_signature"),
        ({"canonical_id": None}, "canonical_id"),
        ({"signature": []}, "signature"),
        ({"name": 1}, "name"),
    ],
)
def test_a_wrong_member_is_named(members: dict[str, Any], where: str) -> None:
    with pytest.raises(RecordError, match=f"^{where}"):
        read_stage(changed(**members))


def test_a_wrong_type_is_named_with_its_place() -> None:
    signature: Any = RECORD["signature"]
    wrong = {"kind": "List", "value": {"kind": "Txt"}}
    with pytest.raises(RecordError, match=r"^signature\.output: not a type: .*Txt"):
        read_stage(changed(signature={**signature, "output": wrong}))


def test_null_optional_members_count_as_absent() -> None:
    stage = read_stage(
        changed(signature_id=None, name=None, ui_style=None, implementation_code=None)
    )
    assert (stage.signature_id, stage.name, stage.code) == (None, None, None)
    assert "name" not in write_stage(stage)


def test_the_old_name_of_the_signature_id_is_read_and_written_anew() -> None:
    record = without("signature_id")
    stage = read_stage({**record, "canonical_id": "abc"})
    assert write_stage(stage)["signature_id"] == "abc"
    assert "canonical_id" not in write_stage(stage)


def test_unknown_top_level_members_are_kept_and_deeper_ones_dropped() -> None:
    signature: Any = RECORD["signature"]
    stage = read_stage(
        changed(x_note={"by": ["me"]}, signature={**signature, "x": 1}, cost={"x": 1})
    )
    written: Any = write_stage(stage)
    assert written["x_note"] == {"by": ["me"]}
    assert "x" not in written["signature"]
    assert written["cost"] == {"time_ms_p50": None, "tokens_est": None, "memory_mb": None}


def test_members_are_written_in_the_documented_order() -> None:
    stage = read_stage(changed(z=1, properties=[{"kind": "later"}], aliases=["a"], ui_style="b"))
    assert list(write_stage(stage)) == [
        "id",
        "signature_id",
        "signature",
        "capabilities",
        "cost",
        "description",
        "examples",
        "lifecycle",
        "ed25519_signature",
        "signer_public_key",
        "implementation_code",
        "implementation_language",
        "ui_style",
        "tags",
        "aliases",
        "name",
        "properties",
        "z",
    ]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('"id":"a","id":"b"', "id"),
        ('"lifecycle":"Active","lifecycle":"Active"', "lifecycle"),
        ('"cost":{"memory_mb":1,"memory_mb":1}', "cost.memory_mb"),
        ('"examples":[{"input":1,"input":1,"output":1}]', "examples[0].input"),
        (
            '"signature":{"effects":{"effects":[{"effect":"Pure","effect":"Pure"}]}}',
            "signature.effects.effects[0].effect",
        ),
    ],
)
def test_a_member_with_a_meaning_must_not_occur_twice(text: str, where: str) -> None:
    with pytest.raises(RecordError) as refused:
        read_stage_text("{" + text + "}")
    assert refused.value.where == where


@pytest.mark.parametrize(
    ("term", "place"),
    [
        ('{"kind":"Text","kind":"Number"}', "kind"),
        ('{"kind":"List","value":{"kind":"Text","kind":"Text"}}', "value.kind"),
        ('{"kind":"Union","value":[{"kind":"Text"},{"kind":"Any","kind":"Any"}]}', "value[1].kind"),
        ('{"kind":"Record","value":{"a":{"kind":"Any","value":0,"value":1}}}', "value.a.value"),
        ('{"kind":"Map","value":{"key":1,"key":2}}', "value.key"),
        ('{"kind":"RecordWith","value":{"rest":"R","rest":"S"}}', "value.rest"),
        (
            '{"kind":"RecordWith","value":{"fields":{"a":{"kind":1,"kind":2}}}}',
            "value.fields.a.kind",
        ),
        ('{"kind":"Refined","value":{"base":{"kind":1,"kind":2}}}', "value.base.kind"),
        ('{"kind":"Refined","value":{"refinement":{"min":1,"min":2}}}', "value.refinement.min"),
    ],
)
def test_a_member_of_a_type_must_not_occur_twice(term: str, place: str) -> None:
    with pytest.raises(RecordError) as refused:
        read_stage_text('{"signature":{"output":' + term + "}}")
    assert refused.value.where == f"signature.output.{place}"


def test_bytes_that_are_no_utf8_are_named_with_their_place() -> None:
    with pytest.raises(RecordError, match="not JSON: the text is not UTF-8 at line 2 column 6"):
        read_stage_text(b'{\n"\xc3\xa9":"\xff"}')


def test_free_names_may_repeat_and_the_last_one_counts() -> None:
    text = orjson.dumps(RECORD).decode()
    twice = '"examples":[{"input":{"a":1,"a":"last"},"output":""}]'
    text = text.replace('"examples":[]', twice).replace("{", '{"y":0,"y":1,', 1)
    fields = '{"kind":"Record","value":{"f":{"kind":"Text"},"f":{"kind":"Number"}}}'
    stage = read_stage_text(text.replace('"input":{"kind":"Text"}', f'"input":{fields}'))
    assert stage.examples[0].input == {"a": "last"}
    assert stage.input == read_type({"kind": "Record", "value": {"f": {"kind": "Number"}}})
    assert stage.extra == {"y": 1}


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "\ufeff{}", '{"id":NaN}', '"\\ud800"'])
def test_text_that_holds_no_record(text: str) -> None:
    with pytest.raises(RecordError):
        read_stage_text(text)


@given(records(), json_values)
def test_whatever_a_member_becomes_reading_ends_in_a_stage_or_a_record_error(
    record: dict[str, JsonValue], value: JsonValue
) -> None:
    for name in record:
        with suppress(RecordError):
            read_stage({**record, name: value})
