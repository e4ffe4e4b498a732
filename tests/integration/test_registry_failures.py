"""A registry that is away, slow, wrong or damaged: what a run does then (`stages.md` §8.5)."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from queue import Queue
from typing import Any

import orjson
import pytest

from noether_contract.outcomes import ErrorCode
from noether_runner.errors import RunnerError
from noether_runner.graph.resolve import ResolveError
from noether_runner.sandbox.cancellation import CancelSwitch
from noether_runner.stages.identity import stage_id_v1
from noether_runner.stages.lifecycle import Deprecated
from noether_runner.stages.stage import Stage, write_stage
from noether_runner.stages.verify import Finding, StageRefusedError
from noether_runner.stores.registry.errors import CacheCorruptError, RegistryUnavailableError
from registry_samples import QUICK, Runs, Shelf, many, serving_stages
from registry_server import Answer, Asked, Registry, found, refused
from stage_samples import broken_record, sample

STAGES = many(6)
BAD_GATEWAY = Answer(502, b"<html>bad gateway</html>")


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


def first_answers(*answers: Answer) -> Any:
    """Trouble that gives these answers first, then none."""
    waiting = list(answers)
    return lambda _asked: waiting.pop(0) if waiting else None


def always(answer: Answer) -> Any:
    return lambda _asked: answer


def signature_of(stage: Stage) -> str:
    assert stage.signature_id is not None
    return stage.signature_id


@pytest.mark.parametrize(
    "trouble",
    [
        refused(500, "STORE_ERROR", "locked"),
        BAD_GATEWAY,
        Answer(200, b"{"),
        Answer(200, b"", {"Content-Length": "10", "Connection": "close"}),
        refused(429, "RATE_LIMITED", "slow down", retry_after="0"),
        refused(503, "DOWN", "restarting", retry_after="0"),
        Answer(200, b"no gzip", {"Content-Encoding": "gzip"}),
    ],
    ids=["500", "502 html", "half a body", "no body", "429", "503", "gzip"],
)
def test_passing_trouble_is_tried_again(runs: Runs, registry: Registry, trouble: Answer) -> None:
    registry.trouble = first_answers(trouble, trouble)
    assert runs.resolve(STAGES[0].id).ids == [STAGES[0].id]
    assert len(registry.asked) == 3


@pytest.mark.parametrize(
    ("trouble", "requests", "reason"),
    [
        (refused(503, "DOWN", "maintenance"), 3, "it answered 503 with DOWN: maintenance"),
        (BAD_GATEWAY, 3, "it answered 502 with a body that is not JSON"),
        (refused(403, "FORBIDDEN", "no"), 1, "403 with FORBIDDEN: no; is the registry's API key"),
        (refused(200, "VALIDATION_FAILED", "x\ny"), 1, "200 with VALIDATION_FAILED: x y"),
        (Answer(200, {"ok": "true", "result": {}}), 1, "200 with UNKNOWN"),
        (refused(429, "RATE", "", retry_after="600"), 1, "429: no more requests for 600 s"),
        (refused(503, "DOWN", "", retry_after="600"), 1, "asked again in 600 s"),
        (Answer(200, b"no gzip", {"Content-Encoding": "gzip"}), 3, "cannot be unpacked"),
        (Answer(302, b"", {"Location": "http://127.0.0.1:1/x"}), 1, "redirects to another place"),
    ],
)
def test_a_cold_run_without_an_answer_fails_and_names_what_it_needs(
    runs: Runs, registry: Registry, trouble: Answer, requests: int, reason: str
) -> None:
    registry.trouble = always(trouble)
    with pytest.raises(RegistryUnavailableError) as failed:
        runs.resolve(STAGES[0].id)
    assert failed.value.code is ErrorCode.REGISTRY_UNAVAILABLE
    assert failed.value.references == (STAGES[0].id,)
    assert STAGES[0].id in failed.value.message
    assert registry.url in failed.value.message
    assert reason in failed.value.message
    assert len(registry.asked) == requests


def test_all_references_that_need_the_registry_are_named(runs: Runs, registry: Registry) -> None:
    runs.resolve(STAGES[0].id)
    registry.trouble = always(BAD_GATEWAY)
    with pytest.raises(RegistryUnavailableError) as failed:
        runs.resolve(*(stage.id for stage in STAGES))
    assert set(failed.value.references) == {stage.id for stage in STAGES[1:]}
    with pytest.raises(RegistryUnavailableError) as failed:
        runs.resolve("stage0", "abcd", STAGES[0].id)
    assert failed.value.references == ("stage0", "abcd")
    registry.trouble = lambda asked: BAD_GATEWAY if asked.path == "/stages" else None
    signatures = (signature_of(STAGES[2]), signature_of(STAGES[3]))
    with pytest.raises(RegistryUnavailableError) as failed:
        runs.resolve(STAGES[1].id, *signatures)
    assert failed.value.references == signatures


def test_a_warm_cache_serves_while_the_registry_is_away(runs: Runs, registry: Registry) -> None:
    references = (STAGES[0].id, signature_of(STAGES[1]), "stage2", STAGES[3].id[:12])
    runs.resolve(*references, pinned=[STAGES[4].id])
    registry.trouble = always(BAD_GATEWAY)
    runs.clock.pass_(3 * 3600)
    run = runs.resolve(*references, pinned=[STAGES[4].id])
    assert run.ids == [stage.id for stage in STAGES[:5]]
    assert set(run.sources) == {"cache, 3 h old"}
    by_id, listing = run.warnings
    assert "stage0, stage1, stage4" in by_id
    assert "up to 3 h old" in by_id
    assert "3 h ago" in listing
    assert "it answered 502" in by_id
    # One question was enough to know.
    assert len(registry.asked) < 15


def test_states_older_than_a_day_do_not_serve_but_pinned_stages_do(
    runs: Runs, registry: Registry
) -> None:
    runs.resolve(STAGES[0].id, "stage2", pinned=[STAGES[4].id])
    registry.trouble = always(BAD_GATEWAY)
    runs.clock.pass_(40 * 86400)
    run = runs.resolve(pinned=[STAGES[4].id])
    assert run.ids == [STAGES[4].id]
    assert "40 days old" in run.warnings[0]
    for reference in (STAGES[0].id, "stage2"):
        with pytest.raises(RegistryUnavailableError):
            runs.resolve(reference)


def test_an_older_id_that_resolved_once_resolves_while_the_registry_is_away(
    runs: Runs, registry: Registry
) -> None:
    """It takes knowing that it is no current id: that the registry answered 404 is kept."""
    old = stage_id_v1(STAGES[5].signature, STAGES[5].implementation_hash)
    runs.resolve(old)
    registry.trouble = always(BAD_GATEWAY)
    runs.clock.pass_(3600)
    assert runs.resolve(old).ids == [STAGES[5].id]


def test_a_registry_that_is_down_is_not_asked_for_every_stage(
    runs: Runs, registry: Registry
) -> None:
    registry.trouble = always(BAD_GATEWAY)
    stages = many(30)
    with pytest.raises(RegistryUnavailableError) as failed:
        runs.resolve(*(stage.id for stage in stages))
    assert len(failed.value.references) == 30
    assert "and 20 more" in failed.value.message
    assert len(registry.asked) <= 3 * QUICK.connections


def test_nobody_listens(tmp_path: Path) -> None:
    with serving_stages() as (registry, _):
        pass
    runs = Runs(registry, tmp_path)
    with pytest.raises(RegistryUnavailableError, match=r"no connection: .*refused"):
        runs.resolve(STAGES[0].id)


def test_a_slow_registry_is_not_waited_for_beyond_the_time_of_a_resolution(
    runs: Runs, registry: Registry
) -> None:
    hold = threading.Event()
    registry.trouble = lambda _asked: BAD_GATEWAY if hold.wait() else None
    runs.settings = replace(QUICK, resolution_seconds=0.05)
    try:
        with pytest.raises(RegistryUnavailableError, match=r"within the 0\.05 s"):
            runs.resolve(STAGES[0].id, STAGES[1].id)
    finally:
        hold.set()


def test_one_slow_answer_is_a_failed_attempt(runs: Runs, registry: Registry) -> None:
    hold = threading.Event()
    arrived: Queue[Asked] = Queue()

    def trouble(asked: Asked) -> Answer | None:
        arrived.put(asked)
        hold.wait()
        return None

    registry.trouble = trouble
    runs.settings = replace(QUICK, read_seconds=0.05, attempts=2)
    try:
        with pytest.raises(RegistryUnavailableError, match="no answer in time"):
            runs.resolve(STAGES[0].id)
        assert [str(arrived.get(timeout=30)) for _ in range(2)] == [f"/stages/{STAGES[0].id}"] * 2
    finally:
        hold.set()


@pytest.mark.parametrize("told", [True, False], ids=["told to stop", "at its deadline"])
def test_a_run_that_must_stop_does_not_wait(runs: Runs, registry: Registry, told: bool) -> None:
    hold = threading.Event()
    switch = CancelSwitch(None if told else time.monotonic() + 0.05)

    def trouble(_asked: Asked) -> Answer | None:
        if told:
            switch.cancel("by SIGINT")
        hold.wait()
        return None

    registry.trouble = trouble
    runs.cancellation = switch
    code = ErrorCode.RUN_INTERRUPTED if told else ErrorCode.RUN_TIMED_OUT
    try:
        with pytest.raises(RunnerError) as stopped:
            runs.resolve(STAGES[0].id)
        assert stopped.value.code is code
        assert "fetched from the registry" in stopped.value.message
    finally:
        hold.set()
        switch.close()


def test_a_body_without_end_is_not_read_to_its_end(runs: Runs, registry: Registry) -> None:
    runs.settings = replace(QUICK, body_bytes=1000)
    registry.trouble = always(found({"description": "x" * 2000}))
    with pytest.raises(RegistryUnavailableError, match="longer than 1000 bytes"):
        runs.resolve(STAGES[0].id)


def test_redirections_within_the_origin_are_followed(runs: Runs, registry: Registry) -> None:
    registry.trouble = first_answers(
        Answer(301, b"", {"Location": "/moved"}),
        Answer(307, b"", {"Location": f"/stages/{STAGES[0].id}"}),
    )
    assert runs.resolve(STAGES[0].id).ids == [STAGES[0].id]
    registry.trouble = always(Answer(302, b"", {"Location": "/again"}))
    with pytest.raises(RegistryUnavailableError, match="redirects more than 3 times"):
        runs.resolve(STAGES[1].id)


def test_the_key_goes_to_its_own_origin_only(runs: Runs, registry: Registry) -> None:
    runs.key = "sesame-4711"
    with serving_stages(*STAGES) as (other, _):
        registry.trouble = always(Answer(302, b"", {"Location": f"{other.url}/stages"}))
        with pytest.raises(RegistryUnavailableError) as failed:
            runs.resolve(STAGES[0].id)
        assert other.asked == []
    assert registry.asked[0].headers["x-api-key"] == "sesame-4711"
    assert "sesame" not in failed.value.message


def test_what_is_sent(runs: Runs, registry: Registry) -> None:
    runs.resolve(STAGES[0].id)
    headers = registry.asked[0].headers
    assert headers["user-agent"].startswith("noether-scheduler/")
    assert headers["x-noether-client-version"] == headers["user-agent"].partition("/")[2]
    assert "x-api-key" not in headers
    runs.key = ""
    runs.resolve(STAGES[1].id)
    assert "x-api-key" not in registry.asked[1].headers


@pytest.mark.parametrize("key", ["two\nlines", "ключ"])
def test_a_key_that_no_header_may_have_is_refused_without_being_told(runs: Runs, key: str) -> None:
    runs.key = key
    with pytest.raises(RunnerError) as refusal:
        runs.open()
    assert refusal.value.code is ErrorCode.BAD_REQUEST
    assert key not in refusal.value.message


def test_a_damaged_record_is_fetched_again(runs: Runs, registry: Registry) -> None:
    stage = STAGES[0]
    runs.resolve(stage.id)
    damaged = runs.object_of(stage)
    damaged.write_bytes(damaged.read_bytes().replace(b"return 0", b"return 1"))
    run = runs.resolve(stage.id)
    assert run.stages[stage.id] == stage
    (warning,) = run.warnings
    assert "stage0 was damaged and was fetched again" in warning
    (aside,) = (runs.folder / "corrupt").iterdir()
    assert str(aside) in warning
    registry.asked.clear()
    assert runs.resolve(stage.id).warnings == []
    assert registry.log == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_a_record_that_is_no_record_is_fetched_again(
    runs: Runs, registry: Registry, content: bytes
) -> None:
    runs.resolve(pinned=[STAGES[0].id])
    runs.object_of(STAGES[0]).write_bytes(content)
    assert runs.resolve(pinned=[STAGES[0].id]).stages[STAGES[0].id] == STAGES[0]
    assert len(registry.asked) == 2


def test_a_changed_language_in_the_cache_is_damage(runs: Runs, registry: Registry) -> None:
    """No hash covers the language; it stands in two places."""
    runs.resolve(STAGES[0].id)
    path = runs.object_of(STAGES[0])
    path.write_bytes(path.read_bytes().replace(b'"python"', b'"bash"'))
    run = runs.resolve(STAGES[0].id)
    assert run.stages[STAGES[0].id].language == "python"
    assert len(registry.asked) == 2


def test_damage_that_cannot_be_healed_fails_the_run(runs: Runs, registry: Registry) -> None:
    runs.resolve(STAGES[0].id)
    runs.object_of(STAGES[0]).write_bytes(b"garbage")
    registry.trouble = always(BAD_GATEWAY)
    with pytest.raises(CacheCorruptError) as failed:
        runs.resolve(STAGES[0].id)
    assert failed.value.code is ErrorCode.CACHE_CORRUPT
    assert STAGES[0].id in failed.value.message


def test_a_damaged_index_is_made_again(runs: Runs, registry: Registry) -> None:
    runs.resolve("stage0")
    for path in runs.folder.glob("index-*.sqlite"):
        path.write_bytes(path.read_bytes()[:4096] + b"\0" * 4096)
    assert runs.resolve("stage1").ids == [STAGES[1].id]
    (runs.folder / "index.json").write_bytes(b"{}")
    assert runs.resolve("stage2").ids == [STAGES[2].id]


@pytest.mark.parametrize("damage", ["DROP VIEW entry", "UPDATE stage SET json = x'7b'"])
def test_an_index_that_proves_damaged_in_use_is_made_again(
    runs: Runs, registry: Registry, damage: str
) -> None:
    wanted = signature_of(STAGES[1])
    for reference in (wanted, "stage1", STAGES[1].id):
        runs.resolve("stage0")
        for path in (*runs.folder.glob("objects/*/*"), *runs.folder.glob("facts/*")):
            path.unlink()
        for path in runs.folder.glob("index-*.sqlite"):
            with closing(sqlite3.connect(path)) as connection:
                connection.execute(damage)
                connection.commit()
        assert runs.resolve(reference).ids == [STAGES[1].id]
        runs.clock.pass_(61)


def test_facts_that_cannot_be_read_count_as_none(runs: Runs, registry: Registry) -> None:
    runs.resolve(STAGES[0].id)
    for path in (runs.folder / "facts").iterdir():
        path.write_bytes(b'{"lifecycle": 1}')
    assert runs.resolve(STAGES[0].id).sources == ["registry"]


def wrong_id() -> Any:
    return write_stage(STAGES[1])


def wrong_code() -> Any:
    return {**write_stage(STAGES[0]), "implementation_code": "def execute(input):\n    evil()\n"}


def wrong_type() -> Any:
    record: Any = write_stage(STAGES[0])
    record["signature"]["output"] = {"kind": "Any"}
    return record


def half_signed() -> Any:
    return {**write_stage(STAGES[0]), "ed25519_signature": "00"}


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (wrong_id(), Finding.ID_MISMATCH),
        (wrong_code(), Finding.IMPLEMENTATION_HASH_MISMATCH),
        (wrong_type(), Finding.ID_MISMATCH),
        (half_signed(), Finding.HALF_SIGNED),
    ],
    ids=["another id", "another code", "another type", "half signed"],
)
def test_a_record_that_does_not_prove_its_id_is_refused_and_never_cached(
    runs: Runs, registry: Registry, tmp_path: Path, record: Any, kind: Finding
) -> None:
    registry.trouble = always(found(record))
    with pytest.raises(StageRefusedError) as refusal:
        runs.resolve(STAGES[0].id)
    assert refusal.value.kind is kind
    assert list(tmp_path.rglob("objects/*/*")) == []
    registry.trouble = always(BAD_GATEWAY)
    with pytest.raises(RegistryUnavailableError):
        runs.resolve(STAGES[0].id)


def test_a_wrong_record_of_the_listing_is_refused(runs: Runs, registry: Registry) -> None:
    registry.trouble = lambda asked: (
        found({"stages": [wrong_code()], "total": 1})
        if asked.path == "/stages"
        else found(wrong_code())
    )
    with pytest.raises(StageRefusedError, match="implementation_hash"):
        runs.resolve("stage0")


def test_a_change_of_language_is_refused(runs: Runs, shelf: Shelf) -> None:
    runs.resolve(STAGES[0].id)
    shelf.put(replace(STAGES[0], language="bash"))
    runs.clock.pass_(61)
    for reference in (STAGES[0].id, "stage0"):
        with pytest.raises(StageRefusedError) as refusal:
            runs.resolve(reference)
        assert refusal.value.kind is Finding.LANGUAGE_CHANGED
        assert str(runs.folder) in refusal.value.message


def test_one_unreadable_record_of_the_listing_is_in_nobody_elses_way(
    runs: Runs, shelf: Shelf
) -> None:
    shelf.records.append(broken_record("broken"))
    shelf.records.append({"lifecycle": "Active", "id": 7})
    run = runs.resolve("stage0", STAGES[1].id[:16])
    assert run.ids == [STAGES[0].id, STAGES[1].id]
    with pytest.raises(RunnerError, match="Telepathy"):
        runs.resolve("broken")


def test_a_record_by_id_that_cannot_be_read(runs: Runs, shelf: Shelf) -> None:
    record = broken_record("broken")
    shelf.records.append(record)
    with pytest.raises(RunnerError, match="Telepathy") as failed:
        runs.resolve(str(record["id"]))
    assert failed.value.code is ErrorCode.STORE_UNREADABLE
    assert str(record["id"]) in failed.value.message


def test_a_total_that_changes_in_the_middle_is_read_again_once(
    runs: Runs, registry: Registry, shelf: Shelf
) -> None:
    registry.page_cap = 2

    def grow(asked: Asked) -> Answer | None:
        if asked.query.get("offset") == "2":
            shelf.put(sample(f"grown{len(shelf.records)}"))
        return None

    registry.trouble = grow
    assert runs.resolve("stage0").ids == [STAGES[0].id]
    offsets = [asked.query["offset"] for asked in registry.asked]
    assert offsets == ["0", "2", "0", "2", "4", "6"]
    assert runs.resolve("grown7").stages
    runs.cache_dir = None
    registry.asked.clear()
    assert runs.resolve("stage0").ids == [STAGES[0].id]
    assert len(registry.asked) > 4


def test_a_base_url_that_is_no_registry(runs: Runs, registry: Registry) -> None:
    registry.url += "/elsewhere"
    with pytest.raises(RegistryUnavailableError, match="no listing at /stages"):
        runs.resolve("stage0")
    # That there is no such stage is not said of a registry that has no listing.
    with pytest.raises(RegistryUnavailableError, match="no listing at /stages"):
        runs.resolve(STAGES[0].id)


def test_a_listing_that_is_refused_is_asked_for_once(runs: Runs, registry: Registry) -> None:
    runs.resolve("stage0", "stage1")
    registry.trouble = always(refused(403, "FORBIDDEN", ""))
    runs.clock.pass_(61)
    registry.asked.clear()
    assert runs.resolve("stage0", "stage1").ids == [STAGES[0].id, STAGES[1].id]
    assert len(registry.asked) == 1
    with pytest.raises(RegistryUnavailableError):
        Runs(registry, None).resolve("stage0", "stage1")
    assert len(registry.asked) == 2


@pytest.mark.parametrize("payload", [None, [], {"total": 3}, {"stages": {}}])
def test_a_listing_of_another_shape(runs: Runs, registry: Registry, payload: Any) -> None:
    registry.trouble = always(found(payload))
    with pytest.raises(RegistryUnavailableError, match="without the array stages"):
        runs.resolve("stage0")


def test_the_limit_of_requests_is_shared_by_all_runs(runs: Runs, registry: Registry) -> None:
    registry.headers = {"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "4"}
    runs.settings = replace(QUICK, resolution_seconds=10)
    for stage in STAGES[:4]:
        runs.resolve(stage.id)
    with pytest.raises(RegistryUnavailableError, match="rate limit allows no request"):
        runs.resolve(STAGES[4].id)
    assert len(registry.asked) == 4
    runs.clock.pass_(60)
    assert runs.resolve(STAGES[4].id).ids == [STAGES[4].id]
    quota = orjson.loads((runs.folder / "quota.json").read_bytes())
    assert quota["limit"] == 5


def test_what_a_429_asks_for_holds_for_other_runs(runs: Runs, registry: Registry) -> None:
    runs.resolve(STAGES[0].id)
    registry.trouble = first_answers(refused(429, "RATE", "", retry_after="100"))
    runs.clock.pass_(61)
    run = runs.resolve(STAGES[0].id)
    assert "429: no more requests for 100 s" in run.warnings[0]
    run = runs.resolve(STAGES[0].id)
    assert "rate limit allows no request" in run.warnings[0]
    assert len(registry.asked) == 2
    runs.clock.pass_(100)
    assert runs.resolve(STAGES[0].id).sources == ["registry"]


def test_when_a_scan_would_be_cheaper_but_fails_single_requests_do(
    runs: Runs, registry: Registry
) -> None:
    runs.resolve("stage0")
    runs.clock.pass_(61)
    registry.trouble = lambda asked: (
        refused(403, "FORBIDDEN", "") if asked.path == "/stages" else None
    )
    references = [stage.id for stage in STAGES]
    assert runs.resolve(*references).ids == references
    assert len(registry.asked) == 2 + len(STAGES)


@pytest.mark.parametrize("successor", ["not an id", "a circle"])
def test_successors_that_lead_nowhere_are_no_implementation(
    runs: Runs, shelf: Shelf, successor: str
) -> None:
    stage = STAGES[0]
    runs.resolve(signature_of(stage))
    shelf.set_lifecycle(stage, Deprecated(stage.id if successor == "a circle" else successor))
    runs.clock.pass_(61)
    with pytest.raises(ResolveError) as refusal:
        runs.resolve(signature_of(stage))
    assert refusal.value.kind == "not_found"


def test_a_registry_that_lost_a_stage(runs: Runs, shelf: Shelf) -> None:
    runs.resolve(STAGES[0].id)
    shelf.records.clear()
    runs.clock.pass_(61)
    with pytest.raises(ResolveError, match="no stage has this id"):
        runs.resolve(STAGES[0].id)
