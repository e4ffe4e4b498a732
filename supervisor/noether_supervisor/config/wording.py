"""What pydantic found, said in plain English: place, what was expected, what was met, what to do.

A value appears in a message only when it cannot be a secret.
"""

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from noether_contract.json_values import JsonValue, compact_json
from noether_supervisor.config.document import Document
from noether_supervisor.config.excerpt import harmless, is_secret_path, may_show_text
from noether_supervisor.config.models import (
    HistorySettings,
    Job,
    JobSettings,
    RetrySettings,
    SchedulerConfig,
)
from noether_supervisor.config.places import member_path, path_of
from noether_supervisor.config.webhook import WebhookSettings
from noether_supervisor.errors import Finding

_EXPECTED = {
    "string_type": "expected a string",
    "bool_type": "expected true or false",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "list_type": "expected a list",
    "tuple_type": "expected a list",
    "dict_type": "expected an object",
    "model_type": "expected an object",
    "model_attributes_type": "expected an object",
}
_BOUND = {
    "greater_than": ("gt", "must be greater than"),
    "greater_than_equal": ("ge", "must be at least"),
    "less_than": ("lt", "must be less than"),
    "less_than_equal": ("le", "must be at most"),
}
_OBJECTS: Mapping[str, type[BaseModel]] = {
    "": SchedulerConfig,
    "jobs": Job,
    "defaults": JobSettings,
    "history": HistorySettings,
    "retry": RetrySettings,
    "webhook": WebhookSettings,
}
_ELSEWHERE = {
    "grid_broker": "grid brokers are not supported: stages run on this machine",
}


def finding_for(error: ErrorDetails, document: Document) -> Finding:
    """The finding for one error of the models about `document`."""
    parts = _real_parts(error, document.value)
    path = path_of(parts)
    kind = error["type"]
    if kind == "extra_forbidden":
        return document.finding(path, _unknown_key(parts), at_key=True)
    if kind == "missing":
        return document.finding(path, f"the key '{parts[-1]}' is required and missing")
    if "[key]" in error["loc"]:
        path = member_path(path, str(error["input"]))
        return document.finding(path, _sentence(error, path), at_key=True)
    return document.finding(path, _sentence(error, path))


def describe(value: JsonValue) -> str:
    """A value as a message shows it: short, and with its kind where that is the point."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {_shortened(compact_json(value).decode())}"
        case str():
            return f"the string {_shortened(compact_json(value).decode())}"
        case list():
            return "a list"
        case dict():
            return "an object"


def _met(value: JsonValue, path: str) -> str:
    return "a string" if isinstance(value, str) and not may_show_text(path) else describe(value)


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"


def _real_parts(error: ErrorDetails, value: JsonValue) -> list[str | int]:
    """The location without the names that pydantic adds for members of unions and for keys."""
    loc = error["loc"]
    if loc and loc[-1] == "[key]":
        loc = loc[:-2]
    parts: list[str | int] = []
    for part in loc:
        if isinstance(part, int) and isinstance(value, list):
            value = value[part]
        elif isinstance(value, dict) and part in value:
            value = value[str(part)]
        elif part != loc[-1] or error["type"] != "missing":
            continue
        parts.append(part)
    return parts


def _sentence(error: ErrorDetails, path: str) -> str:
    kind = error["type"]
    context: dict[str, Any] = error.get("ctx", {})
    met = "" if is_secret_path(path) else f", got {_met(error['input'], path)}"
    if kind in _EXPECTED:
        return f"{_EXPECTED[kind]}{met}"
    if kind in _BOUND:
        key, words = _BOUND[kind]
        return f"{words} {context[key]:g}{met}"
    if kind == "literal_error":
        return f"expected {context['expected']}{met}{_did_you_mean(error)}"
    if kind == "value_error":
        return str(context["error"])
    if kind in ("too_short", "string_too_short"):
        return (
            "there are no jobs; at least one is needed" if path == "jobs" else "must not be empty"
        )
    if kind in ("secret_form", "webhook_form"):
        return error["msg"]
    return f"{error['msg'][:1].lower()}{error['msg'][1:]}{met}"


def _did_you_mean(error: ErrorDetails) -> str:
    allowed = str(error["ctx"]["expected"]).replace(" or ", ", ").replace("'", "").split(", ")
    near = _nearest(str(error["input"]), allowed)
    return f"; did you mean '{near}'?" if near else ""


def _unknown_key(parts: list[str | int]) -> str:
    key = harmless(str(parts[-1]), 60)
    if key in _ELSEWHERE:
        return f"unknown key '{key}': {_ELSEWHERE[key]}"
    owner = next((str(part) for part in reversed(parts[:-1]) if isinstance(part, str)), "")
    model = _OBJECTS.get(owner)
    known = list(model.model_fields) if model else ["env", "file"]
    is_service_level = model is SchedulerConfig
    if is_service_level and key in Job.model_fields:
        return f"unknown key '{key}' here: it is a key of a job; write it in a job or in 'defaults'"
    if model is JobSettings and key in Job.model_fields:
        return f"unknown key '{key}' here: each job needs its own '{key}'"
    if model in (Job, JobSettings) and key in SchedulerConfig.model_fields:
        return f"unknown key '{key}' here: it stands at the top of the file, beside 'jobs'"
    if near := _nearest(key, known):
        return f"unknown key '{key}'; did you mean '{near}'?"
    return f"unknown key '{key}'; known here: {', '.join(known)}"


def _nearest(word: str, known: list[str]) -> str | None:
    folded = word.lower().replace("-", "_")
    if folded in known:
        return folded
    near = difflib.get_close_matches(folded, known, n=1, cutoff=0.6)
    return near[0] if near else None
