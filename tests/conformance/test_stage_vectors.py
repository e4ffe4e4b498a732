"""Every case of `stage_vectors.json`."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from noether_runner import stage_cli
from noether_runner.stages.effects import read_effect_set
from noether_runner.stages.errors import RecordError, SpecError
from noether_runner.stages.identity import (
    StageSignature,
    canonical_signature,
    canonical_stage,
    signature_id,
    stage_id,
)
from noether_runner.stages.lifecycle import Deprecated, may_become, read_lifecycle, write_lifecycle
from noether_runner.stages.properties import property_status
from noether_runner.stages.signing import SigningKey, signature_verdict
from noether_runner.stages.spec import read_spec_text
from noether_runner.stages.stage import Stage, read_stage, read_stage_text, write_stage
from noether_runner.stages.verify import integrity_of
from noether_runner.stores.content import read_content
from noether_runner.stores.file import FileStore
from noether_runner.stores.ledger import Ledger, RefusedError
from noether_runner.stores.registry.envelope import Failure, NotFound, Result, read_envelope
from noether_runner.stores.registry.paging import Page, PageLoop, read_page
from noether_runner.stores.writing import read_ledger
from noether_runner.types.terms import read_type
from noether_runner.types.value_kinds import same_value
from vector_files import load_vectors

pytestmark = pytest.mark.vectors

VECTORS = load_vectors("stage_vectors.json")

KINDS = {
    "identity",
    "spec",
    "stage_load",
    "signing",
    "lifecycle",
    "store",
    "registry_envelope",
    "registry_paging",
    "sync",
}


def test_no_case_is_passed_over() -> None:
    assert {case["kind"] for case in VECTORS["cases"]} <= KINDS


def of_kind(kind: str) -> pytest.MarkDecorator:
    cases = [case for case in VECTORS["cases"] if case["kind"] == kind]
    return pytest.mark.parametrize("case", cases, ids=[case["id"] for case in cases])


@of_kind("identity")
def test_identity(case: Any) -> None:
    signature = StageSignature(
        case.get("name") or "",
        read_type(case["input"]),
        read_type(case["output"]),
        read_effect_set(case["effects"]),
    )
    expected = case["expect"]
    code = case["implementation_hash"]
    assert canonical_signature(signature).decode() == expected["canonical_signature_json"]
    assert canonical_stage(signature, code).decode() == expected["canonical_stage_json"]
    assert signature_id(signature) == expected["signature_id"]
    assert stage_id(signature, code) == expected["id"]


@of_kind("spec")
def test_spec(case: Any) -> None:
    data = json.dumps(case["spec"]).encode()
    expected = dict(case["expect"])
    if not expected.pop("ok"):
        with pytest.raises(SpecError) as refused:
            read_spec_text(data)
        assert refused.value.kind == expected["error"]
        assert expected.get("reference_message_contains", "") in refused.value.message
        return
    record = write_stage(read_spec_text(data))
    absent: dict[str, Any] = {"tags": [], "aliases": [], "properties": [], "ui_style": None}
    found = {**absent, **record}
    assert same_value({name: found[name] for name in expected}, expected)


@of_kind("stage_load")
def test_stage_load(case: Any) -> None:
    expected = case["expect"]
    if not expected["ok"]:
        with pytest.raises(RecordError):
            read_stage_text(case["json"])
        return
    stage = read_stage_text(case["json"])
    written = write_stage(stage)
    if case.get("may_preserve_unknown"):
        written = {name: value for name, value in written.items() if name not in stage.extra}
    assert same_value(written, expected["stage"])
    found = integrity_of(stage)
    integrity = {
        "computed_id": found.computed_id,
        "computed_signature_id": found.computed_signature_id,
        "id_matches": found.id_matches,
        "signature_id_matches": found.signature_id_matches,
        "legacy_id_matches": found.legacy_scheme == "v1",
        "implementation_hash_matches": found.implementation_hash_matches,
        "signature": found.signature.value,
    }
    assert integrity == expected["integrity"]
    if "property_status" in expected:
        statuses = [property_status(entry).value for entry in stage.properties]
        assert statuses == expected["property_status"]


@of_kind("signing")
def test_signing(case: Any) -> None:
    verdict = signature_verdict(
        case["stage_id"], case.get("ed25519_signature"), case.get("signer_public_key")
    )
    assert verdict.value == case["expect"]["verdict"]


@pytest.mark.parametrize("name", sorted(VECTORS["keys"]))
def test_keys(name: str) -> None:
    key = VECTORS["keys"][name]
    seed = bytes.fromhex(key["seed_hex"])
    assert SigningKey(seed).public_key == key["public_key_hex"]
    if "seed_text" in key:
        assert hashlib.sha256(key["seed_text"].encode()).digest() == seed


@pytest.mark.parametrize("name", sorted(VECTORS["fixtures"]))
def test_signing_a_fixture_again_gives_its_signature(name: str) -> None:
    stage = read_stage(VECTORS["fixtures"][name])
    key = SigningKey(bytes.fromhex(VECTORS["keys"]["author_1"]["seed_hex"]))
    made = key.sign(stage.id)
    assert made.ed25519_signature == stage.ed25519_signature
    assert made.signer_public_key == stage.signer_public_key
    assert stage.id == integrity_of(stage).computed_id


@of_kind("lifecycle")
def test_lifecycle(case: Any) -> None:
    allowed = may_become(read_lifecycle(case["from"]), read_lifecycle(case["to"]))
    assert allowed is case["expect"]["allowed"]


class LedgerCase:
    """Runs the operations of one `store` case; fixtures go by their short names."""

    def __init__(self, initial: Any) -> None:
        records = [self.record(each["stage"], each["lifecycle"]) for each in initial]
        data = json.dumps({"stages": records}).encode()
        self.ledger = Ledger(read_content(data, Path("store.json")))

    def lifecycle(self, short: Any) -> Any:
        if not isinstance(short, dict):
            return short
        successor = short["Deprecated"]
        known = VECTORS["fixtures"].get(successor)
        return {"Deprecated": {"successor_id": known["id"] if known else successor}}

    def record(self, name: str, lifecycle: Any) -> Any:
        return {**VECTORS["fixtures"][name], "lifecycle": self.lifecycle(lifecycle)}

    def stage(self, name: str, lifecycle: Any) -> Stage:
        return read_stage(self.record(name, lifecycle))

    def apply(self, step: Any) -> Any:
        name = step["stage"]
        try:
            match step["op"]:
                case "put":
                    self.ledger.put(self.stage(name, step["lifecycle"]))
                case "upsert":
                    self.ledger.upsert(self.stage(name, step["lifecycle"]))
                case "update_lifecycle":
                    wanted = read_lifecycle(self.lifecycle(step["to"]))
                    self.ledger.update_lifecycle(VECTORS["fixtures"][name]["id"], wanted)
                case _:
                    self.ledger.remove(VECTORS["fixtures"][name]["id"])
        except RefusedError as error:
            return {"error": error.kind}
        return "ok"


NAMES = {record["id"]: name for name, record in VECTORS["fixtures"].items()}


def short_lifecycle(stage: Stage) -> Any:
    if isinstance(stage.lifecycle, Deprecated):
        successor = stage.lifecycle.successor_id
        return {"Deprecated": NAMES.get(successor, successor)}
    return write_lifecycle(stage.lifecycle)


@of_kind("store")
def test_store(case: Any, tmp_path: Path) -> None:
    run = LedgerCase(case["initial"])
    expected = case["expect"]
    assert [run.apply(step) for step in case["ops"]] == expected["results"]
    assert {NAMES[s.id]: short_lifecycle(s) for s in run.ledger} == expected["lifecycles"]

    # What is written reads back the same, and a run's lookup by signature agrees.
    path = tmp_path / "store.json"
    path.write_bytes(run.ledger.text())
    store = FileStore(path)
    again = Ledger(read_content(path.read_bytes(), path))
    assert {NAMES[s.id]: short_lifecycle(s) for s in again} == expected["lifecycles"]
    for signature, name in expected["active_by_signature"].items():
        entries = sorted(store.active_with_signature(signature), key=lambda entry: entry.id)
        assert (NAMES[entries[0].id] if entries else None) == name
        for entry in entries:
            assert store.stage(entry.id).id == entry.id


@of_kind("sync")
def test_sync(
    case: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NOETHER_HOME", str(tmp_path / "home"))
    store = tmp_path / "store.json"
    for number, run in enumerate(case["runs"]):
        directory = tmp_path / f"run{number}"
        directory.mkdir()
        for name, text in {**case["files"], **run.get("files", {})}.items():
            if text is None:
                continue
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(text, encoding="utf-8")
        flags = ["--draft"] if run.get("draft") else []
        code = stage_cli.main(["sync", "--store", str(store), str(directory), *flags])
        data = json.loads(capsys.readouterr().out)["data"]
        expected = run["expect"]

        def named(entries: Any, *members: str, folder: Path = directory) -> Any:
            for entry in entries:
                assert entry["file"].startswith(f"{folder}/")
                entry["file"] = entry["file"].removeprefix(f"{folder}/")
            return [{name: entry[name] for name in ("file", *members)} for entry in entries]

        assert code == expected["exit_code"]
        assert data["counts"] == expected["counts"]
        assert named(data["imported"], "id", "lifecycle") == expected["imported"]
        assert named(data["skipped"], "id") == expected["skipped"]
        assert [entry["file"] for entry in named(data["failed"])] == expected["failed"]
        stages = read_ledger(store)
        found = {stage.id: write_lifecycle(stage.lifecycle) for stage in stages}
        assert found == expected["lifecycles"]


@of_kind("registry_envelope")
def test_registry_envelope(case: Any) -> None:
    expected = dict(case["expect"])
    match read_envelope(case["status"], case["body"].encode()):
        case Result(value):
            found: Any = {"outcome": "result", "result": value}
        case NotFound():
            found = {"outcome": "not_found"}
        case Failure(code, _, retryable):
            found = {"outcome": "error", "code": code, "retryable": retryable}
    assert same_value({name: found[name] for name in expected}, expected)


@of_kind("registry_paging")
def test_registry_paging(case: Any) -> None:
    loop = PageLoop(most=1000)
    offsets: list[int] = []
    for page in case["pages"]:
        if loop.offset is None:
            break
        offsets.append(loop.offset)
        payload: Any = {"stages": [{"id": f"{len(offsets)}.{n}"} for n in range(page["fetched"])]}
        if "total" in page:
            payload["total"] = page["total"]
        read = read_page(payload)
        assert isinstance(read, Page)
        loop.take(read)
    assert loop.offset is None
    assert offsets == case["expect"]["offsets"]
    assert len(offsets) == case["expect"]["requests"]
