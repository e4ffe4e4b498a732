from typing import Any

import pytest
from hypothesis import given

from noether_contract.json_values import JsonValue
from noether_runner.stages.errors import RecordError
from noether_runner.stages.properties import (
    PropertyStatus,
    property_status,
    read_property,
    write_property,
)
from noether_runner.stages.property_checks import example_violations, misdeclared, violation_of
from noether_runner.types.terms import read_type
from stage_samples import json_values, names, sample

KNOWN: list[dict[str, Any]] = [
    {"kind": "set_member", "field": "output", "set": [1]},
    {"kind": "range", "field": "output", "min": 0, "max": 1},
    {"kind": "field_length_eq", "left_field": "output", "right_field": "input"},
    {"kind": "field_length_max", "subject_field": "output", "bound_field": "input"},
    {"kind": "subset_of", "subject_field": "output", "super_field": "input"},
    {"kind": "equals", "left_field": "output", "right_field": "input"},
    {"kind": "field_type_in", "field": "output", "allowed": ["null"]},
]


def violated(entry: dict[str, Any], input_value: JsonValue, output_value: JsonValue) -> str | None:
    found = violation_of(read_property(entry), input_value, output_value)
    return None if found is None else found.code.value


@pytest.mark.parametrize("entry", KNOWN, ids=lambda entry: entry["kind"])
def test_a_known_kind_reads_writes_and_is_shadowed_when_a_member_is_wrong(
    entry: dict[str, Any],
) -> None:
    read = read_property({**entry, "extra": 1})
    assert property_status(read) is PropertyStatus.KNOWN
    assert write_property(read) == entry
    for name in entry.keys() - {"kind", "min", "max"}:
        for wrong in ({**entry, name: 7}, {key: entry[key] for key in entry if key != name}):
            shadowed = read_property(wrong)
            assert property_status(shadowed) is PropertyStatus.SHADOWED
            assert write_property(shadowed) == wrong
            assert violation_of(shadowed, 1, 2) is None


@pytest.mark.parametrize("bound", ["0", True, [0]])
def test_a_bound_must_be_a_number(bound: JsonValue) -> None:
    entry = read_property({"kind": "range", "field": "output", "min": bound})
    assert property_status(entry) is PropertyStatus.SHADOWED


def test_a_null_bound_is_absent_and_bounds_are_written_as_doubles() -> None:
    entry = read_property({"kind": "range", "field": "output", "min": None, "max": 3})
    written: Any = write_property(entry)
    assert written == {"kind": "range", "field": "output", "max": 3.0}
    assert isinstance(written["max"], float)


def test_only_an_entry_that_is_no_object_is_an_error() -> None:
    with pytest.raises(RecordError):
        read_property([])
    assert property_status(read_property({})) is PropertyStatus.UNKNOWN
    assert property_status(read_property({"kind": 1})) is PropertyStatus.UNKNOWN


@pytest.mark.parametrize(
    ("entry", "input_value", "output_value", "code"),
    [
        ({"kind": "set_member", "field": "output", "set": [True]}, None, 1, "NotInSet"),
        ({"kind": "set_member", "field": "output", "set": [1]}, None, 1.0, None),
        ({"kind": "equals", "left_field": "output", "right_field": "input"}, [1], [1.0], None),
        (
            {"kind": "equals", "left_field": "output", "right_field": "input"},
            [0],
            [False],
            "NotEqual",
        ),
        ({"kind": "range", "field": "output", "min": 0}, None, False, "NotNumber"),
        ({"kind": "range", "field": "output", "min": 0}, None, -1, "BelowMin"),
        (
            {"kind": "field_length_eq", "left_field": "output", "right_field": "input"},
            "é",
            {"a": 1},
            None,
        ),
        (
            {"kind": "field_length_max", "subject_field": "output", "bound_field": "input"},
            None,
            "x",
            "NotMeasurable",
        ),
        (
            {"kind": "field_length_max", "subject_field": "output.a", "bound_field": "input.b"},
            1,
            {"a": 5},
            "FieldMissing",
        ),
        (
            {"kind": "subset_of", "subject_field": "output", "super_field": "input"},
            "xaby",
            "ab",
            None,
        ),
        ({"kind": "subset_of", "subject_field": "output", "super_field": "input"}, [], [], None),
        (
            {"kind": "subset_of", "subject_field": "output", "super_field": "input"},
            5,
            "a",
            "NotCollectionForSubset",
        ),
        (
            {"kind": "field_type_in", "field": "output", "allowed": []},
            None,
            None,
            "TypeNotInAllowed",
        ),
        (
            {"kind": "field_type_in", "field": "output", "allowed": ["number"]},
            1,
            True,
            "TypeNotInAllowed",
        ),
        ({"kind": "range", "field": ""}, None, 1, "BadPath"),
        ({"kind": "range", "field": "output."}, None, {"": 1}, None),
        ({"kind": "range", "field": "output.0"}, None, [1], "FieldMissing"),
    ],
)
def test_what_holds(
    entry: dict[str, Any], input_value: JsonValue, output_value: JsonValue, code: str | None
) -> None:
    assert violated(entry, input_value, output_value) == code


def test_every_violation_of_a_stage_is_listed_with_its_example() -> None:
    stage = sample(
        examples=[{"input": "a", "output": "a"}, {"input": "a", "output": "b"}],
        properties=[
            {"kind": "equals", "left_field": "output", "right_field": "input"},
            {"kind": "set_member", "field": "output", "set": ["c"]},
        ],
    )
    found = [
        (each.example, each.property)
        for each in example_violations(stage.properties, stage.examples)
    ]
    assert found == [(0, 1), (1, 0), (1, 1)]


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ({"kind": "Number"}, None),
        ({"kind": "Any"}, None),
        ({"kind": "Var", "value": "T"}, None),
        ({"kind": "Text"}, "RangeOnNonNumber"),
        (
            {
                "kind": "Refined",
                "value": {"base": {"kind": "Number"}, "refinement": {"kind": "NonEmpty"}},
            },
            None,
        ),
    ],
)
def test_a_range_needs_a_type_that_can_be_a_number(term: JsonValue, expected: str | None) -> None:
    entry = read_property({"kind": "range", "field": "output"})
    found = misdeclared(entry, read_type(term), read_type(term))
    assert (found and found.code.value) == expected


@given(json_values, names, json_values, json_values)
def test_checks_end_in_a_violation_or_none(
    member: JsonValue, path: str, input_value: JsonValue, output_value: JsonValue
) -> None:
    for entry in KNOWN:
        for name in entry.keys() - {"kind"}:
            read = read_property({**entry, name: member})
            violation_of(read, input_value, output_value)
            violation_of(
                read_property({**entry, name: f"output.{path}"}), input_value, output_value
            )
