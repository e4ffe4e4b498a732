"""The map of a JSON text agrees with its value."""

import json

from hypothesis import given
from hypothesis import strategies as st

from noether_contract.json_values import JsonValue, parse_json
from noether_supervisor.config.places import (
    PlaceMap,
    has_repeated_members,
    item_path,
    member_path,
    path_of,
)

KEYS = st.text(st.sampled_from('ab_"\\ .:{}[],é$0'), max_size=4)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


def all_paths(value: JsonValue, path: str = "") -> dict[str, JsonValue]:
    found = {path: value}
    if isinstance(value, dict):
        for key, item in value.items():
            found |= all_paths(item, member_path(path, key))
    if isinstance(value, list):
        for index, item in enumerate(value):
            found |= all_paths(item, item_path(path, index))
    return found


@given(VALUES, st.sampled_from([None, 0, 2]), st.booleans())
def test_every_place_holds_the_value_of_its_path(
    value: JsonValue, indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    places = PlaceMap(text).places
    expected = all_paths(value)
    assert places.keys() == expected.keys()
    for path, place in places.items():
        assert parse_json(text[place.start : place.end]) == expected[path]


@given(VALUES)
def test_a_dumped_value_repeats_no_member(value: JsonValue) -> None:
    text = json.dumps(value)
    assert not has_repeated_members(text, value)
    assert PlaceMap(text).repeated == []


def test_repeated_members_are_found_however_they_are_spelt() -> None:
    text = '{"a": {"b": 1, "\\u0062": [{"c": "x\\": ", "c": 2}]}, "d": "b"}'
    assert has_repeated_members(text, parse_json(text))
    assert [each.path for each in PlaceMap(text).repeated] == ["a.b", "a.b[0].c"]


def test_the_nearest_place_of_a_path_that_is_not_there() -> None:
    places = PlaceMap('{"jobs": [{"name": "a"}]}')
    assert places.nearest("jobs[0].cron") == places.places["jobs[0]"]
    assert places.nearest("jobs[7].cron") == places.places["jobs"]
    assert places.nearest('x["a.b"].c') == places.places[""]


def test_paths_of_plain_and_other_keys() -> None:
    assert path_of(["jobs", 2, "env", "A B"]) == 'jobs[2].env["A B"]'
    assert path_of([]) == ""
