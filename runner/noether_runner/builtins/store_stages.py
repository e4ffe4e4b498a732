"""Standard stages that look into the run's store (`stdlib.md` §11.2, §11.3).

They read one snapshot of the store. None of them changes it, and a run never sees the history:
`store_add` and `trace_read` always fail.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from noether_contract.json_values import JsonValue
from noether_runner.builtins.builtin import Builtin, BuiltinError, Context, plain
from noether_runner.builtins.fields import optional_text, record_of, whole_number
from noether_runner.builtins.surroundings import StageSource, UncertainError
from noether_runner.stages.effects import Effect, EffectKind
from noether_runner.stages.lifecycle import Deprecated, Tombstone, lifecycle_word
from noether_runner.stages.stage import Stage
from noether_runner.types.render import render
from noether_runner.types.subtype import mismatch, reason_text

_DEFAULT_LIMIT = 10
_OPERATORS = ("sequential", "parallel", "branch", "fanout", "merge", "retry")
_MEMBER_OF_DATA = {
    EffectKind.COST: "cents",
    EffectKind.FS_READ: "path",
    EffectKind.FS_WRITE: "path",
    EffectKind.LLM: "model",
}


def store_search(value: JsonValue, context: Context) -> JsonValue:
    """The stages in which a text occurs, the best matches first; an empty text lists all."""
    record = record_of(value)
    wanted = optional_text(record, "query", "").lower()
    limit = whole_number(record, "limit", _DEFAULT_LIMIT)
    stages = context.reach.stages.all()
    kept = [stage for stage in stages if not isinstance(stage.lifecycle, Tombstone)]
    scored = [(score, stage) for stage in kept if (score := _relevance(stage, wanted))]
    scored.sort(key=lambda pair: (-pair[0], pair[1].name or "", pair[1].id))
    return [_found(stage, score) for score, stage in scored[:limit]]


def _relevance(stage: Stage, wanted: str) -> float:
    """From 0 (nowhere) to 1 (the name itself); places count in the order of their weight."""
    name = (stage.name or "").lower()
    others = [text.lower() for text in (*stage.aliases, *stage.tags)]
    if not wanted or wanted == name:
        return 1.0
    if wanted in others:
        return 0.9
    if wanted in name:
        return 0.8
    if any(wanted in text for text in others):
        return 0.7
    if wanted in stage.description.lower():
        return 0.6
    types = (render(stage.input), render(stage.output))
    return 0.4 if any(wanted in text.lower() for text in types) else 0.0


def _found(stage: Stage, score: float) -> JsonValue:
    return {
        "id": stage.id,
        "description": stage.description,
        "input": render(stage.input),
        "output": render(stage.output),
        "score": score,
    }


def stage_describe(value: JsonValue, context: Context) -> JsonValue:
    """What a stage takes, gives and declares."""
    reference = optional_text(record_of(value), "id", "")
    if not reference:
        raise BuiltinError("missing field 'id': expected an id, the beginning of one, or a name")
    try:
        stage = context.reach.stages.find(reference)
    except UncertainError as error:
        raise BuiltinError(str(error)) from None
    if stage is None:
        raise BuiltinError(f'stage "{reference}" not found')
    described: dict[str, JsonValue] = {
        "id": stage.id,
        "description": stage.description,
        "input": render(stage.input),
        "output": render(stage.output),
        "effects": [_effect_text(effect) for effect in stage.effects],
        "lifecycle": lifecycle_word(stage.lifecycle),
        "examples_count": len(stage.examples),
    }
    if isinstance(stage.lifecycle, Deprecated):
        described["successor_id"] = stage.lifecycle.successor_id
    return described


def _effect_text(effect: Effect) -> str:
    """The form of the reference's reports, such as `Cost { cents: 5 }`."""
    member = _MEMBER_OF_DATA.get(effect.kind)
    if member is None:
        return effect.kind.value
    data = effect.data
    if isinstance(data, str):
        data = '"' + data.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{effect.kind.value} {{ {member}: {data} }}"


def composition_verify(value: JsonValue, context: Context) -> JsonValue:
    """Whether named stages exist, may run, and fit one another where they follow one another."""
    record = record_of(value)
    references, operators = _texts(record, "stages"), _texts(record, "operators")
    if not references:
        return {"valid": True, "errors": [], "warnings": ["empty composition"]}
    names = [operator.lower() for operator in operators]
    errors: list[JsonValue] = [
        f"unknown operator: {operator}"
        for operator, name in zip(operators, names, strict=True)
        if name not in _OPERATORS
    ]
    warnings: list[JsonValue] = []
    stages: list[Stage | None] = []
    for reference in references:
        stage, error = _looked_up(context.reach.stages, reference)
        stages.append(stage)
        if error is not None:
            errors.append(error)
        elif stage is not None and isinstance(stage.lifecycle, Deprecated):
            warnings.append(f"stage {reference} ({stage.description}) is deprecated")
    if "sequential" in names:
        errors.extend(_misfits(references, stages))
    return {"valid": not errors, "errors": errors, "warnings": warnings}


def _texts(record: dict[str, JsonValue], name: str) -> list[str]:
    given = record.get(name)
    return [text for text in given if isinstance(text, str)] if isinstance(given, list) else []


def _looked_up(source: StageSource, reference: str) -> tuple[Stage | None, str | None]:
    try:
        stage = source.find(reference)
    except UncertainError as error:
        return None, f"stage {reference} cannot be told: {error}"
    if stage is None:
        return None, f"stage {reference} not found in store"
    if isinstance(stage.lifecycle, Tombstone):
        return stage, f"stage {reference} is a tombstone and cannot be executed"
    return stage, None


def _misfits(references: list[str], stages: list[Stage | None]) -> Iterator[str]:
    for (first, before), (second, after) in pairwise(zip(references, stages, strict=True)):
        if before is None or after is None:
            continue
        reason = mismatch(before.output, after.input)
        if reason is not None:
            yield (
                f"type mismatch between stages {first} and {second}: {render(before.output)} is "
                f"not compatible with {render(after.input)} ({reason_text(reason)})"
            )


def store_add(_value: JsonValue) -> JsonValue:
    """Fails: a run never changes the store it reads."""
    raise BuiltinError(
        "a graph cannot add stages to its store; register them with noether-stage add"
    )


def trace_read(_value: JsonValue) -> JsonValue:
    """Fails: the history is the scheduler's, and a run never sees it."""
    raise BuiltinError(
        "a graph cannot read earlier traces; look at them with noether-scheduler show"
    )


STAGES: Final = (
    Builtin("store_search", store_search),
    Builtin("stage_describe", stage_describe),
    Builtin("composition_verify", composition_verify),
    plain("store_add", store_add),
    plain("trace_read", trace_read),
)
