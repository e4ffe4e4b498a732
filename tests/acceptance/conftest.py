"""Every acceptance test has a place of its own and leaves no process and no private directory."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from process_watch import nothing_left
from running_service import Place


@pytest.fixture(autouse=True)
def _nothing_left(tmp_path: Path) -> Iterator[None]:
    with nothing_left():
        yield
    for folder in (tmp_path / "tmp", tmp_path / ".noether" / "scheduler" / "work"):
        left = sorted(folder.iterdir()) if folder.exists() else []
        assert left == [], f"files are left: {left}"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)
