import multiprocessing
import os
import stat
from pathlib import Path

import orjson
import pytest

from noether_runner.stores.store import StoreError
from noether_runner.stores.writing import changing, read_ledger
from stage_samples import sample


def names(path: Path) -> set[str]:
    return {stage.label for stage in read_ledger(path)}


def test_the_file_and_its_folders_are_made_when_something_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "store.json"
    with changing(path) as ledger:
        ledger.put(sample("one"))
    assert names(path) == {"one"}
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_nothing_is_written_when_nothing_changed(tmp_path: Path) -> None:
    path = tmp_path / "store.json"
    with changing(path):
        pass
    assert not path.exists()
    path.write_text('{"stages":[]}   ')
    before = path.stat().st_ino
    with changing(path):
        pass
    assert path.stat().st_ino == before


def test_what_goes_wrong_in_between_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.json"
    path.write_text('{"stages":[]}')

    def interrupted() -> None:
        with changing(path) as ledger:
            ledger.put(sample())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == '{"stages":[]}'


def test_a_failing_write_leaves_the_old_file_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.json"
    path.write_text('{"stages":[]}')

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"), changing(path) as ledger:
        ledger.put(sample())
    assert path.read_text() == '{"stages":[]}'
    assert sorted(each.name for each in tmp_path.iterdir()) == ["store.json", "store.json.lock"]


def test_rights_of_the_replaced_file_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "store.json"
    path.write_text("")
    path.chmod(0o640)
    with changing(path) as ledger:
        ledger.put(sample())
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "real.json", tmp_path / "store.json"
    link.symlink_to(target)
    with changing(link) as ledger:
        ledger.put(sample("one"))
    assert link.is_symlink()
    assert names(target) == {"one"}


def test_a_broken_store_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "store.json"
    path.write_text("{")
    with pytest.raises(StoreError), changing(path) as ledger:
        ledger.put(sample())
    assert path.read_text() == "{"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StoreError, match="cannot be changed"),
        changing(tmp_path / "file" / "s.json"),
    ):
        pass


def add_some(path: Path, start: int) -> None:
    for number in range(start, start + 10):
        with changing(path) as ledger:
            ledger.put(sample(f"stage{number}"))


def test_writers_side_by_side_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.json"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=add_some, args=(path, 10 * each)) for each in range(3)]
    for writer in writers:
        writer.start()
    seen = 0
    while any(writer.is_alive() for writer in writers):
        # A reader at any moment sees a whole file that only grows.
        now = len(names(path))
        assert now >= seen
        seen = now
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert names(path) == {f"stage{number}" for number in range(30)}
    assert orjson.loads(path.read_bytes())["stages"]
