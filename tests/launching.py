"""What tests of the launcher share: programs of fake runners, requests, watching processes end."""

import asyncio
import contextlib
import os
import select
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from noether_contract.messages import FileStoreRef, Grants, Limits, RunRequest
from noether_supervisor.records import RunEnding
from noether_supervisor.runs.launcher import Launcher, Programs
from noether_supervisor.runs.process import facts_of
from noether_supervisor.runs.running import RunningRun

HERE = Path(__file__).parent
EXEC = (sys.executable, "-I", str(HERE / "fake_runner.py"))
NURSERY = (sys.executable, "-I", str(HERE / "fake_nursery.py"))
BY_EXEC = Programs(runner=EXEC, nursery=None)
BY_NURSERY = Programs(runner=EXEC, nursery=NURSERY)
PATIENCE_SECONDS = 20


@contextlib.asynccontextmanager
async def launching(
    programs: Programs, notes: list[str] | None = None, **more: Any
) -> AsyncIterator[Launcher]:
    """A launcher; without `notes`, a note (such as of a nursery that fails) fails the test."""
    told: list[str] = [] if notes is None else notes
    launcher = Launcher(told.append, programs=programs, **more)
    await launcher.open()
    try:
        yield launcher
    finally:
        await launcher.close()
    assert told == [] or notes is not None


def request(folder: Path, behaviour: str, **more: Any) -> RunRequest:
    return RunRequest(
        run_id=more.pop("run_id", "job@20260101T000000Z"),
        job="job",
        graph_text=behaviour,
        graph_path="/graph.json",
        store=FileStoreRef(path="/store.json"),
        cache_dir=str(folder / "cache"),
        work_dir=str(folder / "work" / "run"),
        limits=more.pop("limits", Limits(run_seconds=30)),
        grants=more.pop("grants", Grants()),
        **more,
    )


async def started(launcher: Launcher, folder: Path, behaviour: str, **more: Any) -> RunningRun:
    """A run whose runner (`hang` or `obey`) has done what it does before it waits."""
    ready = folder / "ready"
    os.mkfifo(ready)
    running = await launcher.start(request(folder, behaviour, **more))
    await asyncio.to_thread(ready.read_bytes)
    ready.unlink()
    return running


async def run(launcher: Launcher, folder: Path, behaviour: str, **more: Any) -> RunEnding:
    return await (await launcher.start(request(folder, behaviour, **more))).ended()


def written_pids(folder: Path) -> list[int]:
    return [int(path.read_text()) for path in sorted(folder.iterdir())]


def is_gone(pid: int) -> bool:
    facts = facts_of(pid)
    return facts is None or facts.state in "ZX"


class Watched:
    """A process that may be anybody's child; `wait` returns once it is dead."""

    def __init__(self, pid: int) -> None:
        self.pidfd = os.pidfd_open(pid)

    def wait(self) -> None:
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        assert poll.poll(PATIENCE_SECONDS * 1000), "the process is still there"
        os.close(self.pidfd)
