"""DESIGN §5, rows one to three: what a run costs beside a bare interpreter."""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from loguru import logger

from bench.yardstick import side_by_side
from noether_contract.outcomes import RunStatus
from noether_supervisor.jobs import load
from noether_supervisor.opened import Opened

pytestmark = pytest.mark.bench

BIN = Path(sys.executable).parent
STAGE = {"op": "Stage", "id": "double"}
SPEC = {
    "name": "double",
    "input": "Number",
    "output": "Number",
    "effects": ["Pure", "NonDeterministic"],
    "implementation": "def execute(number):\n    return number * 2\n",
}


class NoAlarm:
    def set(self, instant: object) -> None:
        pass


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "double.json").write_text(json.dumps(SPEC))
    for name, root in (
        ("one", STAGE),
        ("five", {"op": "Sequential", "stages": [STAGE] * 5}),
    ):
        graph = {"description": name, "version": "0.1.0", "root": root}
        (tmp_path / f"{name}.json").write_text(json.dumps(graph))
    config = {
        "store_path": str(tmp_path / "store.json"),
        "state_dir": str(tmp_path / "state"),
        "jobs": [
            {"name": name, "cron": "0 0 1 1 *", "graph": str(tmp_path / f"{name}.json"), "input": 3}
            for name in ("one", "five")
        ],
    }
    (tmp_path / "scheduler.json").write_text(json.dumps(config))
    store = str(tmp_path / "store.json")
    sync = [str(BIN / "noether-stage"), "sync", str(tmp_path / "stages"), "--store", store]
    subprocess.run(sync, check=True, stdout=subprocess.DEVNULL)
    return tmp_path


@pytest.mark.parametrize(("job", "target"), [("one", "≤ 0.5"), ("five", "≤ 1")])
def test_warm_run_from_due_to_recorded(place: Path, job: str, target: str) -> None:
    async def measure() -> None:
        loaded = load(place / "scheduler.json", {})
        async with Opened.open(loaded, with_nursery=True) as opened:
            logger.remove()
            loop = opened.loop(NoAlarm())
            turning = asyncio.get_running_loop()

            async def one_run() -> float:
                began = time.perf_counter()
                asked = loop.ask_run(job)
                assert asked is not None
                assert await asked[1] is RunStatus.SUCCEEDED
                took = (time.perf_counter() - began) * 1000
                await loop.drained()
                # fires come by the minute, not back to back: the nursery has time for a new spare
                await asyncio.sleep(0.1)
                return took

            await one_run()

            def blocking() -> float:
                return asyncio.run_coroutine_threadsafe(one_run(), turning).result()

            what = f"warm run, graph `{job}`, due to recorded"
            print(f"\n{await asyncio.to_thread(side_by_side, what, blocking, target)}")
            await opened.flush(5, 5)

    asyncio.run(measure())


def test_cold_noether_run(place: Path) -> None:
    command = [str(BIN / "noether-run"), str(place / "one.json"), "--input", "3"]
    command += ["--store", str(place / "store.json")]

    def cold() -> float:
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return (time.perf_counter() - began) * 1000

    print("\n" + str(side_by_side("noether-run cold, one Python stage", cold, "≤ 15", pairs=15)))
