"""A chaos test has a place of its own, and leaves no process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from process_watch import nothing_left
from running_service import Place


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    with nothing_left():
        yield


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)
