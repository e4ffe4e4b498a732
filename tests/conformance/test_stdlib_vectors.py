"""The standard stages of `stdlib.json`, and what they do on the cases of `stdlib_behaviour.json`.

Cases go through the runner's routing, as from a graph. Schema: `stdlib.md` §13.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from builtin_calls import Caller, calling, started_children
from noether_runner.builtins.lookup import is_unbuilt, theme_of
from noether_runner.execution.calls import CallOutcome
from noether_runner.sandbox.child import Children
from noether_runner.stages.effects import read_effect_set
from noether_runner.stages.identity import (
    StageSignature,
    signature_id,
    stage_id,
    stage_id_v0,
    stage_id_v1,
    stdlib_implementation_hash,
)
from noether_runner.stages.signing import Verdict, signature_verdict
from noether_runner.stages.stage import write_stage
from noether_runner.stores.builtin import BuiltinStore, builtin_stage, builtin_stages
from noether_runner.types.terms import read_type
from stdlib_scene import Scene, fits, same
from vector_files import load_vectors

pytestmark = pytest.mark.vectors

STAGES: list[dict[str, Any]] = load_vectors("stdlib.json")
CASES: list[dict[str, Any]] = load_vectors("stdlib_behaviour.json")["cases"]
ID_OF = {row["name"]: row["id"] for row in STAGES}


@pytest.mark.parametrize("row", STAGES, ids=[row["name"] for row in STAGES])
def test_identity(row: dict[str, Any]) -> None:
    def signed(effects: Any) -> StageSignature:
        shape = (read_type(row["input"]), read_type(row["output"]))
        return StageSignature(row["name"], *shape, read_effect_set(effects))

    now = signed(row["effects"])
    code = row["implementation_hash"]
    assert stdlib_implementation_hash(row["name"]) == code
    assert signature_id(now) == row["signature_id"]
    assert stage_id(now, code) == row["id"]
    schemes = {"v0": stage_id_v0, "v1": stage_id_v1}
    for legacy in row["legacy_ids"]:
        names = legacy.get("effects_then")
        then = signed({"effects": [{"effect": name} for name in names]}) if names else now
        assert schemes[legacy["scheme"]](then, code) == legacy["id"]
    stage = builtin_stage(row["id"])
    assert (stage.name, stage.signature_id) == (row["name"], row["signature_id"])
    assert stage.input == read_type(row["input"])
    assert stage.output == read_type(row["output"])


MEMBERS = (
    *("capabilities", "cost", "properties", "tags", "aliases", "examples"),
    *("ed25519_signature", "signer_public_key"),
)


@pytest.mark.parametrize("row", STAGES, ids=[row["name"] for row in STAGES])
def test_record(row: dict[str, Any]) -> None:
    record = write_stage(builtin_stage(row["id"]))
    for member in MEMBERS:
        assert same(row[member] or None, record.get(member) or None), member
    signed = (row["id"], row["ed25519_signature"], row["signer_public_key"])
    assert signature_verdict(*signed) is Verdict.VALID
    store = BuiltinStore()
    for legacy in row["legacy_ids"]:
        assert [entry.id for entry in store.with_legacy_id(legacy["id"][:8])] == [row["id"]]
    assert row["higher_order"] == (theme_of(row["name"]) in ("higher_order", "control"))


def test_the_library_is_whole() -> None:
    ids = {stage.id for stage in builtin_stages()}
    assert {row["id"] for row in STAGES} <= ids
    assert len(ids) == 85


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with started_children() as started:
        yield started


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_behaviour(
    case: dict[str, Any], children: Children, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert not is_unbuilt(ID_OF[case["stage"]])
    if "arrow" in case["stage"]:
        pytest.importorskip("pyarrow", reason="the arrow extra is not installed")
    with ExitStack() as stack:
        scene = Scene(case, tmp_path, stack)
        case = scene.case
        caller = stack.enter_context(calling(children))
        outcome = caller.call(ID_OF[case["stage"]], case["input"], environment=scene.environment)
        check_outcome(case, outcome, caller)
        scene.check(caller, outcome, capfd.readouterr)


def check_outcome(case: dict[str, Any], outcome: CallOutcome, caller: Caller) -> None:
    expected = case["expect"]
    if "error" in expected:
        assert outcome.error is not None, outcome.output
        message = outcome.error.message
        match expected["error"]:
            case {"match": "exact", "message": text}:
                assert message == text
            case {"match": "prefix", "message": text}:
                assert message.startswith(text)
            case _:
                assert message
        return
    assert outcome.error is None, outcome.error.message
    output = outcome.output
    match case.get("compare", "typed"):
        case "subset":
            assert fits(expected["output"], output)
        case "arrow_decoded":
            decoded = caller.output(ID_OF["records_to_arrow"], output)
            assert same(expected["output"], decoded)
        case _:
            assert same(expected["output"], output)
