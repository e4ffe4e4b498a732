"""DESIGN §5, last row: a large store or registry costs about what a small one does.

Measured are warm runs of a graph of three stages, named by id, by signature and by name, from
due to recorded, after a first run each; small and large in turn.
"""

import asyncio
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from loguru import logger

from noether_contract.outcomes import RunStatus
from noether_runner.stages.stage import Stage, write_stage
from noether_supervisor.jobs import load
from noether_supervisor.loop import Loop
from noether_supervisor.opened import Opened
from registry_samples import serving_stages
from stage_samples import sample

pytestmark = pytest.mark.bench

SMALL, LARGE = 10, 10_000
PAIRS = 40


class NoAlarm:
    def set(self, instant: object) -> None:
        pass


def stages(count: int) -> list[Stage]:
    """Records of about 4 KB, as those of real catalogues are."""
    padding = "# what the stage does, said at length\n" * 80
    return [
        sample(
            f"stage{number}",
            f"def execute(number):\n    return number + {number}\n{padding}",
            input="Number",
            output="Number",
            effects=["NonDeterministic"],
        )
        for number in range(count)
    ]


def graph(of: list[Stage]) -> dict[str, Any]:
    references = (of[3].id, of[4].signature_id, of[5].name)
    steps = [{"op": "Stage", "id": reference} for reference in references]
    root = {"op": "Sequential", "stages": steps}
    return {"description": "three", "version": "0.1.0", "root": root}


def configure(folder: Path, of: list[Stage], **source: str) -> Path:
    folder.mkdir()
    (folder / "graph.json").write_text(json.dumps(graph(of)))
    job = {"name": "three", "cron": "0 0 1 1 *", "graph": str(folder / "graph.json"), "input": 1}
    config = {"state_dir": str(folder / "state"), "jobs": [job], **source}
    path = folder / "scheduler.json"
    path.write_text(json.dumps(config))
    return path


@contextmanager
def files(tmp_path: Path) -> Iterator[list[Path]]:
    paths: list[Path] = []
    for count in (SMALL, LARGE):
        of = stages(count)
        store = tmp_path / f"{count}.json"
        store.write_bytes(orjson.dumps({"stages": [write_stage(stage) for stage in of]}))
        paths.append(configure(tmp_path / f"file{count}", of, store_path=str(store)))
    yield paths


@contextmanager
def registries(tmp_path: Path) -> Iterator[list[Path]]:
    with ExitStack() as served:
        paths: list[Path] = []
        for count in (SMALL, LARGE):
            of = stages(count)
            registry, _ = served.enter_context(serving_stages(*of))
            folder = tmp_path / f"registry{count}"
            paths.append(configure(folder, of, registry_url=registry.url))
        yield paths


async def one_run(loop: Loop) -> float:
    began = time.perf_counter()
    asked = loop.ask_run("three")
    assert asked is not None
    assert await asked[1] is RunStatus.SUCCEEDED
    took = (time.perf_counter() - began) * 1000
    await loop.drained()
    return took


async def measure(what: str, configs: list[Path]) -> None:
    async with (
        Opened.open(load(configs[0], {}), with_nursery=True) as first,
        Opened.open(load(configs[1], {}), with_nursery=True) as second,
    ):
        logger.remove()
        small, large = first.loop(NoAlarm()), second.loop(NoAlarm())
        cold = [await one_run(small), await one_run(large)]
        for _ in range(3):
            await one_run(small)
            await one_run(large)
        times = [(await one_run(small), await one_run(large)) for _ in range(PAIRS)]
        ratio = statistics.median(big / little for little, big in times)
        print(
            f"\n{what}: {statistics.median(big for _, big in times):.1f} ms with {LARGE} stages, "
            f"{statistics.median(little for little, _ in times):.1f} ms with {SMALL}: "
            f"ratio {ratio:.2f} (target ≤ 1.2); first runs {cold[1]:.0f} and {cold[0]:.0f} ms"
        )
        await first.flush(5, 5)
        await second.flush(5, 5)


@pytest.mark.parametrize(
    ("what", "source"), [("store file", files), ("registry", registries)], ids=["file", "registry"]
)
def test_a_large_store_costs_what_a_small_one_does(what: str, source: Any, tmp_path: Path) -> None:
    with source(tmp_path) as configs:
        asyncio.run(measure(f"warm run, {what}", configs))
