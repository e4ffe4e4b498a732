"""Interpreters are found on the PATH that the stage will have, whatever else stands in it."""

from pathlib import Path

import pytest

from noether_contract.outcomes import ErrorClass
from noether_runner.errors import StageError
from noether_runner.languages.interpreters import find_interpreter


def program(folder: Path, mode: int = 0o755) -> str:
    folder.mkdir()
    path = folder / "tool"
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return str(path)


def test_the_first_one_that_can_be_executed(tmp_path: Path) -> None:
    program(tmp_path / "plain", 0o644)
    (tmp_path / "folder" / "tool").mkdir(parents=True)
    first, second = program(tmp_path / "first"), program(tmp_path / "second")
    names = ("plain", "folder", "nowhere", "first", "second")
    path = ":".join(str(tmp_path / name) for name in names)
    assert find_interpreter("tool", {"PATH": path}) == first
    assert find_interpreter("tool", {"PATH": f"{tmp_path}/second/:{path}"}) == second


def test_a_folder_that_cannot_even_be_looked_into_is_passed_over(tmp_path: Path) -> None:
    found = program(tmp_path / "good")
    # as of a folder that is closed to this user, stat(2) of a name in it is an error
    unusable = f"/{'x' * 300}"
    path = f"{unusable}:/dev/null:{tmp_path / 'good'}"
    assert find_interpreter("tool", {"PATH": path}) == found


@pytest.mark.parametrize("path", ["", ".", "relative/bin", "::"])
def test_relative_folders_are_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    program(tmp_path / "relative")
    monkeypatch.chdir(tmp_path / "relative")
    with pytest.raises(StageError, match="'tool' is not on the stage's PATH") as refused:
        find_interpreter("tool", {"PATH": path})
    assert refused.value.error_class is ErrorClass.RUNTIME_UNAVAILABLE
