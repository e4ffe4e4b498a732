"""Starting runs: each in a runner of its own, from the nursery, or by exec when there is none.

A run started either way behaves identically. What it goes through: `running.py`; how its ending
is named: `endings.py`.
"""

import asyncio
import contextlib
import os
import resource
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from noether_contract.messages import RunRequest
from noether_contract.run_groups import option_for
from noether_supervisor.clock import Clock, SystemClock
from noether_supervisor.runs.cgroups import RunGroups
from noether_supervisor.runs.endings import StopReason
from noether_supervisor.runs.leftovers import marked
from noether_supervisor.runs.nursery import Nursery
from noether_supervisor.runs.process import Subreaper
from noether_supervisor.runs.request import LaunchError, encode_request
from noether_supervisor.runs.runner import Pipes, StartedRunner, execute, runner_environment
from noether_supervisor.runs.running import RunningRun
from noether_supervisor.runs.usage import UsageWatch

__all__ = ["LaunchError", "Launcher", "Programs"]

_DESCRIPTORS_WANTED = 65_536


@dataclass(frozen=True, slots=True)
class Programs:
    """The commands that start runners; without a nursery every runner is started by exec."""

    runner: tuple[str, ...] = (sys.executable, "-I", "-m", "noether_runner.cli", "--contract")
    nursery: tuple[str, ...] | None = (sys.executable, "-I", "-m", "noether_runner.nursery_process")

    def marked(self, mark: str) -> "Programs":
        """The same, to be found by the mark of a state directory (`leftovers.py`)."""
        nursery = None if self.nursery is None else marked(self.nursery, mark)
        return Programs(marked(self.runner, mark), nursery)


class Launcher:
    """Starts runs. While open, it makes this process the parent of all orphans below it.

    `on_note` gets sentences for the log. `environ` is the environment of the service, of which
    runners get nothing but a short list. With `groups` every run has a cgroup of its own.
    """

    def __init__(
        self,
        on_note: Callable[[str], None],
        *,
        programs: Programs | None = None,
        clock: Clock | None = None,
        environ: Mapping[str, str] | None = None,
        groups: RunGroups | None = None,
    ) -> None:
        self._programs = programs or Programs()
        self._groups = groups
        self._clock = clock or SystemClock()
        self._environment = runner_environment(os.environ if environ is None else environ)
        self._subreaper = Subreaper()
        self._nursery: Nursery | None = None
        if self._programs.nursery is not None:
            command = self._programs.nursery
            if groups is not None:
                command = (*command, option_for(groups.folder))
            self._nursery = Nursery(
                command, self._environment, self._subreaper, on_note, self._sweep_groups
            )
        self._usage_watch = UsageWatch()
        self._runs: set[RunningRun] = set()
        self._endings: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Starts the nursery, and returns while it is still getting ready."""
        _allow_many_descriptors()
        self._subreaper.open()
        if self._nursery is not None:
            self._nursery.open()

    @property
    def nursery_pid(self) -> int | None:
        """The nursery process of now, for status pages; None when there is none."""
        return None if self._nursery is None else self._nursery.pid

    async def start(self, request: RunRequest) -> RunningRun:
        """Starts a run; raises `LaunchError` when there can be no runner for it.

        The run's private directory is made here, and is gone when the run has ended, or a moment
        after a run that has reported; one that was there before stays.
        """
        line = encode_request(request)
        # undone also when whoever waits for the start gives up
        with contextlib.ExitStack() as undone:
            try:
                work_dir = _made(Path(request.work_dir))
                if work_dir is not None:
                    undone.callback(work_dir.rmdir)
                runner, pipes = await self._start_runner()
                if self._groups is not None:
                    runner.group = self._groups.of(runner.process.pid)
                if runner.group is not None:
                    runner.group.limit(request.limits)
            except OSError as error:
                raise LaunchError(
                    f"No runner can be started for run {request.run_id}: {error}."
                ) from error
            undone.pop_all()
        run = RunningRun(request, line, runner, pipes, self._clock.now(), work_dir)
        self._runs.add(run)
        self._usage_watch.add(run)
        ending = asyncio.get_running_loop().create_task(self._forget(run))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)
        return run

    async def close(self) -> None:
        """Kills what still runs, ends the nursery, and returns when nothing of either is left."""
        for run in tuple(self._runs):
            run.stop(StopReason.FORCED)
        if self._endings:
            await asyncio.wait(self._endings)
        if self._nursery is not None:
            await self._nursery.close()
        await self._subreaper.sweep()
        self._subreaper.close()
        self._sweep_groups()

    def _sweep_groups(self) -> None:
        if self._groups is not None:
            self._groups.sweep()

    async def _start_runner(self) -> tuple[StartedRunner, Pipes]:
        if self._nursery is not None:
            pipes, ends = Pipes.open()
            try:
                forked = await self._nursery.start_runner(ends)
            except BaseException:
                pipes.close()
                raise
            finally:
                ends.close()
            if forked is not None:
                return forked, pipes
            pipes.close()
        pipes, ends = Pipes.open()
        try:
            command = self._programs.runner
            return execute(command, self._environment, ends, self._subreaper), pipes
        except BaseException:
            pipes.close()
            raise
        finally:
            ends.close()

    async def _forget(self, run: RunningRun) -> None:
        with contextlib.suppress(Exception):
            await run.ended()
        self._runs.discard(run)
        self._usage_watch.discard(run)
        with contextlib.suppress(Exception):
            await run.gone()


def _made(folder: Path) -> Path | None:
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        return None
    return folder


def _allow_many_descriptors() -> None:
    """Every run needs four; the usual soft limit of 1024 would be met by 250 runs at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = (
        _DESCRIPTORS_WANTED if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS_WANTED)
    )
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
