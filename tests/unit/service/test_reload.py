"""Reading the configuration again: the loop turns meanwhile, and no mistake is the last word."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from noether_supervisor import reload
from noether_supervisor.jobs import Loaded, load
from noether_supervisor.loop import Loop
from noether_supervisor.observe.systemd import Notifier
from noether_supervisor.opened import Opened
from noether_supervisor.reload import reload_when_asked

PATIENCE_SECONDS = 60
Scenario = Callable[
    [asyncio.Event, Loop, "asyncio.Queue[Sequence[str]]"], Coroutine[Any, Any, None]
]


class NoAlarm:
    def set(self, instant: object) -> None:
        pass


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("hurry", "settle"):  # of the whole process, which here is that of all tests
        monkeypatch.setattr(reload, name, lambda: None)
    return write(tmp_path / "scheduler.json", "a")


def write(path: Path, *names: str) -> Path:
    jobs = [{"name": name, "cron": "0 0 1 1 *", "graph": "g.json"} for name in names]
    path.write_text(json.dumps({"jobs": jobs}))
    return path


def reloading(path: Path, scenario: Scenario) -> None:
    """Runs the scenario beside a loop that reloads when asked, and tells what has changed."""

    async def all_of_it() -> None:
        async with Opened.open(load(path, {}), with_nursery=False) as opened:
            asked, changes = asyncio.Event(), asyncio.Queue[Sequence[str]]()
            loop = opened.loop(NoAlarm())
            task = asyncio.create_task(
                reload_when_asked(asked, path, opened, loop, Notifier({}), changes.put_nowait)
            )
            async with asyncio.timeout(PATIENCE_SECONDS):
                await scenario(asked, loop, changes)
            task.cancel()
            await opened.flush(5, 5)

    asyncio.run(all_of_it())


def test_the_loop_turns_while_a_file_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reached, read_on = threading.Event(), threading.Event()

    def slowly(path: Path, environ: Mapping[str, str]) -> Loaded:
        reached.set()
        assert read_on.wait(PATIENCE_SECONDS)
        return load(path, environ)

    async def scenario(
        asked: asyncio.Event, loop: Loop, changes: "asyncio.Queue[Sequence[str]]"
    ) -> None:
        write(path, "a", "b")
        asked.set()
        await asyncio.to_thread(reached.wait, PATIENCE_SECONDS)
        assert list(loop.jobs) == ["a"]  # nobody else could have come here
        read_on.set()
        assert await changes.get() == ["b"]
        assert list(loop.jobs) == ["a", "b"]

    monkeypatch.setattr(reload, "load", slowly)
    reloading(path, scenario)


def test_after_a_mistake_of_ours_the_next_reload_is_made(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistakes = threading.Semaphore(1)
    made = threading.Event()

    def wrong_once(path: Path, environ: Mapping[str, str]) -> Loaded:
        if mistakes.acquire(blocking=False):
            made.set()
            raise RuntimeError("never thought of")
        return load(path, environ)

    async def scenario(
        asked: asyncio.Event, loop: Loop, changes: "asyncio.Queue[Sequence[str]]"
    ) -> None:
        write(path, "c")
        asked.set()
        await asyncio.to_thread(made.wait, PATIENCE_SECONDS)
        assert list(loop.jobs) == ["a"]
        asked.set()
        assert await changes.get() == ["c"]

    monkeypatch.setattr(reload, "load", wrong_once)
    reloading(path, scenario)


def test_what_stays_is_not_looked_through_again() -> None:
    code = (
        "import gc\nfrom noether_supervisor.memory import *\nuse_one_heap()\nhurry()\n"
        "print(gc.isenabled())\nsettle()\nprint(gc.isenabled(), gc.get_freeze_count() > 0)"
    )
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "True", "True"]
