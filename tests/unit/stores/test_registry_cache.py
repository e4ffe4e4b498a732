"""The cache on disk: whole files or none, for its owner alone, within its bound."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noether_runner.stages.lifecycle import Active, Deprecated, Draft, Lifecycle, Tombstone
from noether_runner.stores.registry.cache import Cache
from noether_runner.stores.registry.facts import Fact, age_words, read_fact, write_fact

IDS = [f"{number:064x}" for number in range(40)]


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "a" / "b", 10_000)


def test_records_come_back(cache: Cache) -> None:
    assert cache.record(IDS[1]) is None
    cache.keep(IDS[1], b"one")
    cache.keep(IDS[1], b"two")
    assert cache.record(IDS[1]) == b"two"
    assert cache.object_path(IDS[1]) == cache.folder / "objects" / "00" / f"{IDS[1]}.json"  # type: ignore[operator]  # it has a folder


def test_nobody_else_may_look(cache: Cache, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        cache.keep(IDS[1], b"one")
        cache.note(IDS[1], Fact(Active(), "python", 1.0))
        cache.set_aside(IDS[1])
    finally:
        os.umask(before)
    for path in (tmp_path / "a", *(tmp_path / "a").rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_an_equal_record_is_not_written_again(cache: Cache) -> None:
    cache.keep(IDS[1], b"one")
    path = cache.object_path(IDS[1])
    assert path is not None
    before = path.stat().st_ino
    cache.keep(IDS[1], b"one")
    assert path.stat().st_ino == before


def test_damage_is_moved_aside(cache: Cache) -> None:
    cache.keep(IDS[1], b"one")
    aside = cache.set_aside(IDS[1])
    assert aside is not None
    assert aside.read_bytes() == b"one"
    assert cache.record(IDS[1]) is None
    assert cache.set_aside(IDS[1]) is not None


def test_what_was_used_longest_ago_makes_room(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    for number, stage_id in enumerate(IDS[:20]):
        cache = Cache(folder, 100_000)
        cache.keep(stage_id, b"x" * 1000)
        path = cache.object_path(stage_id)
        assert path is not None
        os.utime(path, (1000.0 + number, 1000.0 + number))
    (folder / "index-1.sqlite").write_bytes(b"y" * 5000)
    os.utime(folder / "index-1.sqlite", (1.0, 1.0))
    assert Cache(folder, 100_000).record(IDS[0]) is not None  # and is the one used last
    full = Cache(folder, 12_000)
    full.keep(IDS[30], b"x" * 1000)
    left = {path.stem for path in (folder / "objects").rglob("*.json")}
    assert left == {IDS[0], IDS[30], *IDS[15:20]}
    assert (folder / "index-1.sqlite").exists()


def test_without_a_folder_nothing_is_kept() -> None:
    cache = Cache(None, 100)
    cache.keep(IDS[0], b"one")
    cache.note(IDS[0], Fact(None, None, 1.0))
    assert cache.record(IDS[0]) is None
    assert cache.fact(IDS[0]) is None
    assert not cache.write("x", b"")
    assert cache.problem is None


def test_what_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = Cache(tmp_path / "file", 100)
    cache.keep(IDS[0], b"one")
    assert cache.problem == f"the cache {tmp_path / 'file'} cannot be written (File exists)"


lifecycles: st.SearchStrategy[Lifecycle | None] = st.one_of(
    st.none(),
    st.sampled_from([Active(), Draft(), Tombstone()]),
    st.builds(Deprecated, st.sampled_from(IDS)),
)
texts = st.none() | st.text(max_size=5)


@given(st.builds(Fact, lifecycles, texts, st.floats(0, 1e10), texts))
def test_facts_read_back_as_written(fact: Fact) -> None:
    assert read_fact(write_fact(fact)) == fact


@given(st.binary())
def test_any_bytes_are_a_fact_or_none(text: bytes) -> None:
    assert read_fact(text) is None or isinstance(read_fact(text), Fact)


def test_freshness() -> None:
    fact = Fact(Active(), None, 1000.0)
    assert fact.is_fresh(1060.0, 60.0)
    assert not fact.is_fresh(1060.1, 60.0)
    assert fact.is_fresh(999.5, 60.0)
    assert not fact.is_fresh(990.0, 60.0)
    assert fact.age(990.0) == 0.0


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (119, "119 s"), (600, "10 min"), (9000, "2 h")]
)
def test_ages_in_words(seconds: float, words: str) -> None:
    assert age_words(seconds) == words
