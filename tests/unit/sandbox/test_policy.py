"""What a stage may touch: its declared effects and the operator's grants, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

from noether_contract.messages import Grants
from noether_contract.outcomes import ErrorClass
from noether_runner.errors import StageError
from noether_runner.sandbox.policy import Policy, policy_for
from noether_runner.stages.effects import Effect, EffectKind, EffectSet


def effects(*declared: str | tuple[str, Path | str]) -> EffectSet:
    return EffectSet.of(
        Effect(EffectKind(each))
        if isinstance(each, str)
        else Effect(EffectKind(each[0]), str(each[1]))
        for each in declared
    )


def paths(policy: Policy) -> tuple[list[str], list[str]]:
    return [each.path for each in policy.read], [each.path for each in policy.write]


def refusal(effect_set: EffectSet, grants: Grants | None = None, **more: Any) -> str:
    with pytest.raises(StageError) as caught:
        policy_for(effect_set, grants or Grants(), **more)
    assert caught.value.error_class is ErrorClass.ISOLATION_UNAVAILABLE
    return caught.value.message


def test_a_stage_that_declares_nothing_gets_nothing() -> None:
    for kind in ("Pure", "Fallible", "NonDeterministic", "Process", "Unknown"):
        assert policy_for(effects(kind), Grants()) == Policy()
    assert policy_for(EffectSet(), Grants()) == Policy()


def test_network_and_llm_open_the_network() -> None:
    assert policy_for(effects("Network"), Grants()) == Policy(network=True)
    llm = EffectSet.of([Effect(EffectKind.LLM, "default")])
    assert policy_for(llm, Grants()) == Policy(network=True, programs=True)


@pytest.mark.parametrize(("granted", "expected"), [(None, True), (True, True), (False, False)])
def test_the_operator_decides_over_the_network(granted: bool | None, expected: bool) -> None:
    assert policy_for(effects("Network"), Grants(network=granted)).network is expected
    assert policy_for(effects("Pure"), Grants(network=granted)).network is bool(granted)


def test_declared_and_granted_paths(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    declared = effects(("FsRead", tmp_path / "a"), ("FsWrite", tmp_path / "b"))
    grants = Grants(fs_read=(str(tmp_path / "c"),), fs_write=(str(tmp_path / "a"),))
    policy = policy_for(declared, grants)
    # what may be written may be read
    assert paths(policy) == ([f"{tmp_path}/c"], [f"{tmp_path}/a", f"{tmp_path}/b"])
    words = policy.describe()
    assert words == f"no network, reads {tmp_path}/c, writes {tmp_path}/a, writes {tmp_path}/b"


def test_parents_come_before_what_is_below_them(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a-b").mkdir()
    found = policy_for(
        effects(*(("FsRead", tmp_path / each) for each in ("a/b", "a-b", "a"))), Grants()
    )
    assert [Path(each.path).name for each in found.read] == ["a", "b", "a-b"]


def test_links_are_followed_and_named_as_declared(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (granted,) = policy_for(effects(("FsRead", tmp_path / "link")), Grants()).read
    assert (granted.path, granted.real) == (f"{tmp_path}/link", f"{tmp_path}/real")


@pytest.mark.parametrize("path", ["relative", "", "./a", "~/notes", "/a/../etc", "/a\0b"])
def test_paths_that_are_no_absolute_ones(path: str) -> None:
    assert "absolute path without '..'" in refusal(effects(("FsRead", path)))


def test_a_path_that_is_missing(tmp_path: Path) -> None:
    told = refusal(effects(("FsWrite", tmp_path / "gone")))
    assert f"{tmp_path}/gone: No such file or directory" in told
    told = refusal(EffectSet(), Grants(fs_read=(str(tmp_path / "gone"),)))
    assert "the operator's fs_read" in told


@pytest.mark.parametrize("kind", ["FsRead", "FsWrite"])
@pytest.mark.parametrize("path", ["/proc", "/proc/sys", "/dev", "/dev/null", "/sys"])
def test_what_belongs_to_the_system(kind: str, path: str, tmp_path: Path) -> None:
    assert "belongs to the system" in refusal(effects((kind, path)))
    (tmp_path / "link").symlink_to(path)
    assert "belongs to the system" in refusal(effects((kind, tmp_path / "link")))
    granted = Grants(fs_read=(path,)) if kind == "FsRead" else Grants(fs_write=(path,))
    assert paths(policy_for(effects((kind, path)), granted)) in (([path], []), ([], [path]))


@pytest.mark.parametrize("path", ["/", "//", "/."])
def test_the_whole_file_system(path: str) -> None:
    assert "whole file system" in refusal(effects(("FsRead", path)))
    assert "whole file system" in refusal(EffectSet(), Grants(fs_write=(path,)))


def test_what_belongs_to_the_scheduler(tmp_path: Path) -> None:
    state, store = tmp_path / "state", tmp_path / "project" / "store.json"
    (state / "cache").mkdir(parents=True)
    store.parent.mkdir()
    store.write_text("{}")
    (tmp_path / "project" / "notes").mkdir()
    own = (str(state), str(store), str(tmp_path / "config that is not there yet.json"))
    for path in (tmp_path, state, state / "cache", store.parent, store):
        told = refusal(effects(("FsWrite", path)), protected=own)
        assert "of the scheduler is there" in told
        assert str(path) in told
        # reading is another matter, and so is what the operator says
        policy_for(effects(("FsRead", path)), Grants(), own)
        policy_for(effects(("FsWrite", path)), Grants(fs_write=(str(tmp_path),)), own)
    beside = effects(("FsWrite", tmp_path / "project" / "notes"))
    assert paths(policy_for(beside, Grants(), own))[1] == [f"{tmp_path}/project/notes"]


def test_a_grant_to_read_does_not_open_what_is_protected(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    own = (str(tmp_path / "state"),)
    grants = Grants(fs_read=(str(tmp_path),))
    told = refusal(effects(("FsWrite", tmp_path / "state")), grants, protected=own)
    assert "of the scheduler" in told
