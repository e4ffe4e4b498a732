"""A history database of its own for every test."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from noether_supervisor.storage.opening import open_for_writing


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database of this test is, or will be."""
    return tmp_path / "state" / "history.db"


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    """The database, open for writing in autocommit mode."""
    with closing(open_for_writing(path)) as opened:
        yield opened
