"""JSON Schema: each keyword with a value that follows it and one that does not."""

from collections.abc import Mapping
from typing import Any

import pytest

from builtin_calls import calling
from noether_contract.json_values import JsonValue
from noether_contract.messages import Limits
from noether_contract.outcomes import ErrorCode
from noether_runner.builtins.builtin import BuiltinError
from noether_runner.builtins.json_schema import json_schema_validate


class Unhurried:
    """A context that lets a stage take its time."""

    @property
    def reach(self) -> Any:
        return self

    def go_on(self) -> None:
        """At once."""

    environment: Mapping[str, str] = {}

    def warn(self, text: str) -> None:
        raise AssertionError(text)

    log = warn


def errors(data: JsonValue, schema: JsonValue) -> list[JsonValue]:
    result = json_schema_validate({"data": data, "schema": schema}, Unhurried())
    assert isinstance(result, dict)
    found = result["errors"]
    assert isinstance(found, list)
    assert result["valid"] is (not found)
    return found


TREE: JsonValue = {
    "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
    "$ref": "#/$defs/node",
}


@pytest.mark.parametrize(
    ("schema", "follows", "does_not"),
    [
        ({"enum": [1, "a", None]}, 1.0, "b"),
        ({"const": {"a": 1}}, {"a": 1.0}, {"a": True}),
        ({"minimum": 3}, 3, 2.9),
        ({"maximum": 2**64 - 2}, 2**64 - 2, 2**64 - 1),
        ({"exclusiveMinimum": 3}, 3.1, 3),
        ({"exclusiveMaximum": 3}, 2, 3),
        ({"multipleOf": 0.1}, 0.3, 0.35),
        ({"minLength": 2}, "éé", "é"),
        ({"maxLength": 1}, "\U0001f600", "ab"),
        ({"pattern": "^[a-c]+$"}, "abc", "abd"),
        ({"minItems": 1}, [0], []),
        ({"maxItems": 1}, [0], [0, 0]),
        ({"uniqueItems": True}, [1, "1", True], [1, 1.0]),
        ({"items": {"type": "string"}}, ["a"], ["a", 1]),
        ({"prefixItems": [{"const": 1}], "items": False}, [1], [1, 2]),
        ({"items": [{"const": 1}], "additionalItems": {"const": 2}}, [1, 2], [1, 3]),
        ({"contains": {"const": 1}}, [0, 1], [0]),
        ({"contains": {"const": 1}, "minContains": 2, "maxContains": 2}, [1, 1], [1, 1, 1]),
        ({"minProperties": 1}, {"a": 1}, {}),
        ({"maxProperties": 0}, {}, {"a": 1}),
        ({"required": ["a"]}, {"a": None}, {"b": 1}),
        ({"properties": {"a": {"type": "integer"}}}, {"a": 2.0}, {"a": 2.5}),
        ({"properties": {"a": True}, "additionalProperties": False}, {"a": 1}, {"b": 1}),
        ({"additionalProperties": {"type": "null"}}, {"a": None}, {"a": 1}),
        ({"patternProperties": {"^x": {"const": 1}}}, {"x": 1, "y": 2}, {"xy": 2}),
        ({"propertyNames": {"maxLength": 1}}, {"a": 1}, {"ab": 1}),
        ({"dependentRequired": {"a": ["b"]}}, {"b": 1}, {"a": 1}),
        ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, 1, 3),
        ({"anyOf": [{"type": "null"}, {"minimum": 1}]}, None, 0),
        ({"oneOf": [{"minimum": 1}, {"minimum": 2}]}, 1, 2),
        ({"not": {"const": 1}}, 2, 1),
        ({"if": {"minimum": 10}, "then": {"multipleOf": 10}}, 20, 21),
        ({"if": {"minimum": 10}, "else": {"const": 1}}, 1, 2),
        (TREE, {"next": {"next": {}}}, {"next": {"next": 1}}),
        ({"type": ["integer", "null"]}, 5.0, 5.5),
        (True, None, None),
    ],
)
def test_a_keyword(schema: JsonValue, follows: JsonValue, does_not: JsonValue) -> None:
    assert errors(follows, schema) == []
    if schema is not True:
        assert len(errors(does_not, schema)) == 1


def test_keywords_for_other_kinds_do_not_count() -> None:
    schema: JsonValue = {"minLength": 5, "minItems": 5, "required": ["a"], "minimum": 5}
    for value in (None, True):
        assert errors(value, schema) == []


def test_a_schema_that_is_none_validates_everything() -> None:
    schemas: tuple[JsonValue, ...] = (None, 5, "text", [])
    for schema in schemas:
        assert errors({"a": 1}, schema) == []
    assert errors(1, False) == ["nothing is allowed here"]


def test_a_root_type_is_told_alone_and_in_the_references_words() -> None:
    schema: JsonValue = {"type": "object", "minimum": 5}
    assert errors(1, schema) == ["expected object, got number"]
    assert errors("x", {"type": ["number", "null"]}) == ["expected number or null, got string"]
    assert errors(1, {"type": "float"}) == ["expected float, got number"]
    assert errors(1, {"type": []}) == errors(1, {"type": 5}) == []


def test_places_are_json_pointers() -> None:
    schema: JsonValue = {"properties": {"a/b": {"items": {"type": "null"}}}}
    assert errors({"a/b": [None, 5]}, schema) == ["at /a~1b/1: expected null, got number"]


def test_references_that_lead_nowhere_or_back() -> None:
    assert "which is not in it" in str(errors(1, {"$ref": "#/$defs/x"}))
    assert "which is not in it" in str(errors(1, {"$ref": "http://a.test/schema"}))
    assert "leads back to itself" in str(errors(1, {"$ref": "#"}))
    assert errors(1, {"$defs": {"a b": {"const": 1}}, "$ref": "#/$defs/a%20b"}) == []


def test_a_pattern_that_is_none_fails_the_stage() -> None:
    with pytest.raises(BuiltinError, match="the schema's pattern"):
        errors("a", {"pattern": "("})


def test_a_schema_that_takes_ages_has_the_time_of_a_stage() -> None:
    steps: dict[str, JsonValue] = {
        str(step): {"anyOf": [{"$ref": f"#/$defs/{step + 1}"}] * 2} for step in range(40)
    }
    schema: JsonValue = {"$defs": {**steps, "40": False}, "$ref": "#/$defs/0"}
    with calling() as caller:
        asked: JsonValue = {"data": 1, "schema": schema}
        outcome = caller.call("json_schema_validate", asked, limits=Limits(stage_seconds=0.05))
    assert outcome.error is not None
    assert outcome.error.code is ErrorCode.STAGE_TIMED_OUT
