"""A runner process that has just been started, whichever way: what a run needs of it.

There are two ways: forked by the nursery (`nursery.py`), and by plain exec (here). Either way the
runner leads a session of its own, has the three pipe ends as descriptors 0, 1 and 2 and nothing
else, and an environment without a secret.
"""

import contextlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from noether_contract.stage_environment import ALWAYS, DEFAULT_PATH
from noether_supervisor.records import RunnerProcess
from noether_supervisor.runs.cgroups import RunGroup
from noether_supervisor.runs.process import Subreaper, facts_of

_RUNNER_NAMES = (
    *ALWAYS,
    "TMPDIR",
    "NOETHER_NO_REFINEMENT_CHECK",
    "NOETHER_REQUIRE_ISOLATION",
    # set only while tests measure coverage in child processes
    "COVERAGE_PROCESS_CONFIG",
    "COVERAGE_PROCESS_START",
)


def runner_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of nursery and runners, as it stands in /proc: nothing secret is in it."""
    found = {name: environ[name] for name in _RUNNER_NAMES if name in environ}
    return {"PATH": DEFAULT_PATH, **found}


class StartedRunner(Protocol):
    """A live runner; `pidfd` becomes readable when it ends, and is the caller's to close.

    `group` is its cgroup, where runs have one.
    """

    group: RunGroup | None

    @property
    def process(self) -> RunnerProcess:
        """Its identity."""
        ...

    @property
    def pidfd(self) -> int:
        """The descriptor of the process."""
        ...

    async def exit_code(self) -> int | None:
        """To be asked once it has ended: reaps it, and returns when its strays are gone too.

        Negative for a signal; None when nobody could tell.
        """
        ...


@dataclass(frozen=True, slots=True)
class RunnerEnds:
    """The pipe ends that become descriptors 0, 1 and 2 of a runner."""

    stdin: int
    stdout: int
    stderr: int

    def close(self) -> None:
        """Closes them here; the runner has its own copies."""
        for descriptor in (self.stdin, self.stdout, self.stderr):
            os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Pipes:
    """Our ends of the three pipes of a runner, none of them blocking; `stdin` is the lifeline."""

    stdin: int
    stdout: int
    stderr: int

    @classmethod
    def open(cls) -> "tuple[Pipes, RunnerEnds]":
        """Three pipes; raises OSError when there are no descriptors left."""
        with contextlib.ExitStack() as opened:
            ends: list[int] = []
            for _ in range(3):
                pair = os.pipe2(os.O_CLOEXEC)
                ends.extend(pair)
                for end in pair:
                    opened.callback(os.close, end)
            opened.pop_all()
        stdin_out, stdin_in, stdout_out, stdout_in, stderr_out, stderr_in = ends
        for ours in (stdin_in, stdout_out, stderr_out):
            os.set_blocking(ours, False)
        return cls(stdin_in, stdout_out, stderr_out), RunnerEnds(stdin_out, stdout_in, stderr_in)

    def close(self) -> None:
        """Closes our ends: for a runner that is still alive, the end of its lifeline."""
        for descriptor in (self.stdin, self.stdout, self.stderr):
            os.close(descriptor)


class ExecutedRunner:
    """A runner started by exec; its strays come to us, since we are a sub-reaper."""

    def __init__(self, child: "subprocess.Popen[bytes]", subreaper: Subreaper) -> None:
        self._child = child
        self._subreaper = subreaper
        self.group: RunGroup | None = None
        subreaper.know(child.pid)
        facts = facts_of(child.pid)
        # An unreaped child is always to be found, dead or alive.
        assert facts is not None
        self.process = RunnerProcess(child.pid, facts.start_ticks)
        self.pidfd = os.pidfd_open(child.pid)

    async def exit_code(self) -> int | None:
        """See `StartedRunner`."""
        code = self._child.wait()
        self._subreaper.forget(self._child.pid)
        await self._subreaper.sweep()
        return code


def execute(
    command: Sequence[str],
    environment: Mapping[str, str],
    ends: RunnerEnds,
    subreaper: Subreaper,
) -> ExecutedRunner:
    """Starts a runner by exec; raises OSError when that is impossible."""
    child = subprocess.Popen(  # noqa: S603 - the command is ours
        command,
        stdin=ends.stdin,
        stdout=ends.stdout,
        stderr=ends.stderr,
        env=dict(environment),
        close_fds=True,
        start_new_session=True,
    )
    return ExecutedRunner(child, subreaper)
