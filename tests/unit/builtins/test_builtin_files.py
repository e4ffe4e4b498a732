"""Files: what is written is there whole, and relative paths are those of the run."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from builtin_calls import Caller, calling, started_children
from noether_contract.json_values import JsonValue
from noether_runner.sandbox.child import Children
from noether_runner.sandbox.isolation import Isolation


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with started_children() as started:
        yield started


@pytest.fixture
def caller(children: Children) -> Iterator[Caller]:
    with calling(children) as it:
        yield it


def test_relative_paths_are_below_the_working_directory(
    caller: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    caller.output("write_file", {"path": "a.txt", "content": "é"})
    assert (tmp_path / "a.txt").read_text("utf-8") == "é"
    assert caller.output("read_file", {"path": "./a.txt"}) == {"content": "é", "size_bytes": 2}


def test_standard_stages_work_on_the_files_of_the_host_whatever_the_isolation(
    caller: Caller, tmp_path: Path
) -> None:
    asked: JsonValue = {"path": str(tmp_path / "a.txt"), "content": "x"}
    outcome = caller.call("write_file", asked, isolation=Isolation("bwrap", required=True))
    assert (outcome.error, outcome.isolation) == (None, "none")
    assert (tmp_path / "a.txt").read_text() == "x"


def test_a_file_is_replaced_in_one_step_and_keeps_its_mode(caller: Caller, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("old and longer")
    file.chmod(0o640)
    with file.open() as reader:
        caller.output("write_file", {"path": str(file), "content": "new"})
        assert reader.read() == "old and longer"
    assert file.read_text() == "new"
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_link_stays_a_link(caller: Caller, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    caller.output("write_file", {"path": str(tmp_path / "link"), "content": "new"})
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("", 2),
        (".", 21),
        ("no/such/folder", 2),
        ("file/below", 20),
        ("new/", 21),
        ("new/.", 2),
        ("loop", 40),
    ],
)
def test_what_cannot_be_written_is_told_in_the_systems_words(
    caller: Caller, tmp_path: Path, path: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    expected = f"{os.strerror(number)} (os error {number})"
    assert caller.message("write_file", {"path": path, "content": "x"}) == expected
    assert sorted(found.name for found in tmp_path.iterdir()) == ["file", "loop"]


def test_a_file_is_no_folder(caller: Caller, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    message = caller.message("read_file", {"path": f"{tmp_path}/file/"})
    assert message == "Not a directory (os error 20)"


def test_a_file_in_a_closed_folder_is_written_to(caller: Caller) -> None:
    output = caller.output("write_file", {"path": "/proc/self/comm", "content": "x"})
    assert output == {"path": "/proc/self/comm", "bytes_written": 1}


def test_a_device_is_written_to(caller: Caller) -> None:
    output = caller.output("write_file", {"path": "/dev/null", "content": "x"})
    assert output == {"path": "/dev/null", "bytes_written": 1}
    assert not Path("/dev/null").is_file()


def test_nul_is_no_part_of_a_path(caller: Caller) -> None:
    assert "NUL" in caller.message("read_file", {"path": "a\0b"})
