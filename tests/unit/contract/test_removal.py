"""Removing what a stage leaves in its directory, however deep, closed or oddly named."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from noether_contract.removal import remove_tree

DEEPER_THAN_RECURSION = 1100
NOBODY = 65534


@pytest.fixture
def quick_path(tmp_path: Path) -> Iterator[Path]:
    """In memory, where it can be: a disk takes milliseconds for every folder."""
    memory = "/dev/shm"
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def test_folders_nested_deeper_than_any_path_name(quick_path: Path) -> None:
    target = quick_path / "work"
    target.mkdir()
    folder = os.open(target, os.O_RDONLY)
    for _ in range(DEEPER_THAN_RECURSION):
        for name in ("down", "beside"):
            os.mkdir(name, dir_fd=folder)
        deeper = os.open("down", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = deeper
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    os.close(folder)
    assert remove_tree(target)
    assert list(quick_path.iterdir()) == []


def test_links_are_not_followed_and_odd_names_are_no_obstacle(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o711)
    (outside / "keep").write_text("kept")
    target = tmp_path / "work"
    (target / "a" / "b").mkdir(parents=True)
    (target / "a" / "b" / "link").symlink_to(outside)
    (target / "link").symlink_to(outside)
    (target / "nowhere").symlink_to("nowhere")
    os.mkfifo(target / "a" / "pipe")
    (target / os.fsdecode(b"\xff\n")).mkdir()
    (target / os.fsdecode(b"\xff\n") / ("x" * 255)).mkdir()
    assert remove_tree(target)
    assert (outside / "keep").read_text() == "kept"
    assert outside.stat().st_mode & 0o777 == 0o711


def test_what_is_not_there_or_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("kept")
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    assert remove_tree(tmp_path / "gone")
    assert not remove_tree(file)
    assert not remove_tree(link)
    assert file.read_text() == "kept"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_permissions_that_were_taken_away_from_an_ordinary_user(tmp_path: Path) -> None:
    """As that user: root needs no permissions."""
    base = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    try:
        target = base / "work"
        (target / "a" / "b" / "c").mkdir(parents=True)
        (target / "a" / "b" / "c" / "file").write_text("x")
        for folder in (target, *target.rglob("*"), base):
            os.chown(folder, NOBODY, NOBODY)
        for folder in (target / "a" / "b" / "c", target / "a" / "b", target / "a", target):
            folder.chmod(0)
        pid = os.fork()
        if pid == 0:
            try:
                os.setuid(NOBODY)
                os._exit(0 if remove_tree(target) else 2)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert list(base.iterdir()) == []
    finally:
        subprocess.run(["rm", "-rf", base], check=True)
