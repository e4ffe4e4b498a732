"""Runs at the same time share one cache and one scan (`stages.md` §8.3)."""

import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from noether_runner.stores.registry.errors import RegistryUnavailableError
from registry_samples import QUICK, Run, Runs, Turned, many, serving_stages
from registry_server import Answer, Asked, Registry
from running_service import PATIENCE_SECONDS, Place

STAGES = many(5)


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serving_stages(*STAGES) as (it, _):
        yield it


class Turnstile:
    """Holds the listing back: `arrived` is set when it was asked for, until `go` is set."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self.go = threading.Event()

    def __call__(self, asked: Asked) -> Answer | None:
        if asked.path == "/stages":
            self.arrived.set()
            assert self.go.wait(PATIENCE_SECONDS)
        return None


@pytest.fixture
def turnstile(registry: Registry) -> Iterator[Turnstile]:
    it = Turnstile()
    registry.trouble = it
    yield it
    it.go.set()


def test_a_run_without_an_index_waits_for_the_one_that_scans(
    registry: Registry, turnstile: Turnstile, tmp_path: Path
) -> None:
    runs = Runs(registry, tmp_path)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(runs.resolve, "stage0")
        assert turnstile.arrived.wait(PATIENCE_SECONDS)
        others = [pool.submit(runs.resolve, f"stage{number}") for number in (1, 2, 3)]
        turnstile.go.set()
        found: list[Run] = [each.result(PATIENCE_SECONDS) for each in (first, *others)]
    assert [run.ids for run in found] == [[stage.id] for stage in STAGES[:4]]
    assert len(registry.asked) == 1


def test_a_run_with_an_old_index_uses_it_while_another_scans(
    registry: Registry, turnstile: Turnstile, tmp_path: Path
) -> None:
    turnstile.go.set()
    runs = Runs(registry, tmp_path)
    runs.resolve("stage0")
    turnstile.go.clear()
    turnstile.arrived.clear()
    runs.clock.pass_(599)
    with ThreadPoolExecutor(1) as pool:
        scanning = pool.submit(runs.resolve, "stage0")
        assert turnstile.arrived.wait(PATIENCE_SECONDS)
        assert runs.resolve("stage1").sources == ["cache, 10 min old"]
        turnstile.go.set()
        assert scanning.result(PATIENCE_SECONDS).sources == ["registry"]
    assert len(registry.asked) == 2


def test_a_scan_of_another_run_is_not_waited_for_without_end(
    registry: Registry, turnstile: Turnstile, tmp_path: Path
) -> None:
    runs = Runs(registry, tmp_path)
    hasty = Runs(registry, tmp_path, settings=replace(QUICK, resolution_seconds=0.05))
    with ThreadPoolExecutor(1) as pool:
        scanning = pool.submit(runs.resolve, "stage0")
        assert turnstile.arrived.wait(PATIENCE_SECONDS)
        with pytest.raises(RegistryUnavailableError, match="another run did not finish"):
            hasty.resolve("stage1")
        turnstile.go.set()
        assert scanning.result(PATIENCE_SECONDS).sources == ["registry"]
    # The lock that was given up on is free again.
    runs.clock.pass_(61)
    assert runs.resolve("stage2").sources == ["registry"]


def test_processes_share_too(turnstile: Turnstile, registry: Registry, tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.graph("first", {"op": "Stage", "id": "stage0"})
    command = ["noether-run", "first.json", "--registry", registry.url, "--dry-run"]
    processes = [
        subprocess.Popen(
            command,
            cwd=tmp_path,
            env=place.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    assert turnstile.arrived.wait(PATIENCE_SECONDS)
    turnstile.go.set()
    ends = [process.communicate(timeout=PATIENCE_SECONDS) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], ends
    assert len(registry.asked) == 1


def test_a_scanner_that_is_killed_leaves_nothing_in_the_way(
    turnstile: Turnstile, registry: Registry, tmp_path: Path
) -> None:
    place = Place(tmp_path)
    place.graph("first", {"op": "Stage", "id": "stage0"})
    process = subprocess.Popen(
        ["noether-run", "first.json", "--registry", registry.url, "--dry-run"],
        cwd=tmp_path,
        env=place.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert turnstile.arrived.wait(PATIENCE_SECONDS)
    process.kill()
    process.wait(PATIENCE_SECONDS)
    turnstile.go.set()
    cache = tmp_path / "home" / ".cache" / "noether"
    runs = Runs(registry, cache)
    runs.clock = Turned(__import__("time").time())
    assert runs.resolve("stage0").ids == [STAGES[0].id]
    left = sorted(path.name for path in runs.folder.glob("*index*sqlite*"))
    assert len(left) == 1, left


def test_an_older_index_goes_when_a_newer_one_is_there(registry: Registry, tmp_path: Path) -> None:
    runs = Runs(registry, tmp_path)
    for _ in range(3):
        runs.resolve("stage0")
        runs.clock.pass_(61)
    assert len(list(runs.folder.glob("index-*.sqlite"))) == 1
