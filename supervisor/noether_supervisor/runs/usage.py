"""The watch over whole runs: a coarse net behind the limits that the runner puts on every stage.

Memory and number of processes are sampled with psutil in a thread, about once a second, only while
runs are active, and never for a run younger than that. Resident pages that warm Pythons share
count in each of them, so the cheap sum is an upper bound; only when it is too high the
proportional share (proc(5), Pss) is asked for.
Where runs have cgroups (`cgroups.py`), the kernel holds the same bounds without delay.
"""

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import psutil

from noether_supervisor.records import RunnerProcess
from noether_supervisor.runs.endings import StopReason
from noether_supervisor.runs.process import descendants_of

SAMPLE_SECONDS = 1.0
"""Pause between two samples; a run younger than this is not looked at."""

INTERPRETER_BYTES = 64 * 1024 * 1024
"""What a warm Python weighs before it does anything, most of it shared; the runner may use its
`memory_bytes` beside this."""

PARALLEL_STAGES = max(4, os.cpu_count() or 1)
"""Stages of one run at the same time at most (`runtimes.md` §7.10); all processes of a run
together may use `memory_bytes` for each."""

OWN_PROCESSES = 64
"""Processes and threads of ours that a run has at most beside those of its stages."""


class WatchedRun(Protocol):
    """What the watch needs of a run."""

    @property
    def process(self) -> RunnerProcess:
        """The runner."""
        ...

    @property
    def memory_bytes(self) -> int:
        """The limit of each process of the run."""
        ...

    @property
    def max_processes(self) -> int:
        """How many processes each stage of the run may have."""
        ...

    @property
    def age_seconds(self) -> float:
        """Time since its start."""
        ...

    def stop(self, reason: StopReason, detail: str = "") -> None:
        """Ends it."""
        ...


@dataclass(frozen=True, slots=True)
class TreeUsage:
    """Memory of a run: the runner's, and that of all its processes together."""

    runner_bytes: int
    tree_bytes: int
    processes: int


def most_tree_bytes(memory_bytes: int) -> int:
    """What all processes of a run may use together when each may use so much."""
    return memory_bytes * PARALLEL_STAGES + INTERPRETER_BYTES


def most_processes(max_processes: int) -> int:
    """How many processes a run may have when each of its stages may have so many."""
    return max_processes * PARALLEL_STAGES + OWN_PROCESSES


def excess(usage: TreeUsage, memory_bytes: int) -> str | None:
    """One sentence when a run uses more than it may."""
    if usage.runner_bytes > memory_bytes + INTERPRETER_BYTES:
        return (
            f"The runner itself used {_mib(usage.runner_bytes)} of memory; a process of this job "
            f"may use {_mib(memory_bytes)} (memory_mb)."
        )
    if usage.tree_bytes > most_tree_bytes(memory_bytes):
        return (
            f"The run used {_mib(usage.tree_bytes)} of memory in {usage.processes} processes; "
            f"{PARALLEL_STAGES} at a time may use {_mib(memory_bytes)} each (memory_mb)."
        )
    return None


def swarm(processes: int, max_processes: int) -> str | None:
    """One sentence when a run has more processes than it may: it forks without end."""
    if processes <= most_processes(max_processes):
        return None
    return (
        f"The run had {processes} processes; {PARALLEL_STAGES} stages at a time may have "
        f"{max_processes} each."
    )


class UsageWatch:
    """Stops runs that use too much; sleeps for good while there are none."""

    def __init__(self) -> None:
        self._runs: set[WatchedRun] = set()
        self._task: asyncio.Task[None] | None = None

    def add(self, run: WatchedRun) -> None:
        """Watches a run from now on."""
        self._runs.add(run)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._watch())

    def discard(self, run: WatchedRun) -> None:
        """The run has ended."""
        self._runs.discard(run)
        if not self._runs and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _watch(self) -> None:
        while self._runs:
            await asyncio.sleep(SAMPLE_SECONDS)
            old = [run for run in self._runs if run.age_seconds >= SAMPLE_SECONDS]
            if old:
                for run, reason, sentence in await asyncio.to_thread(_excesses, old):
                    run.stop(reason, sentence)


def _excesses(runs: Iterable[WatchedRun]) -> list[tuple[WatchedRun, StopReason, str]]:
    found: list[tuple[WatchedRun, StopReason, str]] = []
    for run in runs:
        # counted first, since every look at one of very many takes its time
        processes = 1 + len(descendants_of(run.process.pid))
        if (sentence := swarm(processes, run.max_processes)) is not None:
            found.append((run, StopReason.SWARM, sentence))
        elif excess(_resident(run.process), run.memory_bytes) is not None:
            sentence = excess(_proportional(run.process), run.memory_bytes)
            if sentence is not None:
                found.append((run, StopReason.MEMORY, sentence))
    return found


def _resident(process: RunnerProcess) -> TreeUsage:
    runner = _resident_bytes(process.pid)
    below = [_resident_bytes(pid) for pid in descendants_of(process.pid)]
    return TreeUsage(runner, runner + sum(below), 1 + len(below))


def _proportional(process: RunnerProcess) -> TreeUsage:
    runner = _proportional_bytes(process.pid)
    if runner is None:
        runner = _resident_bytes(process.pid)
    tree = runner
    below = descendants_of(process.pid)
    for pid in below:
        share = _proportional_bytes(pid)
        # Only processes of ours refuse to be looked at: warm Pythons before any user code.
        tree += max(0, _resident_bytes(pid) - INTERPRETER_BYTES) if share is None else share
    return TreeUsage(runner, tree, 1 + len(below))


def _resident_bytes(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _proportional_bytes(pid: int) -> int | None:
    """None when the process may not be looked at (not dumpable, and we are not root)."""
    try:
        return int(psutil.Process(pid).memory_full_info().pss)
    except psutil.NoSuchProcess:
        return 0
    except psutil.AccessDenied:
        return None


def _mib(size: int) -> str:
    return f"{size / (1024 * 1024):.0f} MiB"
