import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from noether_contract.outcomes import ErrorCode
from noether_runner.stages.identity import stage_id_v0, stage_id_v1
from noether_runner.stages.lifecycle import Active, Deprecated, Draft, Tombstone
from noether_runner.stages.stage import Stage, write_stage
from noether_runner.stages.verify import Policy, StageRefusedError
from noether_runner.stores import file as file_store
from noether_runner.stores import index
from noether_runner.stores.file import FileStore
from noether_runner.stores.index import index_path
from noether_runner.stores.store import StageMissingError, StoreError
from stage_samples import broken_record, sample, version


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.json"


def write(path: Path, entries: Sequence[Stage | dict[str, Any] | Any], **extra: Any) -> None:
    stages = [write_stage(each) if isinstance(each, Stage) else each for each in entries]
    path.write_bytes(orjson.dumps({"stages": stages, **extra}))


@pytest.fixture(params=["memory", "index"])
def cache_dir(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path | None:
    """Both ways of holding the records: parsed, and in an index on disk."""
    if request.param == "memory":
        return None
    monkeypatch.setattr(file_store, "LARGE_BYTES", 1)
    monkeypatch.setattr(index, "_SETTLED_NS", 0)
    return tmp_path / "cache"


def test_every_way_to_find_a_stage(path: Path, cache_dir: Path | None) -> None:
    first, second, draft = version(1), version(2), sample("other", lifecycle=Draft())
    old = replace(first, lifecycle=Deprecated(second.id))
    write(path, [draft, second, old])
    store = FileStore(path, cache_dir)

    assert [e.id for e in store.active_with_signature(first.signature_id or "")] == [second.id]
    assert [e.id for e in store.deprecated_with_signature(first.signature_id or "")] == [first.id]
    found = store.with_id(draft.id)
    assert found is not None
    assert (found.name, found.lifecycle, found.source) == ("other", Draft(), "file")
    assert found.signature_id == draft.signature_id
    assert store.with_id(draft.id[:12]) is None
    assert [e.id for e in store.with_id_prefix(first.id[:8])] == [first.id]
    assert store.with_id_prefix(first.id[:8].upper()) == []
    assert {e.id for e in store.with_name("versioned")} == {first.id, second.id}
    assert store.stage(first.id) == old
    for scheme in (stage_id_v0, stage_id_v1):
        legacy = scheme(draft.signature, draft.implementation_hash)
        assert [e.id for e in store.with_legacy_id(legacy)] == [draft.id]
        assert [e.id for e in store.with_legacy_id(legacy[:8])] == [draft.id]
    assert store.warnings == ()
    if cache_dir is not None:
        assert index_path(cache_dir, path).is_file()


def test_several_active_stages_of_a_signature_are_all_given(
    path: Path, cache_dir: Path | None
) -> None:
    stages = [version(1), version(2)]
    write(path, stages)
    entries = FileStore(path, cache_dir).active_with_signature(stages[0].signature_id or "")
    assert {entry.id for entry in entries} == {stage.id for stage in stages}


def test_of_two_records_with_one_id_the_later_counts(path: Path, cache_dir: Path | None) -> None:
    stage = sample()
    write(path, [stage, replace(stage, description="later", lifecycle=Tombstone())])
    store = FileStore(path, cache_dir)
    entry = store.with_id(stage.id)
    assert entry is not None
    assert entry.lifecycle == Tombstone()
    assert store.stage(stage.id).description == "later"


def test_one_bad_record_stands_in_nobodys_way(path: Path, cache_dir: Path | None) -> None:
    good, bad = sample("good"), broken_record("bad")
    write(path, [bad, good, 7, {"id": "x"}])
    store = FileStore(path, cache_dir)
    assert store.stage(good.id) == good
    assert len(store.warnings) == 3
    assert str(bad["id"]) in store.warnings[0]
    assert "Telepathy" in store.warnings[0]
    assert "entry 3" in store.warnings[1]
    assert "the stage x cannot be read" in store.warnings[2]
    assert str(path) in store.warnings[0]


def test_whoever_refers_to_a_bad_record_learns_why(path: Path, cache_dir: Path | None) -> None:
    bad = broken_record("bad")
    write(path, [bad])
    store = FileStore(path, cache_dir)
    bad_id = str(bad["id"])
    for entries in (
        store.with_name("bad"),
        store.with_id_prefix(bad_id[:8]),
        store.active_with_signature(str(bad["signature_id"])),
    ):
        assert [entry.id for entry in entries] == [bad_id]
    with pytest.raises(StoreError, match="Telepathy") as refused:
        store.stage(bad_id)
    assert refused.value.code is ErrorCode.STORE_UNREADABLE
    assert bad_id in refused.value.message


def test_a_readable_record_is_preferred_to_a_bad_one_of_the_same_name(
    path: Path, cache_dir: Path | None
) -> None:
    good, bad = version(1), {**broken_record("versioned"), "signature_id": version(1).signature_id}
    write(path, [bad, good])
    store = FileStore(path, cache_dir)
    assert [entry.id for entry in store.with_name("versioned")] == [good.id]
    signature = good.signature_id or ""
    assert [entry.id for entry in store.active_with_signature(signature)] == [good.id]


def test_a_record_that_repeats_a_member_is_bad(path: Path, cache_dir: Path | None) -> None:
    stage = sample()
    text = orjson.dumps({"stages": [write_stage(stage)]})
    path.write_bytes(text.replace(b'"name":', b'"name":"x","name":', 1))
    with pytest.raises(StoreError, match="name: the member occurs twice"):
        FileStore(path, cache_dir).stage(stage.id)


def test_a_stage_that_is_given_out_has_been_verified(path: Path, cache_dir: Path | None) -> None:
    edited = replace(sample(), code="def execute(input):\n    return 'evil'\n")
    write(path, [edited, sample("other")])
    store = FileStore(path, cache_dir)
    with pytest.raises(StageRefusedError):
        store.stage(edited.id)
    strict = FileStore(path, cache_dir, Policy("signed"))
    with pytest.raises(StageRefusedError, match="not signed"):
        strict.stage(sample("other").id)


def test_an_old_id_is_a_warning_once(path: Path, cache_dir: Path | None) -> None:
    stage = sample()
    old = replace(stage, id=stage_id_v1(stage.signature, stage.implementation_hash))
    write(path, [old])
    store = FileStore(path, cache_dir)
    for _ in range(2):
        assert store.stage(old.id) == old
    (warning,) = store.warnings
    assert stage.id in warning


def test_a_stage_that_is_not_there(path: Path, cache_dir: Path | None) -> None:
    write(path, [])
    with pytest.raises(StageMissingError):
        FileStore(path, cache_dir).stage("0" * 64)


@pytest.mark.parametrize("content", [None, b"", b" \n\t "])
def test_a_missing_or_empty_file_is_an_empty_store(
    path: Path, content: bytes | None, cache_dir: Path | None
) -> None:
    if content is not None:
        path.write_bytes(content)
    store = FileStore(path, cache_dir)
    assert store.with_name("anything") == []
    assert store.warnings == ()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "not JSON"),
        (b"[]", "expected an object"),
        (b"{}", "array in the member stages, got nothing"),
        (b'{"stages":{}}', "array in the member stages, got an object"),
        (b'{"stages":[],"stages":[]}', "the member stages occurs twice"),
        (b'\xef\xbb\xbf{"stages":[]}', "byte order mark"),
        (b'{"stages":["\xff"]}', "not JSON"),
        (b'{"stages":[]} x', "not JSON"),
    ],
)
def test_every_other_trouble_names_the_absolute_path(
    path: Path, content: bytes, reason: str, cache_dir: Path | None
) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreError, match=reason) as refused:
        FileStore(path, cache_dir)
    assert refused.value.message.startswith(f"store {path}: ")


def test_a_relative_path_is_named_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("store.json").write_text("[]")
    with pytest.raises(StoreError, match=str(tmp_path / "store.json")):
        FileStore(Path("store.json"))


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no regular file"):
        FileStore(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreError, match="no regular file"):
        FileStore(tmp_path / "pipe")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="Not a directory"):
        FileStore(tmp_path / "file" / "store.json")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_must_not_be_read(path: Path) -> None:
    write(path, [])
    path.chmod(0)
    with pytest.raises(StoreError, match="Permission denied"):
        FileStore(path)


def test_only_the_first_bad_records_are_listed(path: Path, cache_dir: Path | None) -> None:
    write(path, [{"id": str(number)} for number in range(13)])
    warnings = FileStore(path, cache_dir).warnings
    assert len(warnings) == 11
    assert "3 more" in warnings[-1]


def test_active_is_assumed_only_where_the_state_cannot_be_read(
    path: Path, cache_dir: Path | None
) -> None:
    buried = {**broken_record("buried"), "lifecycle": "Tombstone"}
    odd = {**broken_record("odd"), "lifecycle": "active"}
    write(path, [buried, odd])
    store = FileStore(path, cache_dir)
    assert [entry.lifecycle for entry in store.with_name("buried")] == [Tombstone()]
    assert [entry.lifecycle for entry in store.with_name("odd")] == [Active()]
