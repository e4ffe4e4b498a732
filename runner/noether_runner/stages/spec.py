"""Hand-written specs: from the text of a file to a stage (`stages.md` §6.1–6.5).

A JSON object with `name` and `implementation` and without `id` is a *simple spec*; everything else
is read as a full stage record. Reading is strict: where the reference drops what it does not
understand, this is an error, so a stage never gets another id than the reference would give it.
"""

from collections.abc import Mapping
from typing import TypeGuard

from noether_contract.json_values import JsonTextError, JsonValue, parse_json
from noether_runner.stages.effects import (
    PURE,
    Effect,
    EffectKind,
    EffectSet,
    read_capabilities,
    read_effect,
)
from noether_runner.stages.errors import RecordError, SpecError, json_kind
from noether_runner.stages.identity import (
    StageSignature,
    implementation_hash_of,
    signature_id,
    stage_id,
)
from noether_runner.stages.lifecycle import Draft
from noether_runner.stages.properties import Example
from noether_runner.stages.python_contract import LANGUAGES, contract_breach
from noether_runner.stages.repeated import repeated_in_record
from noether_runner.stages.stage import Stage, read_cost, read_properties, read_stage
from noether_runner.types.shorthand import read_spec_type
from noether_runner.types.syntax import TypeSyntaxError
from noether_runner.types.terms import NType
from noether_runner.types.value_kinds import excerpt

MAX_SPEC_BYTES = 8 * 1024 * 1024

_EFFECT_SPELLINGS: Mapping[str, Effect] = {
    **dict.fromkeys(("Pure", "pure"), Effect(EffectKind.PURE)),
    **dict.fromkeys(("Network", "network"), Effect(EffectKind.NETWORK)),
    **dict.fromkeys(("Fallible", "fallible"), Effect(EffectKind.FALLIBLE)),
    **dict.fromkeys(
        ("NonDeterministic", "non-deterministic", "nondeterministic"),
        Effect(EffectKind.NON_DETERMINISTIC),
    ),
    **dict.fromkeys(("Process", "process"), Effect(EffectKind.PROCESS)),
    **dict.fromkeys(("Llm", "llm"), Effect(EffectKind.LLM, "unknown")),
    **dict.fromkeys(("Cost", "cost"), Effect(EffectKind.COST, 0)),
    **dict.fromkeys(("Unknown", "unknown"), Effect(EffectKind.UNKNOWN)),
}


def read_spec_text(data: bytes) -> Stage:
    """The stage of a spec file's bytes; raises `SpecError`.

    Shape, types, effects and the Python contract are checked; examples, properties and claimed ids
    are the business of `spec_checks`.
    """
    if len(data) > MAX_SPEC_BYTES:
        message = f"the file has more than the {MAX_SPEC_BYTES} bytes that a spec may have"
        raise SpecError("invalid_json", message)
    try:
        json = parse_json(data)
    except JsonTextError as error:
        raise SpecError("invalid_json", f"not JSON: {error}") from None
    if is_simple_spec(json):
        return read_simple_spec(json)
    repeated = repeated_in_record(data)
    if repeated is not None:
        raise _invalid_stage(f"{repeated}: the member occurs twice")
    return _read_full_record(json)


def read_spec(json: JsonValue) -> Stage:
    """The stage of a parsed spec, simple or full; raises `SpecError`."""
    return read_simple_spec(json) if is_simple_spec(json) else _read_full_record(json)


def is_simple_spec(json: JsonValue) -> TypeGuard[dict[str, JsonValue]]:
    """Whether the simple form is meant; a member that is null counts as present."""
    return (
        isinstance(json, dict) and "name" in json and "implementation" in json and "id" not in json
    )


def read_simple_spec(spec: dict[str, JsonValue]) -> Stage:
    """The Draft, unsigned stage of a simple spec; raises `SpecError`."""
    name = spec.get("name")
    if not isinstance(name, str):
        message = f"missing 'name': expected a string, got {json_kind(name)}"
        raise SpecError("missing_name", message)
    code, language = _implementation(spec)
    signature = StageSignature(
        name,
        input=_type(spec, "input"),
        output=_type(spec, "output"),
        effects=_effects(spec.get("effects")),
    )
    examples = _examples(spec.get("examples"))
    if language in LANGUAGES:
        breach = contract_breach(code)
        if breach is not None:
            raise SpecError(breach.kind, breach.message)
    implementation_hash = implementation_hash_of(code)
    description = spec.get("description")
    ui_style = spec.get("ui_style")
    try:
        return Stage(
            id=stage_id(signature, implementation_hash),
            signature_id=signature_id(signature),
            name=name,
            input=signature.input,
            output=signature.output,
            effects=signature.effects,
            implementation_hash=implementation_hash,
            capabilities=read_capabilities(_given(spec, "capabilities", [])),
            cost=read_cost(_given(spec, "cost", {})),
            description=description if isinstance(description, str) else name,
            examples=examples,
            lifecycle=Draft(),
            code=code,
            language=language,
            ui_style=ui_style if isinstance(ui_style, str) else None,
            tags=_texts(spec.get("tags")),
            aliases=_texts(spec.get("aliases")),
            properties=read_properties(_given(spec, "properties", [])),
        )
    except RecordError as error:
        raise SpecError("invalid_spec", error.message) from None


def _read_full_record(json: JsonValue) -> Stage:
    try:
        return read_stage(json)
    except RecordError as error:
        if isinstance(json, dict) and "root" in json:
            message = "this is a composition graph, not a stage"
            hint = "noether-run runs graphs; a graph is not registered, its file is enough"
            raise SpecError("invalid_stage_json", message, hints=(hint,)) from None
        raise _invalid_stage(error.message) from None


def _invalid_stage(reason: str) -> SpecError:
    return SpecError(
        "invalid_stage_json",
        f"invalid stage JSON: {reason}",
        hints=("a simple spec has the members name and implementation, and no id",),
    )


def _implementation(spec: dict[str, JsonValue]) -> tuple[str, str]:
    implementation = spec.get("implementation")
    if isinstance(implementation, str):
        language = spec.get("language")
        return implementation, language if isinstance(language, str) else "python"
    if not isinstance(implementation, dict) or not isinstance(implementation.get("code"), str):
        message = (
            "missing implementation.code: expected the source as a string, or an object with the "
            "strings code and language"
        )
        raise SpecError("missing_implementation_code", message)
    if not isinstance(implementation.get("language"), str):
        message = "missing implementation.language: expected a string such as python"
        raise SpecError("missing_implementation_language", message)
    return str(implementation["code"]), str(implementation["language"])


def _type(spec: dict[str, JsonValue], side: str) -> NType:
    try:
        return read_spec_type(spec.get(side))
    except TypeSyntaxError as error:
        kind = f"invalid_{side}_type" if error.kind == "invalid_type" else error.kind
        raise SpecError(kind, f"invalid {side} type: {error}") from None


def _effects(json: JsonValue) -> EffectSet:
    if json is None:
        return PURE
    if not isinstance(json, list):
        message = f"effects: expected an array of effect names, got {json_kind(json)}"
        raise _unknown_effect(message)
    named: list[Effect] = []
    interpreted: list[Effect] = []
    for index, entry in enumerate(json):
        where = f"effects[{index}]"
        if isinstance(entry, str) and entry in _EFFECT_SPELLINGS:
            named.append(_EFFECT_SPELLINGS[entry])
        elif isinstance(entry, dict):
            interpreted.append(_effect_object(entry, where))
        else:
            raise _unknown_effect(f"{where}: {excerpt(entry)} is no effect name")
    # The reference drops objects. One is accepted only where that makes no difference to the id.
    reference = EffectSet.of(named) if named else PURE
    if interpreted and EffectSet.of([*named, *interpreted]) != reference:
        message = "effects: an object entry would give this stage another id than the reference's"
        raise _unknown_effect(message)
    return reference


def _effect_object(entry: dict[str, JsonValue], where: str) -> Effect:
    try:
        return read_effect(entry, where)
    except RecordError as error:
        raise _unknown_effect(error.message) from None


def _unknown_effect(message: str) -> SpecError:
    names = ", ".join(spelling for spelling in _EFFECT_SPELLINGS if spelling[0].isupper())
    return SpecError(
        "unknown_effect",
        message,
        hints=(
            f"effect names in a spec are strings: {names}",
            "paths, models and costs need a full stage record",
        ),
    )


def _examples(json: JsonValue) -> tuple[Example, ...]:
    if json is None:
        return ()
    if not isinstance(json, list):
        message = f"examples: expected an array, got {json_kind(json)}"
        raise SpecError("invalid_example", message)
    examples: list[Example] = []
    for index, entry in enumerate(json):
        if not isinstance(entry, dict) or "input" not in entry or "output" not in entry:
            message = f"examples[{index}]: expected an object with the members input and output"
            raise SpecError("invalid_example", message)
        examples.append(Example(entry["input"], entry["output"]))
    return tuple(examples)


def _given(spec: dict[str, JsonValue], member: str, default: JsonValue) -> JsonValue:
    value = spec.get(member)
    return default if value is None else value


def _texts(json: JsonValue) -> tuple[str, ...]:
    return tuple(text for text in json if isinstance(text, str)) if isinstance(json, list) else ()
