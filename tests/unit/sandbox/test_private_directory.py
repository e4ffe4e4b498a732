import itertools
import os
from pathlib import Path

import pytest

from noether_contract.outcomes import ErrorClass
from noether_runner.errors import StageError
from noether_runner.sandbox import private_directory as places
from noether_runner.sandbox.private_directory import private_directory


def test_it_is_private_and_goes_away(tmp_path: Path) -> None:
    work_dir = tmp_path / "not" / "yet" / "there"
    with private_directory(work_dir, {"stage.py": b"x = 1\n"}) as directory:
        assert directory.parent == work_dir
        assert directory.stat().st_mode & 0o777 == 0o700
        assert (directory / "stage.py").read_bytes() == b"x = 1\n"
    assert list(work_dir.iterdir()) == []


def test_whatever_was_left_in_it(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").write_text("kept")
    with private_directory(tmp_path / "work", {"stage.py": b""}) as directory:
        (directory / "stage.py").unlink()
        (directory / "a" / "b").mkdir(parents=True)
        (directory / "a" / "b" / "file").write_text("x")
        (directory / "a" / "link").symlink_to(outside)
        (directory / "a" / "b").chmod(0)
        (directory / "a").chmod(0o500)
    assert list((tmp_path / "work").iterdir()) == []
    assert (outside / "keep").read_text() == "kept"


def test_an_empty_one_may_stay_a_full_one_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "_stayed", itertools.count())
    monkeypatch.setattr(places, "_MOST_STAY", 2)
    with private_directory(tmp_path, {}, may_stay=True) as directory:
        (directory / "left").write_text("x")
    assert list(tmp_path.iterdir()) == []
    for _ in range(4):
        with private_directory(tmp_path, {"stage.py": b""}, may_stay=True):
            pass
    assert [list(each.iterdir()) for each in tmp_path.iterdir()] == [[], []]


def test_it_is_removed_after_an_error_as_well(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), private_directory(tmp_path, {}):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_it_may_be_gone_already(tmp_path: Path) -> None:
    with private_directory(tmp_path, {"stage.py": b""}) as directory:
        (directory / "stage.py").unlink()
        directory.rmdir()
    assert list(tmp_path.iterdir()) == []


def test_a_place_where_none_can_be_made(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(StageError) as caught, private_directory(blocked / "x", {}):
        pass
    assert caught.value.error_class is ErrorClass.RUNTIME_UNAVAILABLE
    assert os.fspath(blocked) in caught.value.message
