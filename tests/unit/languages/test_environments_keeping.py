"""Environments that are removed to make room, and those that stay."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from environment_steps import Steps, done, environments
from noether_runner.languages.environments import finder, keeping
from noether_runner.languages.environments.keeping import SPARED_SECONDS, hold, prune
from noether_runner.languages.environments.place import MARKER, Place
from noether_runner.sandbox.calls import ChildCall, ChildResult
from noether_runner.sandbox.cancellation import CancelSwitch

OLD, MIDDLE, NEW = ("old==1",), ("middle==1",), ("new==1",)
NOW = time.time() + 2 * SPARED_SECONDS
"""A day later than whatever is used in these tests."""


@pytest.fixture
def switch() -> Iterator[CancelSwitch]:
    made = CancelSwitch()
    yield made
    made.close()


@pytest.fixture
def kept(tmp_path: Path, switch: CancelSwitch) -> Path:
    """Three environments that nobody uses any more, last used one after the other."""
    for used_at, entries in enumerate((OLD, MIDDLE, NEW)):
        environments(tmp_path, Steps()).find(entries, switch)
        os.utime(marker(tmp_path / "kept", entries), (used_at, used_at))
    return tmp_path / "kept"


def marker(folder: Path, entries: tuple[str, ...]) -> Path:
    return Place.of(folder, entries).directory / MARKER


def size(folder: Path, entries: tuple[str, ...]) -> int:
    return int(json.loads(marker(folder, entries).read_text())["bytes"])


def there(folder: Path) -> set[str]:
    every = (OLD, MIDDLE, NEW)
    return {entries[0] for entries in every if Place.of(folder, entries).is_complete()}


def test_what_was_used_longest_ago_goes_first(kept: Path) -> None:
    prune(kept, NOW, size(kept, MIDDLE) + size(kept, NEW))
    assert there(kept) == {"middle==1", "new==1"}
    gone = Place.of(kept, OLD)
    assert not any(path.exists() for path in (gone.directory, gone.lock))
    prune(kept, NOW, 0)
    assert list(kept.iterdir()) == []


def test_use_counts_not_age(tmp_path: Path, kept: Path, switch: CancelSwitch) -> None:
    environments(tmp_path, Steps()).find(OLD, switch)
    prune(kept, NOW, size(kept, OLD))
    assert there(kept) == {"old==1"}


def test_what_a_run_has_found_stays_until_it_is_over(
    tmp_path: Path, kept: Path, switch: CancelSwitch
) -> None:
    run = environments(tmp_path, Steps())
    run.find(OLD, switch)
    prune(kept, NOW, 0)
    assert there(kept) == {"old==1"}
    del run
    prune(kept, NOW, 0)
    assert there(kept) == set()


def test_what_was_used_within_a_day_stays_even_if_it_is_too_much(kept: Path) -> None:
    for used_at, entries in ((10.0, MIDDLE), (11.0, NEW)):
        os.utime(marker(kept, entries), (used_at, used_at))
    prune(kept, SPARED_SECONDS + 10.5, 0)
    assert there(kept) == {"new==1"}


def test_what_is_being_built_stays(kept: Path) -> None:
    place = Place.of(kept, OLD)
    place.building.mkdir()
    with place.lock.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        prune(kept, NOW, 0)
    assert there(kept) == {"old==1"}
    assert place.building.exists()
    prune(kept, NOW)
    assert not place.building.exists()


def test_a_build_makes_room(
    tmp_path: Path, kept: Path, switch: CancelSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finder, "prune", lambda folder, now: prune(folder, now, 1))
    run = environments(tmp_path, Steps())
    found = run.find(("fourth==1",), switch)
    assert there(kept) == set()
    assert Path(found.python).exists()


def test_sizes_that_nobody_noted_are_measured(kept: Path) -> None:
    noted = size(kept, OLD)
    marker(kept, OLD).write_text("{}\n")
    (measured,) = [
        each.size
        for each in keeping._complete(kept)
        if each.directory == Place.of(kept, OLD).directory
    ]
    assert measured == noted + len("{}\n")


def test_one_process_is_enough(kept: Path) -> None:
    folder = os.open(kept, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    prune(kept, NOW, 0)
    os.close(folder)
    assert len(there(kept)) == 3


def test_what_is_not_ours_and_what_is_not_there(kept: Path) -> None:
    (kept / "notes").mkdir()
    (kept / "notes.lock").touch()
    prune(kept, NOW, 0)
    assert {path.name for path in kept.iterdir()} == {"notes", "notes.lock"}
    prune(kept / "missing", NOW)


def test_an_environment_that_goes_while_it_is_wanted_is_built_again(
    tmp_path: Path, kept: Path, switch: CancelSwitch
) -> None:
    """Whoever removes it has its locks; the one who waits meets a lock file that is gone."""
    place = Place.of(kept, OLD)
    folder = os.open(place.directory, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    with pytest.raises(BlockingIOError):
        hold(place.directory)

    removed = place.lock.open()
    fcntl.flock(removed, fcntl.LOCK_EX)

    class Remover(CancelSwitch):
        def wait(self, seconds: float) -> bool:
            place.directory.rename(place.directory.with_suffix(".gone"))
            place.lock.unlink()
            removed.close()
            os.close(folder)
            return super().wait(0)

    def pip(_: ChildCall) -> ChildResult:
        with place.lock.open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return done()

    remover = Remover()
    run = environments(tmp_path, Steps(pip))
    assert run.find(OLD, remover).built_seconds is not None
    remover.close()
    assert place.is_complete()
