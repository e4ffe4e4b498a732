"""The index on disk: never wrong, never in the way, whatever happens to it or around it."""

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from noether_runner.stages.identity import stage_id_v0
from noether_runner.stages.stage import Stage, write_stage
from noether_runner.stores import file as file_store
from noether_runner.stores import index
from noether_runner.stores.content import read_content
from noether_runner.stores.file import FileStore
from noether_runner.stores.index import index_path
from stage_samples import broken_record, sample

STAGES = [
    sample(f"stage{number}", f"def execute(input):\n    return {number}\n") for number in range(20)
]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(file_store, "LARGE_BYTES", 1)
    monkeypatch.setattr(index, "_SETTLED_NS", 0)
    path = tmp_path / "store.json"
    write(path, STAGES)
    return path


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def write(path: Path, stages: list[Stage]) -> None:
    path.write_bytes(orjson.dumps({"stages": [write_stage(stage) for stage in stages]}))


def uses_file(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Notes every reading of the store file from here on."""
    read: list[bytes] = []

    def noting(data: bytes, path: Path) -> object:
        read.append(data)
        return read_content(data, path)

    monkeypatch.setattr(file_store, "read_content", noting)
    return read


def test_a_second_run_does_not_read_the_file(
    path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = uses_file(monkeypatch)
    FileStore(path, cache_dir)
    assert len(read) == 1
    store = FileStore(path, cache_dir)
    assert store.stage(STAGES[7].id) == STAGES[7]
    assert len(read) == 1


def test_a_changed_file_is_read_again(path: Path, cache_dir: Path) -> None:
    FileStore(path, cache_dir)
    write(path, [*STAGES, sample("new")])
    assert FileStore(path, cache_dir).with_name("new")
    # In place, with the same length, and with the times of last write put back.
    before = path.stat()
    text = path.read_bytes().replace(b'"stage7"', b'"stageX"')
    while path.stat().st_ctime_ns == before.st_ctime_ns:
        path.write_bytes(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    store = FileStore(path, cache_dir)
    assert store.with_name("stage7") == []
    assert store.with_name("stageX")


def test_a_file_that_was_changed_a_moment_ago_is_not_indexed(
    path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "_SETTLED_NS", 10**18)
    assert FileStore(path, cache_dir).stage(STAGES[0].id) == STAGES[0]
    assert not index_path(cache_dir, path).exists()


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"not a database",
        b"SQLite format 3\0" + b"\xff" * 5000,
        None,
    ],
)
def test_a_damaged_index_is_made_anew_in_silence(
    path: Path, cache_dir: Path, damage: bytes | None
) -> None:
    FileStore(path, cache_dir)
    file = index_path(cache_dir, path)
    file.write_bytes(file.read_bytes()[:5000] if damage is None else damage)
    store = FileStore(path, cache_dir)
    assert store.stage(STAGES[3].id) == STAGES[3]
    assert store.warnings == ()
    again = FileStore(path, cache_dir)
    assert again.stage(STAGES[3].id) == STAGES[3]
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE stage",
        "UPDATE stage SET json = x'00'",
        "UPDATE stage SET lifecycle = '\"Active\"'",
        "UPDATE stage SET lifecycle = x'7b7d'",
        "UPDATE stage SET json = (SELECT json FROM stage WHERE place = 0)",
        "UPDATE stage SET json = CAST(replace(json, 'return', 'yield ') AS BLOB)",
    ],
)
def test_an_index_that_was_tampered_with_counts_for_nothing(
    path: Path, cache_dir: Path, sql: str
) -> None:
    FileStore(path, cache_dir)
    file = index_path(cache_dir, path)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(sql)
    store = FileStore(path, cache_dir)
    assert store.stage(STAGES[5].id) == STAGES[5]
    assert [entry.id for entry in store.with_name("stage6")] == [STAGES[6].id]


def test_an_index_of_another_version_is_replaced(
    path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(index, "_FORMAT", "noether-store-index/0")
        FileStore(path, cache_dir)
    read = uses_file(monkeypatch)
    FileStore(path, cache_dir)
    FileStore(path, cache_dir)
    assert len(read) == 1


def test_a_cache_folder_that_cannot_be_written_is_done_without(path: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    store = FileStore(path, blocked)
    assert store.stage(STAGES[0].id) == STAGES[0]


def test_an_index_that_vanishes_during_a_run_is_no_trouble(path: Path, cache_dir: Path) -> None:
    FileStore(path, cache_dir)
    store = FileStore(path, cache_dir)
    index_path(cache_dir, path).unlink()
    legacy = stage_id_v0(STAGES[4].signature, STAGES[4].implementation_hash)
    assert [entry.id for entry in store.with_legacy_id(legacy)] == [STAGES[4].id]
    assert store.stage(STAGES[4].id) == STAGES[4]


def test_a_snapshot_outlives_a_change_of_the_store(path: Path, cache_dir: Path) -> None:
    FileStore(path, cache_dir)
    store = FileStore(path, cache_dir)
    write(path, [])
    FileStore(path, cache_dir)
    assert store.stage(STAGES[2].id) == STAGES[2]
    legacy = stage_id_v0(STAGES[2].signature, STAGES[2].implementation_hash)
    assert [entry.id for entry in store.with_legacy_id(legacy[:10])] == [STAGES[2].id]


def test_old_ids_are_computed_once(
    path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    legacy = stage_id_v0(STAGES[1].signature, STAGES[1].implementation_hash)
    assert FileStore(path, cache_dir).with_legacy_id(legacy)
    monkeypatch.setattr(index, "legacy_ids", lambda _: pytest.fail("computed again"))
    assert [e.id for e in FileStore(path, cache_dir).with_legacy_id(legacy)] == [STAGES[1].id]


def test_old_ids_of_bad_records_are_nobodys(path: Path, cache_dir: Path) -> None:
    records = [write_stage(STAGES[0]), broken_record()]
    path.write_bytes(orjson.dumps({"stages": records}))
    store = FileStore(path, cache_dir)
    legacy = stage_id_v0(STAGES[0].signature, STAGES[0].implementation_hash)
    assert [entry.id for entry in store.with_legacy_id(legacy)] == [STAGES[0].id]


def test_many_at_once_make_one_index(
    path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []
    original = index._write_anew

    def counting(target: Path, fill: Callable[[sqlite3.Connection], None]) -> None:
        made.append(target)
        original(target, fill)

    monkeypatch.setattr(index, "_write_anew", counting)
    found: list[str] = []

    def look() -> None:
        found.append(FileStore(path, cache_dir).stage(STAGES[9].id).id)

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [STAGES[9].id] * 8
    assert len(made) == 1
    leftovers = {each.suffix for each in index_path(cache_dir, path).parent.iterdir()}
    assert leftovers == {".sqlite", ".lock"}


def test_what_a_killed_maker_left_behind_is_cleared_away(path: Path, cache_dir: Path) -> None:
    file = index_path(cache_dir, path)
    file.parent.mkdir(parents=True)
    litter = file.with_name(f".{file.name}.abc123")
    litter.write_bytes(b"half an index")
    FileStore(path, cache_dir)
    assert file.exists()
    assert not litter.exists()


def test_threads_of_one_run_share_a_store(path: Path, cache_dir: Path) -> None:
    store = FileStore(path, cache_dir)
    store = FileStore(path, cache_dir)
    failures: list[BaseException] = []

    def look(stage: Stage) -> None:
        try:
            assert store.stage(stage.id) == stage
            assert store.with_name(stage.label)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=look, args=(stage,)) for stage in STAGES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
