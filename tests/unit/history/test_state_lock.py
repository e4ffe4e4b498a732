"""One service a state directory."""

import os
from pathlib import Path

import pytest

from noether_supervisor.errors import HistoryError
from noether_supervisor.storage.lock import LOCK_NAME, StateLock


def test_the_second_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with StateLock.take(state), pytest.raises(HistoryError, match=rf"pid {os.getpid()}\)"):
        StateLock.take(state)


def test_a_lock_given_back_can_be_taken(tmp_path: Path) -> None:
    first = StateLock.take(tmp_path)
    first.release()
    first.release()
    StateLock.take(tmp_path).release()


def test_the_lock_is_not_inherited_by_children(tmp_path: Path) -> None:
    with StateLock.take(tmp_path):
        open_files = {entry.resolve(): entry.name for entry in Path("/proc/self/fd").iterdir()}
        assert not os.get_inheritable(int(open_files[(tmp_path / LOCK_NAME).resolve()]))


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HistoryError, match="file"):
        StateLock.take(tmp_path / "file" / "state")


@pytest.mark.parametrize("text", ["", "4194305", "what?"])
def test_a_holder_that_has_not_written_its_pid_yet_is_not_mistaken_for_a_dead_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr("noether_supervisor.storage.lock._MOMENT_SECONDS", 0.01)
    with StateLock.take(tmp_path):
        (tmp_path / LOCK_NAME).write_text(text)
        with pytest.raises(HistoryError, match=r"pid unknown\)"):
            StateLock.take(tmp_path)


def test_the_mark_is_that_of_the_directory(tmp_path: Path) -> None:
    with StateLock.take(tmp_path / "a") as a, StateLock.take(tmp_path / "b") as b:
        marks = a.mark, b.mark
        assert len(set(marks)) == 2
    with StateLock.take(tmp_path / "a") as again:
        assert again.mark == marks[0]
