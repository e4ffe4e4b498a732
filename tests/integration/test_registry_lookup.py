"""Which requests a run makes of a registry: as few as its references need, none when all is cached.

Real HTTP on loopback; the wall clock of the client is turned by the tests.
"""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from noether_runner.graph.resolve import ResolveError
from noether_runner.stages.identity import stage_id_v1
from noether_runner.stages.lifecycle import Active, Deprecated, Draft, Tombstone
from noether_runner.stages.stage import Stage
from noether_runner.stages.verify import Policy, StageRefusedError
from noether_runner.stores.builtin import builtin_stages
from registry_samples import Runs, Shelf, many, serving_stages
from registry_server import Registry
from stage_samples import sample, version

STAGES = many(12)
LISTING = "/stages?lifecycle=active&limit=200&offset="


@pytest.fixture
def served() -> Iterator[tuple[Registry, Shelf]]:
    with serving_stages(*STAGES) as it:
        yield it


@pytest.fixture
def registry(served: tuple[Registry, Shelf]) -> Registry:
    return served[0]


@pytest.fixture
def shelf(served: tuple[Registry, Shelf]) -> Shelf:
    return served[1]


@pytest.fixture
def runs(registry: Registry, tmp_path: Path) -> Runs:
    return Runs(registry, tmp_path / "cache")


def gets(*stages: Stage) -> list[str]:
    return sorted(f"/stages/{stage.id}" for stage in stages)


def signature_of(stage: Stage) -> str:
    assert stage.signature_id is not None
    return stage.signature_id


def test_only_referenced_ids_are_asked_for(runs: Runs, registry: Registry) -> None:
    run = runs.resolve(STAGES[3].id, STAGES[5].id, pinned=[STAGES[7].id])
    assert run.ids == [STAGES[3].id, STAGES[5].id, STAGES[7].id]
    assert run.sources == ["registry"] * 3
    assert run.stages[STAGES[5].id] == STAGES[5]
    assert sorted(registry.log) == gets(STAGES[3], STAGES[5], STAGES[7])


def test_a_second_run_makes_no_request(runs: Runs, registry: Registry) -> None:
    runs.resolve(STAGES[3].id, pinned=[STAGES[7].id])
    registry.asked.clear()
    runs.clock.pass_(42)
    run = runs.resolve(STAGES[3].id, pinned=[STAGES[7].id])
    assert registry.log == []
    assert run.sources == ["cache, 42 s old"] * 2
    assert run.stages[STAGES[3].id] == STAGES[3]
    assert run.warnings == []


def test_a_run_from_the_cache_does_not_even_load_the_http_library(
    runs: Runs, registry: Registry, tmp_path: Path
) -> None:
    runs.clock.now = __import__("time").time()
    runs.resolve(STAGES[3].id, signature_of(STAGES[4]))
    registry.asked.clear()
    program = f"""
import sys
from pathlib import Path
from noether_contract.messages import RegistryRef
from noether_runner.stores.opening import open_store

wanted = [({STAGES[3].id!r}, False), ({signature_of(STAGES[4])!r}, False), ("kv_get", False)]
store = open_store(RegistryRef(url={registry.url!r}), Path({str(tmp_path / "cache")!r}),
    references=wanted)
assert store.with_id(wanted[0][0]).source.startswith("cache"), store.with_id(wanted[0][0])
assert store.stage({STAGES[3].id!r}).name == "stage3"
assert [entry.id for entry in store.active_with_signature(wanted[1][0])] == [{STAGES[4].id!r}]
assert store.with_name("kv_get")
assert not {{"httpx", "asyncio", "ssl"}} & set(sys.modules), "loaded for nothing"
"""
    subprocess.run([sys.executable, "-I", "-c", program], check=True)
    assert registry.log == []


@pytest.mark.parametrize(("pinned", "seconds"), [(False, 60), (True, 300)])
def test_the_state_of_a_stage_is_looked_at_again_after_a_while(
    runs: Runs, registry: Registry, shelf: Shelf, pinned: bool, seconds: int
) -> None:
    stage = STAGES[3]
    how = {"pinned": [stage.id]} if pinned else {}
    references = [] if pinned else [stage.id]
    runs.resolve(*references, **how)
    shelf.set_lifecycle(stage, Tombstone())
    runs.clock.pass_(seconds)
    assert runs.resolve(*references, **how).ids == [stage.id]
    runs.clock.pass_(1)
    with pytest.raises(ResolveError, match="tombstone"):
        runs.resolve(*references, **how)
    assert registry.log == gets(stage) * 2


def test_a_clock_that_was_set_back_makes_nothing_fresh_for_longer(
    runs: Runs, registry: Registry
) -> None:
    runs.resolve(STAGES[3].id)
    runs.clock.pass_(-3600)
    assert runs.resolve(STAGES[3].id).sources == ["registry"]
    assert len(registry.asked) == 2


def test_a_stage_that_is_not_there_is_asked_for_in_every_run(
    runs: Runs, registry: Registry, shelf: Shelf
) -> None:
    late = sample("late")
    with pytest.raises(ResolveError, match="cannot be resolved"):
        runs.resolve(late.id)
    shelf.put(late)
    assert runs.resolve(late.id).ids == [late.id]
    assert [each for each in registry.log if late.id in each] == gets(late) * 2


def test_deprecated_stages_are_followed_to_their_end(
    runs: Runs, registry: Registry, shelf: Shelf
) -> None:
    last = STAGES[2]
    shelf.set_lifecycle(STAGES[0], Deprecated(STAGES[1].id))
    shelf.set_lifecycle(STAGES[1], Deprecated(last.id))
    run = runs.resolve(STAGES[0].id)
    assert run.ids == [last.id]
    assert [warning.code for warning in run.resolved.warnings] == ["deprecated"]
    assert sorted(registry.log) == gets(*STAGES[:3])
    registry.asked.clear()
    assert runs.resolve(STAGES[0].id).ids == [last.id]
    assert registry.log == []


def test_a_pinned_deprecated_stage_is_used_itself(runs: Runs, shelf: Shelf) -> None:
    shelf.set_lifecycle(STAGES[0], Deprecated(STAGES[1].id))
    run = runs.resolve(pinned=[STAGES[0].id])
    assert run.ids == [STAGES[0].id]
    assert [warning.code for warning in run.resolved.warnings] == ["deprecated_pinned"]


def test_a_signature_is_found_by_one_scan(runs: Runs, registry: Registry) -> None:
    wanted = signature_of(STAGES[5])
    assert runs.resolve(wanted).ids == [STAGES[5].id]
    assert registry.log == [f"/stages/{wanted}", f"{LISTING}0"]
    registry.asked.clear()
    assert runs.resolve(wanted).ids == [STAGES[5].id]
    assert registry.log == []
    # Later its state alone is looked at, however old the scan is.
    runs.clock.pass_(3600)
    assert runs.resolve(wanted).ids == [STAGES[5].id]
    assert registry.log == gets(STAGES[5])


def test_a_new_implementation_of_a_signature_is_found_without_a_scan(
    runs: Runs, registry: Registry, shelf: Shelf
) -> None:
    old, new = version(1), version(2)
    shelf.put(old)
    wanted = signature_of(old)
    assert runs.resolve(wanted).ids == [old.id]
    shelf.put(replace(old, lifecycle=Deprecated(new.id)), new)
    runs.clock.pass_(61)
    registry.asked.clear()
    assert runs.resolve(wanted).ids == [new.id]
    assert registry.log == [*gets(old), *gets(new)]


def test_of_several_active_implementations_the_smallest_id_wins(runs: Runs, shelf: Shelf) -> None:
    both = sorted([version(1), version(2)], key=lambda stage: stage.id)
    shelf.put(*reversed(both))
    for _ in range(2):
        run = runs.resolve(signature_of(both[0]))
        assert run.ids == [both[0].id]
        assert [warning.code for warning in run.resolved.warnings] == ["multiple_active"]


def test_names_and_prefixes_are_looked_up_in_one_scan(runs: Runs, registry: Registry) -> None:
    run = runs.resolve("stage3", STAGES[4].id[:20])
    assert run.ids == [STAGES[3].id, STAGES[4].id]
    assert run.sources == ["registry", "registry"]
    assert run.stages[STAGES[3].id] == STAGES[3]
    assert registry.log == [f"{LISTING}0"]
    registry.asked.clear()
    runs.clock.pass_(30)
    run = runs.resolve("stage3", STAGES[4].id[:20])
    assert run.sources == ["cache, 30 s old"] * 2
    assert registry.log == []
    runs.clock.pass_(31)
    assert runs.resolve("stage3").sources == ["registry"]
    assert registry.log == [f"{LISTING}0"]


def test_a_name_that_became_ambiguous_is_noticed(
    runs: Runs, registry: Registry, shelf: Shelf
) -> None:
    runs.resolve("stage3")
    shelf.put(sample("stage3", "def execute(input):\n    return 33\n", output="Number"))
    runs.clock.pass_(61)
    with pytest.raises(ResolveError, match="2 stages have this name"):
        runs.resolve("stage3")


def test_what_a_scan_saw_serves_references_by_id_too(runs: Runs, registry: Registry) -> None:
    runs.resolve("stage3")
    registry.asked.clear()
    assert runs.resolve(STAGES[8].id).ids == [STAGES[8].id]
    assert registry.log == []


def test_many_expired_states_are_renewed_by_a_scan(runs: Runs, registry: Registry) -> None:
    references = [stage.id for stage in STAGES]
    runs.resolve("stage0")
    runs.clock.pass_(61)
    registry.asked.clear()
    assert runs.resolve(*references).ids == references
    assert registry.log == [f"{LISTING}0"]
    registry.asked.clear()
    runs.clock.pass_(61)
    runs.resolve(*references[:2])
    assert sorted(registry.log) == gets(*STAGES[:2])


def test_the_standard_library_needs_no_registry(runs: Runs, registry: Registry) -> None:
    standard = next(iter(builtin_stages()))
    assert standard.name is not None
    run = runs.resolve(standard.id, standard.name, signature_of(standard))
    assert run.ids == [standard.id] * 3
    assert run.sources == ["builtin"] * 3


def test_ids_of_older_schemes_resolve_by_the_scan(runs: Runs, registry: Registry) -> None:
    stage = STAGES[6]
    old = stage_id_v1(stage.signature, stage.implementation_hash)
    for reference in (old, old[:10]):
        run = runs.resolve(reference)
        assert run.ids == [stage.id]
        assert [warning.code for warning in run.resolved.warnings] == ["legacy_id"]


def test_a_record_under_an_older_id_is_used_with_a_warning(runs: Runs, shelf: Shelf) -> None:
    stage = sample("ancient")
    old = replace(stage, id=stage_id_v1(stage.signature, stage.implementation_hash))
    shelf.put(old)
    for _ in range(2):
        run = runs.resolve(old.id)
        (warning,) = run.warnings
        assert "older scheme" in warning
        assert stage.id in warning


def test_drafts_do_not_run(runs: Runs, shelf: Shelf) -> None:
    draft = sample("draft", lifecycle=Draft())
    shelf.put(draft)
    with pytest.raises(ResolveError, match="draft"):
        runs.resolve(draft.id)
    with pytest.raises(ResolveError, match="cannot be resolved"):
        runs.resolve("draft")


def test_etags_save_the_body(runs: Runs, registry: Registry) -> None:
    registry.etags = True
    runs.resolve(STAGES[3].id)
    runs.clock.pass_(61)
    run = runs.resolve(STAGES[3].id)
    assert run.sources == ["registry"]
    assert "if-none-match" in registry.asked[1].headers
    runs.clock.pass_(61)
    run = runs.resolve(STAGES[3].id)
    assert run.stages[STAGES[3].id] == STAGES[3]
    assert len(registry.asked) == 3


@pytest.mark.parametrize("etag", ["ü", "x" * 10_000, ""])
def test_an_etag_that_cannot_be_sent_back_is_none(
    runs: Runs, registry: Registry, etag: str
) -> None:
    registry.headers = {"ETag": etag}
    for _ in range(2):
        assert runs.resolve(STAGES[3].id).sources == ["registry"]
        runs.clock.pass_(61)
    assert "if-none-match" not in registry.asked[1].headers


def test_without_a_cache_folder_it_works_all_the_same(registry: Registry) -> None:
    runs = Runs(registry, None)
    run = runs.resolve("stage3", STAGES[4].id, signature_of(STAGES[5]))
    assert run.ids == [STAGES[3].id, STAGES[4].id, STAGES[5].id]
    assert run.warnings == []


def test_a_cache_folder_that_cannot_be_made_is_a_warning(
    registry: Registry, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    runs = Runs(registry, tmp_path / "file" / "cache")
    run = runs.resolve("stage3", STAGES[4].id)
    assert run.ids == [STAGES[3].id, STAGES[4].id]
    (warning,) = run.warnings
    assert "cannot be written" in warning


def test_signed_stages_only(runs: Runs) -> None:
    runs.resolve(STAGES[3].id)
    runs.policy = Policy("signed")
    with pytest.raises(StageRefusedError, match="not signed"):
        runs.resolve(STAGES[3].id)


def test_a_listing_is_read_page_by_page(registry: Registry, runs: Runs) -> None:
    registry.page_cap = 5
    assert runs.resolve("stage11").ids == [STAGES[11].id]
    assert registry.log == [f"{LISTING}{offset}" for offset in (0, 5, 10)]


def test_an_active_successor_is_not_taken_for_another_signature(runs: Runs, shelf: Shelf) -> None:
    """A signature whose only implementation gave way to another stage stands for nothing."""
    gone = STAGES[0]
    runs.resolve(signature_of(gone))
    shelf.set_lifecycle(gone, Deprecated(STAGES[1].id))
    runs.clock.pass_(61)
    with pytest.raises(ResolveError) as refused:
        runs.resolve(signature_of(gone))
    assert refused.value.kind == "not_found"
    assert isinstance(STAGES[1].lifecycle, Active)
