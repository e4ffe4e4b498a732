"""Standard stages that check stage records as plain values (`stdlib.md` §12.1)."""

from typing import Final

from noether_contract.json_values import JsonValue
from noether_runner.builtins.builtin import plain
from noether_runner.builtins.fields import WHITE_SPACE, optional_text, record_of

_CHECKS = ("hash_check", "sig_check", "desc_check", "examples_check")


def check_stage_description(value: JsonValue) -> JsonValue:
    """Whether there is a description."""
    description = optional_text(record_of(value), "description", "")
    if description.strip(WHITE_SPACE):
        return {"passed": True, "error": None}
    return {"passed": False, "error": "stage description must not be empty"}


def check_stage_examples(value: JsonValue) -> JsonValue:
    """How many examples there are; none is worth a warning, never a failure."""
    examples = record_of(value).get("examples")
    count = len(examples) if isinstance(examples, list) else 0
    warning = "no examples provided — semantic search quality will be reduced"
    return {"passed": True, "count": count, "warning": None if count else warning}


def merge_validation_checks(value: JsonValue) -> JsonValue:
    """One verdict of four checks; each must have passed, and be there."""
    checks = record_of(value)
    errors: list[JsonValue] = []
    warnings: list[JsonValue] = []
    for name in _CHECKS:
        check = record_of(checks.get(name))
        texts = {kind: optional_text(check, kind, "") for kind in ("error", "warning")}
        if check.get("passed") is True:
            warnings += [texts["warning"]] if texts["warning"] else []
            continue
        told: list[JsonValue] = [text for text in texts.values() if text]
        state = "did not pass and says nothing" if name in checks else "is missing"
        errors += told or [f"the check {name} {state}"]
    return {"passed": not errors, "errors": errors, "warnings": warnings}


STAGES: Final = (
    plain("check_stage_description", check_stage_description),
    plain("check_stage_examples", check_stage_examples),
    plain("merge_validation_checks", merge_validation_checks),
)
