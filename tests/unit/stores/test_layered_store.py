from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from noether_contract.messages import FileStoreRef, RegistryRef
from noether_contract.outcomes import ErrorCode
from noether_runner.errors import RunnerError
from noether_runner.graph.catalogue import KnowsDeprecated
from noether_runner.stages.lifecycle import Active, Deprecated, Draft, Tombstone
from noether_runner.stages.signing import SigningKey
from noether_runner.stages.stage import Stage, write_stage
from noether_runner.stages.verify import StageRefusedError
from noether_runner.stores.builtin import builtin_stage
from noether_runner.stores.opening import open_store
from noether_runner.stores.store import StageStore
from stage_samples import sample

KV_GET = builtin_stage("b0b2847d3a611bc7bdc331634f39146b66ea72db3ae100460abe0920b3d1b98e")
LEGACY_KV_GET = "f3fa84da6805207b"
EARLIER_KV_GET = "339bd6d0"


def opened(tmp_path: Path, *stages: Stage) -> StageStore:
    path = tmp_path / "store.json"
    path.write_bytes(orjson.dumps({"stages": [write_stage(stage) for stage in stages]}))
    return open_store(FileStoreRef(path=str(path)), tmp_path / "cache")


def test_the_standard_library_is_there_without_any_store(tmp_path: Path) -> None:
    store = open_store(FileStoreRef(path=str(tmp_path / "missing.json")), None)
    (entry,) = store.with_name("kv_get")
    assert (entry.id, entry.source) == (KV_GET.id, "builtin")
    assert store.stage(KV_GET.id) == KV_GET
    assert [e.id for e in store.with_legacy_id(EARLIER_KV_GET)] == [KV_GET.id]
    assert [e.id for e in store.active_with_signature(KV_GET.signature_id or "")] == [KV_GET.id]
    assert [e.id for e in store.with_id_prefix(KV_GET.id[:8])] == [KV_GET.id]
    assert store.with_id("0" * 64) is None
    with pytest.raises(RunnerError) as missing:
        store.stage("0" * 64)
    assert missing.value.code is ErrorCode.STAGE_NOT_FOUND


def test_a_record_in_the_file_stands_for_the_standard_stage(tmp_path: Path) -> None:
    buried = replace(KV_GET, lifecycle=Tombstone(), description="ours")
    store = opened(tmp_path, buried)
    entry = store.with_id(KV_GET.id)
    assert entry is not None
    assert (entry.lifecycle, entry.source) == (Tombstone(), "file")
    assert store.active_with_signature(KV_GET.signature_id or "") == []
    assert [e.source for e in store.with_id_prefix(KV_GET.id[:8])] == ["file"]
    assert [e.source for e in store.with_name("kv_get")] == ["file"]
    assert store.stage(KV_GET.id).description == "ours"
    for legacy in (LEGACY_KV_GET, EARLIER_KV_GET):
        assert {e.source for e in store.with_legacy_id(legacy)} == {"file"}


def test_an_active_stage_of_the_file_wins_signature_and_name(tmp_path: Path) -> None:
    ours = replace(sample("kv_get"), signature_id=KV_GET.signature_id)
    store = opened(tmp_path, ours)
    assert [e.id for e in store.active_with_signature(KV_GET.signature_id or "")] == [ours.id]
    assert [e.id for e in store.with_name("kv_get")] == [ours.id]
    assert [e.id for e in store.with_id_prefix(KV_GET.id[:8])] == [KV_GET.id]


def test_a_draft_of_the_file_does_not_hide_a_name(tmp_path: Path) -> None:
    ours = sample("kv_get", lifecycle=Draft())
    entries = opened(tmp_path, ours).with_name("kv_get")
    active = [entry.id for entry in entries if isinstance(entry.lifecycle, Active)]
    assert active == [KV_GET.id]


def test_deprecated_stages_of_a_signature_can_be_asked_for(tmp_path: Path) -> None:
    old = sample(lifecycle=Deprecated("0" * 64))
    store = opened(tmp_path, old)
    assert isinstance(store, KnowsDeprecated)
    found = store.deprecated_with_signature(old.signature_id or "")
    assert [entry.id for entry in found] == [old.id]
    assert store.deprecated_with_signature(KV_GET.signature_id or "") == []


def test_signed_stages_only(tmp_path: Path) -> None:
    key = SigningKey(bytes(32))
    made = key.sign(sample().id)
    signed = replace(
        sample(),
        ed25519_signature=made.ed25519_signature,
        signer_public_key=made.signer_public_key,
    )
    path = tmp_path / "store.json"
    records = [write_stage(stage) for stage in (signed, sample("unsigned"), KV_GET)]
    path.write_bytes(orjson.dumps({"stages": records}))
    reference = FileStoreRef(path=str(path))
    store = open_store(reference, None, mode="signed", trusted_keys=(key.public_key,))
    assert store.stage(signed.id) == signed
    # The standard library's key counts for its own stages, also where the file has a copy.
    assert store.stage(KV_GET.id) == KV_GET
    with pytest.raises(StageRefusedError):
        store.stage(sample("unsigned").id)


def test_the_standard_library_stands_above_a_registry(tmp_path: Path) -> None:
    # Nothing listens there: what is asked for is answered without it.
    reference = RegistryRef(url="http://127.0.0.1:1", api_key="key")
    wanted = [(KV_GET.id, True), ("kv_get", False), (KV_GET.signature_id or "", False)]
    store = open_store(reference, tmp_path, references=wanted)
    assert store.stage(KV_GET.id) == KV_GET
    assert [entry.source for entry in store.with_name("kv_get")] == ["builtin"]
    assert list(tmp_path.iterdir()) == []
