"""Whom stages run as, and what that user can get to."""

import os
import pwd
from pathlib import Path

import pytest

from noether_runner.errors import RunnerError
from noether_runner.sandbox.private_directory import open_for, private_directory
from noether_runner.sandbox.stage_user import (
    NOBODY,
    StageUser,
    can_reach,
    closed_folder,
    named_user,
    sandbox_user,
)
from sandbox_backends import open_to_everybody

SOMEBODY = StageUser(4321, 4321, (4322,))
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


def test_whoever_is_not_root_stays_who_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert named_user("nobody") is None
    assert sandbox_user(None) is None


def test_a_user_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert named_user(None) is None
    entry = pwd.getpwall()[-1]
    found = named_user(entry.pw_name)
    assert found is not None
    assert (found.user, found.group) == (entry.pw_uid, entry.pw_gid)
    assert entry.pw_gid in found.groups
    with pytest.raises(RunnerError, match="'nobody-knows-me' is no user of this system"):
        named_user("nobody-knows-me")


def test_a_sandbox_of_roots_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert sandbox_user(SOMEBODY) == SOMEBODY
    assert sandbox_user(None) in (StageUser(NOBODY, NOBODY), None)


@pytest.mark.parametrize(
    ("mode", "user", "expected"),
    [
        (0o755, SOMEBODY, True),
        (0o700, SOMEBODY, False),
        (0o750, SOMEBODY, False),
        (0o700, StageUser(0, 0), True),
    ],
)
def test_a_folder_on_the_way(tmp_path: Path, mode: int, user: StageUser, expected: bool) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_text("x")
    (folder / "file").chmod(0o644)
    open_to_everybody(tmp_path)
    folder.chmod(mode)
    assert can_reach(str(folder / "file"), user) is expected
    assert closed_folder(str(folder / "file"), user) == (None if expected else folder)


def test_a_file_of_ones_group(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch(mode=0o640)
    tmp_path.chmod(0o755)
    status = path.stat()
    way = closed_folder(str(path), SOMEBODY)
    assert can_reach(str(path), StageUser(4321, 4321, (status.st_gid,))) is (way is None)
    assert not can_reach(str(path), SOMEBODY)
    assert not can_reach(str(tmp_path / "gone"), SOMEBODY)
    assert can_reach(str(path), None)


@as_root
def test_a_private_directory_is_its_users(tmp_path: Path) -> None:
    open_for(SOMEBODY, tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o711
    with private_directory(tmp_path, {"stage.py": b"x"}, SOMEBODY) as directory:
        for path in (directory, directory / "stage.py"):
            assert (path.stat().st_uid, path.stat().st_gid) == (4321, 4321)
        assert directory.stat().st_mode & 0o777 == 0o700
    assert list(tmp_path.iterdir()) == []
