"""Whatever bytes a store file holds: its records, or one error; a bad record hides no other one."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from bad_input import few, noise, outcome, spoilt_texts, spoilt_values
from noether_runner.errors import RunnerError
from noether_runner.stages.stage import Stage, write_stage
from noether_runner.stores.file import FileStore
from noether_runner.stores.store import StoreError
from stage_samples import sample

SOUND = sample("sound", "def execute(input):\n    return 1\n")
SPOILT = write_stage(
    sample(
        "spoilt",
        examples=[{"input": "a", "output": "b"}],
        effects=["fallible"],
        tags=["x"],
        description="to be spoilt",
    )
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store") / "store.json"


def asked(store: FileStore, name: str, stage_id: str) -> Stage | RunnerError:
    """All questions about a stage; at the end the stage, or why it is not given out."""
    for entries in (
        store.with_name(name),
        store.with_id_prefix(stage_id[:8]),
        store.active_with_signature(stage_id),
        store.with_legacy_id(stage_id),
    ):
        assert all(isinstance(entry.id, str) for entry in entries)
    found = outcome(lambda: store.stage(stage_id), RunnerError)
    if isinstance(found, RunnerError):
        assert found.message
    return found


@few
@given(spoilt_texts({"stages": [SPOILT, write_stage(SOUND)], "extra": {"a": [1]}}))
def test_a_spoilt_file_is_a_store_or_one_error(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    store = outcome(lambda: FileStore(path), StoreError)
    if isinstance(store, StoreError):
        assert store.message.startswith(f"store {path}: ")
        assert len(store.message) < 2000
        return
    asked(store, "spoilt", str(SPOILT["id"]))
    asked(store, "sound", SOUND.id)
    assert all(warning.startswith(f"store {path}: ") for warning in store.warnings)
    assert all(len(warning) < 2000 for warning in store.warnings)


@few
@given(noise)
def test_bytes_that_are_no_store(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    store = outcome(lambda: FileStore(path), StoreError)
    if isinstance(store, StoreError):
        assert store.message.startswith(f"store {path}: ")
    else:
        assert store.with_name("x") == []


@few
@given(spoilt_values(SPOILT))
def test_a_bad_record_hides_no_other(path: Path, record: Any) -> None:
    text = json.dumps({"stages": [record, write_stage(SOUND), record]})
    path.write_text(text, encoding="utf-8")
    store = outcome(lambda: FileStore(path), StoreError)
    if isinstance(store, StoreError):
        # the whole text is no JSON that could be read: nesting, a number or half a character
        assert "not JSON" in store.message
        return
    assert store.stage(SOUND.id) == SOUND
    assert [entry.id for entry in store.with_name("sound")] == [SOUND.id]
    found = asked(store, "spoilt", str(SPOILT["id"]))
    if isinstance(found, Stage):
        assert found.id == SPOILT["id"]
