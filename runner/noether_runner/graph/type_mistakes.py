"""Which code of `graph.md` §1.4 a malformed type inside a `RemoteStage` has.

`types/terms.py` reads types and words the error; the document format wants a code and a member
on top, found in the order in which the reference would look.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from noether_contract.json_values import JsonValue
from noether_runner.graph.mistakes import MistakeKind

Judgement: TypeAlias = "tuple[MistakeKind, str] | None"
"""Code and member of the first mistake, None when there is none."""

_Judge: TypeAlias = Callable[[JsonValue, str], Judgement]

_LEAVES = frozenset({"Any", "Bool", "Bytes", "Null", "Number", "Text", "VNode"})


def judge_type(json: JsonValue, field: str) -> Judgement:
    """The first mistake in a type that stands in the member `field`."""
    kind, mistake = _kind(json, field, _LEAVES | _CONTENT.keys())
    if mistake is not None or not isinstance(json, dict):
        return mistake
    if kind in _LEAVES:
        return None if json.get("value") is None else ("invalid_type", "value")
    if "value" not in json:
        return ("missing_field", "value")
    return _CONTENT[kind](json["value"], "value")


def _kind(json: JsonValue, field: str, known: frozenset[str]) -> tuple[str, Judgement]:
    if not isinstance(json, dict):
        return "", ("invalid_type", field)
    kind = json.get("kind")
    if "kind" not in json:
        return "", ("missing_field", "kind")
    if not isinstance(kind, str):
        return "", ("invalid_type", "kind")
    return kind, None if kind in known else ("unknown_variant", "kind")


def _members(required: Mapping[str, _Judge]) -> _Judge:
    def judge(json: JsonValue, field: str) -> Judgement:
        if not isinstance(json, dict):
            return ("invalid_type", field)
        for name, value in json.items():
            mistake = required[name](value, name) if name in required else None
            if mistake is not None:
                return mistake
        for name in required:
            if name not in json:
                return ("missing_field", name)
        return None

    return judge


def _judge_fields(json: JsonValue, field: str) -> Judgement:
    if not isinstance(json, dict):
        return ("invalid_type", field)
    found = (judge_type(value, name) for name, value in json.items())
    return next((mistake for mistake in found if mistake is not None), None)


def _judge_union(json: JsonValue, field: str) -> Judgement:
    if not isinstance(json, list):
        return ("invalid_type", field)
    found = (judge_type(member, field) for member in json)
    return next((mistake for mistake in found if mistake is not None), None)


def _judge_text(json: JsonValue, field: str) -> Judgement:
    return None if isinstance(json, str) else ("invalid_type", field)


def _judge_bound(json: JsonValue, field: str) -> Judgement:
    is_number = isinstance(json, int | float) and not isinstance(json, bool)
    return None if json is None or is_number else ("invalid_type", field)


def _judge_refinement(json: JsonValue, field: str) -> Judgement:
    kind, mistake = _kind(json, field, frozenset({"Range", "OneOf", "NonEmpty"}))
    if mistake is not None or not isinstance(json, dict):
        return mistake
    match kind:
        case "Range":
            bounds = [(name, json[name]) for name in json if name in {"min", "max"}]
            found = (_judge_bound(bound, name) for name, bound in bounds)
            return next((mistake for mistake in found if mistake is not None), None)
        case "OneOf" if "options" not in json:
            return ("missing_field", "options")
        case "OneOf":
            return None if isinstance(json["options"], list) else ("invalid_type", "options")
        case _:
            return None


_CONTENT: dict[str, _Judge] = {
    "List": judge_type,
    "Stream": judge_type,
    "Map": _members({"key": judge_type, "value": judge_type}),
    "Record": _judge_fields,
    "Union": _judge_union,
    "Var": _judge_text,
    "RecordWith": _members({"fields": _judge_fields, "rest": _judge_text}),
    "Refined": _members({"base": judge_type, "refinement": _judge_refinement}),
}
