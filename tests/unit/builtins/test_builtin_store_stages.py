"""Stages that look into the run's store."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from builtin_calls import Caller, calling
from noether_contract.json_values import JsonValue
from noether_runner.builtins.builtin import BuiltinError
from noether_runner.builtins.stage_records import verify_stage_content_hash, verify_stage_ed25519
from noether_runner.graph.catalogue import Entry
from noether_runner.stages.effects import Effect, EffectKind, EffectSet
from noether_runner.stages.lifecycle import Deprecated, Lifecycle, Tombstone
from noether_runner.stages.signing import SigningKey
from noether_runner.stages.stage import Stage
from noether_runner.stores.builtin import BuiltinStore, builtin_stage

UPPER = "8343c85c532f70763a2b03e54f232efe0b4e2346fa18f334b3200a64356868e6"
LENGTH = "defab2fab234624df941a33ea34ca2804f0d43b14d54cc1f82723a0bfffc63fb"


class With:
    """The standard library with some stages in another lifecycle."""

    def __init__(self, **states: Lifecycle) -> None:
        self._standard = BuiltinStore()
        self._states = states

    def stage(self, stage_id: str) -> Stage:
        stage = self._standard.stage(stage_id)
        return replace(stage, lifecycle=self._states.get(stage.name or "", stage.lifecycle))

    def with_name(self, name: str) -> list[Entry]:
        state = self._states.get(name)
        entries = self._standard.with_name(name)
        return [replace(entry, lifecycle=state or entry.lifecycle) for entry in entries]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._standard, name)


@pytest.fixture
def caller() -> Iterator[Caller]:
    with calling() as it:
        yield it


def found(caller: Caller, query: str, limit: JsonValue = None) -> list[str]:
    output = caller.output("store_search", {"query": query, "limit": limit})
    assert isinstance(output, list)
    ids = [row["id"] for row in output if isinstance(row, dict)]
    return [builtin_stage(str(stage_id)).name or "" for stage_id in ids]


def test_the_best_matches_come_first_always_in_the_same_order(caller: Caller) -> None:
    names = found(caller, "text_upper", 5)
    assert names[0] == "text_upper"
    assert found(caller, "TEXT", 50) == found(caller, "text", 50)
    assert len(found(caller, "", 100)) == 85
    assert len(found(caller, "")) == 10
    assert found(caller, "", 2.0) == sorted(found(caller, "", 100))[:2]


def test_scores_fall_and_lie_between_0_and_1(caller: Caller) -> None:
    output = caller.output("store_search", {"query": "list", "limit": 85})
    assert isinstance(output, list)
    scores = [row["score"] for row in output if isinstance(row, dict)]
    assert scores == sorted(scores, key=lambda score: -float(str(score)))
    assert all(isinstance(score, float) and 0 < score <= 1 for score in scores)


def test_withdrawn_stages_are_not_found() -> None:
    with calling(store=With(text_upper=Tombstone())) as caller:
        assert "text_upper" not in found(caller, "upper", 85)


@pytest.mark.parametrize("reference", [UPPER, UPPER[:6], "text_upper", "1b68a050"])
def test_a_stage_is_described_under_all_its_names(caller: Caller, reference: str) -> None:
    output = caller.output("stage_describe", {"id": reference})
    assert isinstance(output, dict)
    assert output["id"] == UPPER
    assert output["lifecycle"] == "active"
    assert output["examples_count"] == len(builtin_stage(UPPER).examples)
    assert "successor_id" not in output


def test_a_deprecated_stage_names_its_successor() -> None:
    with calling(store=With(text_upper=Deprecated(LENGTH))) as caller:
        output = caller.output("stage_describe", {"id": UPPER})
    assert isinstance(output, dict)
    assert (output["lifecycle"], output["successor_id"]) == ("deprecated", LENGTH)


def test_what_could_be_several_stages_is_an_error(caller: Caller) -> None:
    class Ambiguous(With):
        def with_id_prefix(self, prefix: str) -> list[Entry]:
            return list(BuiltinStore().with_id_prefix(""))

    with calling(store=Ambiguous()) as caller:
        assert "85 stages could be meant" in caller.message("stage_describe", {"id": "abcd"})


def test_effects_are_shown_with_their_data() -> None:
    stage = builtin_stage(UPPER)
    effects = EffectSet.of(
        [Effect(EffectKind.FS_READ, '/a "b"'), Effect(EffectKind.COST, 5), Effect(EffectKind.PURE)]
    )

    class Changed(With):
        def stage(self, stage_id: str) -> Stage:
            return replace(stage, effects=effects) if stage_id == UPPER else super().stage(stage_id)

    with calling(store=Changed()) as caller:
        output = caller.output("stage_describe", {"id": UPPER})
    assert isinstance(output, dict)
    assert output["effects"] == ["Cost { cents: 5 }", 'FsRead { path: "/a \\"b\\"" }', "Pure"]


def test_a_composition_is_verified_with_real_types() -> None:
    with calling(store=With(text_upper=Tombstone(), text_length=Deprecated(UPPER))) as caller:
        asked: JsonValue = {
            "stages": ["csv_parse", "text_upper", "nothing", "text_length", 5],
            "operators": ["Sequential", "bogus"],
        }
        output = caller.output("composition_verify", asked)
    assert isinstance(output, dict)
    description = builtin_stage(LENGTH).description
    assert output["warnings"] == [f"stage text_length ({description}) is deprecated"]
    assert output["errors"] == [
        "unknown operator: bogus",
        "stage text_upper is a tombstone and cannot be executed",
        "stage nothing not found in store",
        (
            "type mismatch between stages csv_parse and text_upper: List<Map<Text, Text>> is not "
            "compatible with Text (expected Text, got List<Map<Text, Text>>)"
        ),
    ]


def test_a_run_changes_no_store_and_reads_no_history(caller: Caller) -> None:
    assert "noether-stage add" in caller.message("store_add", {"spec": {}})
    assert "noether-scheduler show" in caller.message("trace_read", {"composition_id": "x"})


def test_a_signature_by_another_key(caller: Caller) -> None:
    key = SigningKey(bytes(32))
    signature = key.sign("a stage")
    given: JsonValue = {
        "id": "a stage",
        "ed25519_signature": signature.ed25519_signature.upper(),
        "signer_public_key": signature.signer_public_key.upper(),
    }
    valid: JsonValue = {"passed": True, "signed": True, "warning": None}
    assert caller.output("verify_stage_ed25519", given) == valid


@pytest.mark.parametrize(
    ("signature", "key", "problem"),
    [
        ("0", "00" * 32, "invalid signature hex encoding"),
        ("0 " * 64, "00" * 32, "invalid signature hex encoding"),
        ("00" * 63, "zz", "invalid signature bytes"),
        ("00" * 64, "zz", "invalid public key hex encoding"),
        ("00" * 64, "00" * 31, "invalid public key"),
        ("00" * 64, "02" + "00" * 31, "invalid public key"),
    ],
)
def test_what_cannot_be_decoded(signature: str, key: str, problem: str) -> None:
    output = verify_stage_ed25519({"ed25519_signature": signature, "signer_public_key": key})
    assert isinstance(output, dict)
    assert output["warning"] == f"signature decode error: {problem}"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"input": "Text"}, "expected"),
        ({"effects": []}, "effects"),
        ({"implementation_hash": 5}, "implementation_hash is not text"),
    ],
)
def test_a_signature_that_cannot_be_read(change: dict[str, JsonValue], words: str) -> None:
    signature: dict[str, JsonValue] = {
        "input": {"kind": "Text"},
        "output": {"kind": "Text"},
        "effects": {"effects": []},
        "implementation_hash": "x",
    }
    with pytest.raises(BuiltinError) as caught:
        verify_stage_content_hash({"signature": signature | change})
    assert caught.value.message.startswith("cannot parse signature as StageSignature: ")
    assert words in caught.value.message
