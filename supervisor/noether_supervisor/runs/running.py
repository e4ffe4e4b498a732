"""One run from the start of its runner to its ending: fed, read, limited, stopped, named.

Nothing here waits for the end of a pipe, which a grandchild may hold open: the end of a run is
the end of its runner (a pidfd), after which its pipes are drained for a moment.
"""

import asyncio
import os
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from noether_contract.messages import RunRequest
from noether_contract.removal import remove_tree
from noether_supervisor.records import RunEnding, RunnerProcess
from noether_supervisor.runs.endings import (
    Observed,
    Stopped,
    StopReason,
    name_ending,
    not_followed,
)
from noether_supervisor.runs.process import kill_tree, terminate
from noether_supervisor.runs.runner import Pipes, StartedRunner
from noether_supervisor.runs.secrets import Mask
from noether_supervisor.runs.stream import EventStream, Tail

DEADLINE_GRACE_SECONDS = 2.0
"""The runner ends itself after `run_seconds`; one that has not after this much more is killed."""

STOP_GRACE_SECONDS = 3.0
"""How long a runner that was asked to end has for its report."""

MAX_STREAM_BYTES = 256 * 1024 * 1024
"""What a runner may write on standard output and error together; more, and it is killed."""

_DRAIN_SECONDS = 0.1
_KILL_PATIENCE_SECONDS = 10.0
_READ_BYTES = 64 * 1024
_FEW_BYTES = 16 * 1024
_REST_SECONDS = 0.005
"""Nobody waits for an event, so one that comes alone is not followed by a look at the next: a run
of a few stages wakes the service once or twice, not for each of its lines."""


class RunningRun:
    """A run whose runner was started. `ended()` gives its one ending; `stop` hastens it.

    `work_dir` is removed when the run has ended; None for a directory that is not ours.
    """

    def __init__(
        self,
        request: RunRequest,
        request_line: bytes,
        runner: StartedRunner,
        pipes: Pipes,
        started_at: datetime,
        work_dir: Path | None = None,
    ) -> None:
        self._request = request
        self._runner = runner
        self._pipes = pipes
        self._started_at = started_at
        self._work_dir = work_dir
        self._started = time.monotonic()
        self._unsent = memoryview(request_line)
        self._events = EventStream(request.run_id)
        self._stderr = Tail()
        self._read_bytes = 0
        self._stopped: Stopped | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._resting: dict[int, asyncio.TimerHandle] = {}
        self._removal: asyncio.Task[bool] | None = None
        self._loop = asyncio.get_running_loop()
        # True: the runner is dead; False: it was killed, but the kernel does not let it die.
        self._over: asyncio.Future[bool] = self._loop.create_future()
        self._task = self._loop.create_task(self._live())

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self._request.run_id

    @property
    def process(self) -> RunnerProcess:
        """The runner."""
        return self._runner.process

    @property
    def composition_id(self) -> str | None:
        """The id of the graph, once the runner has told it."""
        return self._events.composition_id

    @property
    def memory_bytes(self) -> int:
        """The memory limit of each process of the run."""
        return self._request.limits.memory_bytes

    @property
    def max_processes(self) -> int:
        """The number of processes that each stage of the run may have."""
        return self._request.limits.max_processes

    @property
    def age_seconds(self) -> float:
        """Time since the start."""
        return time.monotonic() - self._started

    async def ended(self) -> RunEnding:
        """The ending, once the runner is dead and nothing runs that belongs to the run."""
        return await asyncio.shield(self._task)

    async def gone(self) -> None:
        """Returns once its private directory is gone too."""
        await self.ended()
        if self._removal is not None:
            await self._removal

    def stop(self, reason: StopReason, detail: str = "") -> None:
        """Ends the run. The first reason names the ending; a later one may hasten it.

        Patient reasons let the runner report `interrupted` with its full trace; whatever has not
        ended `STOP_GRACE_SECONDS` later, and the others at once, is killed with its whole tree.
        """
        if self._over.done():
            return
        if not reason.is_patient:
            self._stopped = self._stopped or Stopped(reason, detail)
            self._kill()
        elif self._stopped is None:
            self._stopped = Stopped(reason, detail)
            terminate(self._runner.pidfd)
            self._later(STOP_GRACE_SECONDS, self._kill)

    async def _live(self) -> RunEnding:
        try:
            return await self._follow()
        except Exception as error:
            # whatever fails here, the fire must end in a record
            self._kill()
            what = f"{type(error).__name__}: {error}"
            return not_followed(self._started_at, int(self.age_seconds * 1000), what)

    async def _follow(self) -> RunEnding:
        loop, pipes = self._loop, self._pipes
        loop.add_reader(self._runner.pidfd, self._died)
        loop.add_writer(pipes.stdin, self._feed)
        loop.add_reader(pipes.stdout, self._read, pipes.stdout)
        loop.add_reader(pipes.stderr, self._read, pipes.stderr)
        run_seconds = self._request.limits.run_seconds
        self._later(run_seconds + DEADLINE_GRACE_SECONDS, self.stop, StopReason.DEADLINE)
        self._feed()
        is_dead = await self._over
        duration_ms = int(self.age_seconds * 1000)
        for timer in self._timers:
            timer.cancel()
        loop.remove_reader(self._runner.pidfd)
        exit_code = await self._runner.exit_code() if is_dead else None
        self._leave_group()
        self._drain(pipes.stdout)
        self._drain(pipes.stderr)
        loop.remove_writer(pipes.stdin)
        loop.remove_reader(pipes.stdout)
        loop.remove_reader(pipes.stderr)
        # only now: more may have been read while the end of the runner was waited for
        for timer in self._resting.values():
            timer.cancel()
        pipes.close()
        os.close(self._runner.pidfd)
        observed = self._observed(duration_ms, exit_code, is_dead)
        if self._work_dir is not None:
            removal = loop.create_task(asyncio.to_thread(remove_tree, self._work_dir))
            if observed.told.report is None:
                await removal
            else:
                # its stages have left nothing but empty folders there, which keep nobody waiting
                self._removal = removal
        return name_ending(observed)

    def _observed(self, duration_ms: int, exit_code: int | None, is_dead: bool) -> Observed:
        stuck = f"Process {self.process.pid} was killed, but the kernel has not ended it yet."
        return Observed(
            request=self._request,
            started_at=self._started_at,
            duration_ms=duration_ms,
            exit_code=exit_code,
            stopped=self._stopped,
            told=self._events.told(),
            stderr_tail=Mask(self._request).hide(self._stderr.text()),
            remarks=() if is_dead else (stuck,),
        )

    def _leave_group(self) -> None:
        """Kills what may be left in the run's cgroup, hears of its memory, and removes it."""
        group = self._runner.group
        if group is None:
            return
        group.kill()
        detail = group.memory_excess()
        if detail is not None and self._stopped is None:
            self._stopped = Stopped(StopReason.MEMORY, detail)
        group.remove()

    def _died(self) -> None:
        self._loop.remove_reader(self._runner.pidfd)
        if not self._over.done():
            self._over.set_result(True)

    def _kill(self) -> None:
        if self._over.done():
            return
        if self._runner.group is not None:
            self._runner.group.kill()
        kill_tree(self.process.pid, self._runner.pidfd)
        self._later(_KILL_PATIENCE_SECONDS, self._give_up)

    def _give_up(self) -> None:
        if not self._over.done():
            self._over.set_result(False)

    def _feed(self) -> None:
        """Writes what the pipe takes of the request; a runner that reads nothing stops nobody."""
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(self._pipes.stdin, self._unsent) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._unsent = memoryview(b"")
        self._loop.remove_writer(self._pipes.stdin)

    def _read(self, descriptor: int) -> None:
        before = self._read_bytes
        goes_on = self._take(descriptor)
        is_little = self._read_bytes - before < _FEW_BYTES
        if is_little or not goes_on:
            self._loop.remove_reader(descriptor)
        if is_little and goes_on:
            listen = partial(self._loop.add_reader, descriptor, self._read, descriptor)
            self._resting[descriptor] = self._loop.call_later(_REST_SECONDS, listen)

    def _take(self, descriptor: int) -> bool:
        """Takes what is there; False at the end of the stream, or when it is not to be read on."""
        try:
            chunk = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            return True
        if not chunk:
            return False
        self._read_bytes += len(chunk)
        if self._read_bytes > MAX_STREAM_BYTES:
            limit = MAX_STREAM_BYTES // (1024 * 1024)
            self.stop(StopReason.FLOOD, f"The runner wrote more than {limit} MiB.")
            return False
        if descriptor == self._pipes.stdout:
            self._events.feed(chunk)
        else:
            self._stderr.feed(chunk)
        return True

    def _drain(self, descriptor: int) -> None:
        """Takes what a dead runner left in a pipe; whoever still writes is not waited for."""
        ends = time.monotonic() + _DRAIN_SECONDS
        before = -1
        while before != self._read_bytes and time.monotonic() < ends:
            before = self._read_bytes
            if not self._take(descriptor):
                return

    def _later(self, seconds: float, call: Callable[..., object], *arguments: object) -> None:
        self._timers.append(self._loop.call_later(seconds, call, *arguments))
