"""Finding what a dead service left running, also what its ledger knows nothing of.

A service starts its nursery and its runners with the mark of its state directory as an option of
Python's that means nothing (`-X`, python(1)). Whatever they fork carries the same command line:
runners, spares, dry looks at graphs, zygotes, stage-inits, stages in Python. Mostly they notice
that the service is gone and end by themselves; one that was stopped (SIGSTOP) cannot. What a stage
has started by exec lies below one of these, and goes with it.
"""

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from noether_supervisor.records import RunnerProcess
from noether_supervisor.runs.process import end_leftover, facts_of

_OPTION = "-X"
_MOST_LOOKS = 100


def marked(command: tuple[str, ...], mark: str) -> tuple[str, ...]:
    """The command of a Python program, with the mark of a state directory in it."""
    return (command[0], _OPTION, f"noether_state={mark}", *command[1:])


def end_leftovers(mark: str, *, patience_seconds: float = 1.0) -> int:
    """Ends every process that carries the mark, with its tree; blocks. How many had to be killed.

    For a service that has the state directory to itself and has not started anything yet. Those
    that stand highest get a moment to tidy up: a nursery that is woken ends all that is below it.
    """
    _wait_for_end(_highest(list(carrying(mark))), patience_seconds)
    killed = 0
    for _ in range(_MOST_LOOKS):
        # parents first: they fork no more, and their trees are still to be seen
        found = sorted(carrying(mark), key=_age)
        ended = sum(end_leftover(process) for process in found)
        if not ended:
            break
        killed += ended
    return killed


def _highest(found: list[RunnerProcess]) -> list[RunnerProcess]:
    pids = {process.pid for process in found}
    facts = [facts_of(process.pid) for process in found]
    return [
        process
        for process, told in zip(found, facts, strict=True)
        if told is not None and told.parent not in pids
    ]


def _wait_for_end(processes: list[RunnerProcess], seconds: float) -> None:
    """Wakes processes that were stopped, and waits until all of them have ended, or for so long."""
    ends = time.monotonic() + seconds
    for process in processes:
        try:
            pidfd = os.pidfd_open(process.pid)
        except OSError:
            continue
        try:
            facts = facts_of(process.pid)
            if facts is not None and facts.start_ticks == process.start_ticks:
                with contextlib.suppress(OSError):
                    signal.pidfd_send_signal(pidfd, signal.SIGCONT)
                left = max(0.0, ends - time.monotonic())
                select.select([pidfd], [], [], left)
        finally:
            os.close(pidfd)


def carrying(mark: str) -> Iterator[RunnerProcess]:
    """The living processes that carry the mark of a state directory."""
    option = f"\0{_OPTION}\0noether_state={mark}\0".encode()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or folder.name == str(os.getpid()):
            continue
        try:
            words = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if option in words:
            facts = facts_of(int(folder.name))
            if facts is not None and facts.state not in "ZX":
                yield RunnerProcess(facts.pid, facts.start_ticks)


def _age(process: RunnerProcess) -> tuple[int, int]:
    return process.start_ticks, process.pid
