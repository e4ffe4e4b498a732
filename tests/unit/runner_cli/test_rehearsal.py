"""A rehearsal goes through a whole run and leaves nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from noether_runner import work_place
from noether_runner.rehearsal import Rehearsal
from noether_runner.sandbox import prctl
from process_watch import living_descendants


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """A runner adopts orphans; this process is none."""
    yield
    prctl.adopt_orphans(adopting=False)


def test_it_leaves_no_file_and_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = living_descendants()
    rehearsal = Rehearsal()
    rehearsal.rehearse()
    rehearsal.rehearse()
    assert living_descendants() == before
    (folder,) = tmp_path.iterdir()
    assert list(folder.iterdir()) == []
    rehearsal.close()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_nursery_left_goes_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "noether-rehearsal-0123" / "stage-1").mkdir(parents=True)
    first = Rehearsal()
    second = Rehearsal()
    assert len(list(tmp_path.iterdir())) == 2
    first.close()
    second.close()
    assert list(tmp_path.iterdir()) == []


def test_without_a_place_for_files_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/dev/null")
    monkeypatch.setattr(work_place, "_TEMPORARY", ())
    rehearsal = Rehearsal()
    rehearsal.rehearse()
    rehearsal.close()
