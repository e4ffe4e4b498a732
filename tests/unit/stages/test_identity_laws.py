"""What must hold for the ids of every stage (`stages.md` §2.3, §2.6)."""

from dataclasses import replace

import orjson
from hypothesis import given
from hypothesis import strategies as st

from noether_contract.json_values import JsonValue
from noether_runner.stages.effects import (
    Effect,
    EffectKind,
    EffectSet,
    path_components,
    read_effect,
)
from noether_runner.stages.identity import signature_id, stage_id, stage_id_v0, stage_id_v1
from noether_runner.stages.lifecycle import Draft
from noether_runner.stages.stage import Cost, Stage, read_stage, read_stage_text, write_stage
from stage_samples import effects, names, stages


def ids(stage: Stage) -> tuple[str, str]:
    return stage_id(stage.signature, stage.implementation_hash), signature_id(stage.signature)


@given(stages, names)
def test_another_implementation_changes_the_id_and_not_the_signature_id(
    stage: Stage, other: str
) -> None:
    before, after = ids(stage), ids(replace(stage, implementation_hash=other))
    assert (before[0] == after[0]) == (other == stage.implementation_hash)
    assert before[1] == after[1]


@given(stages, names)
def test_renaming_changes_both_ids(stage: Stage, other: str) -> None:
    before, after = ids(stage), ids(replace(stage, name=other))
    is_same = other == (stage.name or "")
    assert (before[0] == after[0]) == is_same
    assert (before[1] == after[1]) == is_same


@given(stages, names)
def test_unhashed_members_change_neither_id(stage: Stage, text: str) -> None:
    changed = replace(
        stage,
        id=text,
        signature_id=text,
        capabilities=(),
        cost=Cost(1, 2, 3),
        description=text,
        examples=(),
        lifecycle=Draft(),
        ed25519_signature=text,
        signer_public_key=text,
        language=text,
        ui_style=text,
        tags=(text,),
        aliases=(text,),
        properties=(),
        extra={"x": text},
    )
    assert ids(changed) == ids(stage)


@given(stages)
def test_the_name_takes_no_part_in_older_schemes(stage: Stage) -> None:
    renamed = replace(stage, name="another")
    for scheme in (stage_id_v0, stage_id_v1):
        before = scheme(stage.signature, stage.implementation_hash)
        assert scheme(renamed.signature, stage.implementation_hash) == before


@given(stages)
def test_reading_what_was_written_keeps_record_and_ids(stage: Stage) -> None:
    text = orjson.dumps(write_stage(stage))
    again = read_stage_text(text)
    assert ids(again) == ids(stage)
    assert orjson.dumps(write_stage(again)) == text
    assert read_stage(write_stage(stage)) == stage


@given(effects.flatmap(lambda wire: st.tuples(st.just(wire), st.permutations(wire))))
def test_effects_have_one_canonical_order(
    wire: tuple[list[JsonValue], list[JsonValue]],
) -> None:
    one, other = (EffectSet.of(read_effect(each) for each in order) for order in wire)
    assert [meaning(each) for each in one] == [meaning(each) for each in other]
    assert EffectSet.of(one) == one


def meaning(effect: Effect) -> tuple[EffectKind, object]:
    if effect.kind is EffectKind.FS_READ:
        return effect.kind, path_components(str(effect.data))
    return effect.kind, effect.data
