"""One run from the start of its runner to its ending: fed, read, limited, stopped, named.

Nothing here waits for the end of a pipe, which a grandchild may hold open: the end of a run is
the end of its runner (a pidfd), after which its pipes are drained for a moment.
"""

import asyncio
import os
import shutil
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from noether_contract.messages import RunRequest
from noether_supervisor.records import RunEnding, RunnerProcess
from noether_supervisor.runs.endings import Observed, Stopped, StopReason, name_ending
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
_READ_BYTES = 256 * 1024


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
    def age_seconds(self) -> float:
        """Time since the start."""
        return time.monotonic() - self._started

    async def ended(self) -> RunEnding:
        """The ending, once the runner is dead and nothing of the run is left."""
        return await asyncio.shield(self._task)

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
        self._drain(pipes.stdout)
        self._drain(pipes.stderr)
        loop.remove_writer(pipes.stdin)
        loop.remove_reader(pipes.stdout)
        loop.remove_reader(pipes.stderr)
        pipes.close()
        os.close(self._runner.pidfd)
        if self._work_dir is not None and not _is_gone_when_empty(self._work_dir):
            await asyncio.to_thread(shutil.rmtree, self._work_dir, ignore_errors=True)
        return name_ending(self._observed(duration_ms, exit_code, is_dead))

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

    def _died(self) -> None:
        self._loop.remove_reader(self._runner.pidfd)
        if not self._over.done():
            self._over.set_result(True)

    def _kill(self) -> None:
        if self._over.done():
            return
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
        if not self._take(descriptor):
            self._loop.remove_reader(descriptor)

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


def _is_gone_when_empty(folder: Path) -> bool:
    """A runner that ended well has left its directory empty or removed it: no thread for that."""
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
