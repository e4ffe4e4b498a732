"""The 85 standard stages: every id computed anew, against the specification where it is at hand."""

from typing import Any

import orjson
import pytest

from noether_runner.builtins.build_catalog import DESCRIPTIONS, build
from noether_runner.stages.effects import EffectSet, read_effect
from noether_runner.stages.identity import (
    StageSignature,
    stage_id_v0,
    stage_id_v1,
    stdlib_implementation_hash,
)
from noether_runner.stages.property_checks import example_violations
from noether_runner.stages.signing import STDLIB_PUBLIC_KEY
from noether_runner.stages.spec_checks import check_before_storing
from noether_runner.stages.verify import Policy, verify
from noether_runner.stores.builtin import CATALOG, BuiltinStore, builtin_stage, builtin_stages
from vector_files import load_vectors

RECORDS: list[dict[str, Any]] = orjson.loads(CATALOG.read_bytes())["stages"]


def test_there_are_85_with_distinct_ids() -> None:
    assert len(RECORDS) == 85
    ids = [record["id"] for record in RECORDS]
    ids += [record["signature_id"] for record in RECORDS]
    ids += [legacy["id"] for record in RECORDS for legacy in record["legacy_ids"]]
    assert len(ids) == 344
    assert len({each[:8] for each in ids}) == 344


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record["name"])
def test_a_standard_stage_is_what_its_ids_say(record: dict[str, Any]) -> None:
    stage = builtin_stage(record["id"])
    builtin_ids = frozenset({stage.id})
    assert verify(stage, Policy("signed", ("00" * 32,), builtin_ids)) == ()
    assert stage.signer_public_key == STDLIB_PUBLIC_KEY
    assert stage.implementation_hash == stdlib_implementation_hash(stage.label)
    assert stage.code is None
    check_before_storing(stage, check_examples=False)
    assert not list(example_violations(stage.properties, stage.examples))
    for legacy in record["legacy_ids"]:
        effects = stage.effects
        if "effects_then" in legacy:
            then = [{"effect": name} for name in legacy["effects_then"]]
            effects = EffectSet.of(read_effect(each) for each in then)
        signature = StageSignature(stage.label, stage.input, stage.output, effects)
        scheme = {"v0": stage_id_v0, "v1": stage_id_v1}[legacy["scheme"]]
        assert scheme(signature, stage.implementation_hash) == legacy["id"]


def test_descriptions_are_single_short_sentences() -> None:
    assert DESCRIPTIONS.keys() == {record["name"] for record in RECORDS}
    for record in RECORDS:
        assert record["description"] == DESCRIPTIONS[record["name"]]
        assert 15 <= len(record["description"]) <= 95
        assert not record["description"].endswith(".")
    assert len(set(DESCRIPTIONS.values())) == 85


@pytest.mark.vectors
def test_the_catalog_is_what_the_builder_makes_of_the_table() -> None:
    table = orjson.dumps(load_vectors("stdlib.json"))
    assert build(table) == CATALOG.read_bytes()


def test_lookups() -> None:
    store = BuiltinStore()
    to_text = builtin_stage("c742844bd08c7c720df1af021027191023d17d4b1b95e9f1280bb369b82a464a")
    found = store.with_id(to_text.id)
    assert found is not None
    assert found.source == "builtin"
    assert store.with_id("c742844b") is None
    assert store.with_id_prefix("c742844b") == [found]
    assert store.with_name("to_text") == [found]
    assert store.active_with_signature(to_text.signature_id or "") == [found]
    assert store.with_legacy_id("85c780f2") == [found]
    assert store.with_legacy_id("c86dd3c4") == [found]
    assert to_text.id in store
    assert store.stage(to_text.id) == to_text
    assert len(list(builtin_stages())) == 85
