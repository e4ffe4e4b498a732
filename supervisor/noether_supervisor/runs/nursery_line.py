"""The line to one nursery process; the protocol stands in `noether_runner.nursery_process`."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from noether_supervisor.records import RunnerProcess
from noether_supervisor.runs.cgroups import RunGroup
from noether_supervisor.runs.process import Subreaper, kill_tree, reap
from noether_supervisor.runs.runner import RunnerEnds
from noether_supervisor.runs.silence import answer_of

ANSWER_SECONDS = 10.0
"""A nursery that answers nothing for so long is taken for dead and killed; one that is stopped
or sleeps on, as it cannot be woken, much sooner (`silence.py`)."""

BIRTH_SECONDS = 30.0
"""A nursery that is not ready for so long after its start is killed."""

_MAX_MESSAGE_BYTES = 4096


class NurseryError(Exception):
    """The nursery could not give a runner; the text is a sentence."""


class NurseryLine:
    """One nursery process, from its start to its death, and the line to it."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        subreaper: Subreaper,
        on_death: "Callable[[NurseryLine], None]",
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._subreaper = subreaper
        self._on_death = on_death
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                self._child = _nursery_process(command, environment, theirs)
            except OSError:
                ours.close()
                raise
        ours.setblocking(False)
        self._line = ours
        self.pid = self._child.pid
        subreaper.know(self.pid)
        self._pidfd = os.pidfd_open(self.pid)
        self._ready = asyncio.Event()
        self._dead = asyncio.Event()
        self.was_ready = False
        self._born = time.monotonic()
        self._loop.call_later(BIRTH_SECONDS, self._kill_unless_ready)
        self._started: dict[int, asyncio.Future[NurseryRunner]] = {}
        self._ended: dict[int, asyncio.Future[int | None]] = {}
        self._numbers = 0
        self._loop.add_reader(self._line, self._read)
        self._loop.add_reader(self._pidfd, self._bury)

    @property
    def lived_seconds(self) -> float:
        """How long ago it was started."""
        return time.monotonic() - self._born

    async def is_ready(self, patience_seconds: float) -> bool:
        """Whether it forks runners by now, or within `patience_seconds` of its start."""
        patience_seconds -= self.lived_seconds
        if patience_seconds > 0 and not self._ready.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ready.wait(), patience_seconds)
        return self.was_ready and not self._dead.is_set()

    async def start_runner(self, ends: RunnerEnds) -> "NurseryRunner":
        """A forked runner on these pipe ends; raises `NurseryError`."""
        number = self._numbers
        self._numbers += 1
        answer: asyncio.Future[NurseryRunner] = self._loop.create_future()
        self._started[number] = answer
        self._ended[number] = self._loop.create_future()
        try:
            socket.send_fds(
                self._line,
                [orjson.dumps({"start": number})],
                [ends.stdin, ends.stdout, ends.stderr],
            )
            return await answer_of(self.pid, answer, ANSWER_SECONDS)
        except TimeoutError:
            self.kill()
            raise NurseryError("The nursery did not answer and was killed.") from None
        except OSError as error:
            self._ended.pop(number, None)
            raise NurseryError(f"The nursery could not be asked ({error.strerror}).") from None
        finally:
            self._started.pop(number, None)

    async def exit_code(self, number: int) -> int | None:
        """How a runner ended, as the nursery tells; None when it cannot tell any more."""
        end = self._ended[number]
        try:
            return await answer_of(self.pid, end, ANSWER_SECONDS)
        except TimeoutError:
            self.kill()
            await self._dead.wait()
            return None
        finally:
            self._ended.pop(number, None)

    def kill(self) -> None:
        """For one that no longer answers; its death is then noticed as any other."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    async def close(self) -> None:
        """Ends it by ending the socket: it kills everything below before it exits."""
        if self._dead.is_set():
            return
        self._loop.remove_reader(self._line)
        self._line.close()
        dead = self._loop.create_task(self._dead.wait())
        try:
            await answer_of(self.pid, dead, ANSWER_SECONDS)
        except TimeoutError:
            self.kill()
            await dead

    def _kill_unless_ready(self) -> None:
        if not self.was_ready and not self._dead.is_set():
            self.kill()

    def _read(self) -> None:
        """Takes what the nursery told so far."""
        while self._line.fileno() >= 0:
            try:
                message, descriptors, _, _ = socket.recv_fds(self._line, _MAX_MESSAGE_BYTES, 1)
            except BlockingIOError:
                return
            except OSError:
                message, descriptors = b"", []
            if not message:
                self._loop.remove_reader(self._line)
                return
            for descriptor in descriptors:
                os.set_inheritable(descriptor, False)
            self._take(orjson.loads(message), descriptors)

    def _take(self, message: dict[str, Any], descriptors: list[int]) -> None:
        # A nursery that says anything else is not ours, or damaged.
        match message:
            case {"ready": _}:
                self.was_ready = True
                self._ready.set()
            case {"started": int(number), "pid": int(pid), "start_ticks": int(ticks)}:
                process = RunnerProcess(pid, ticks)
                runner = NurseryRunner(self, number, process, descriptors[0], self._subreaper)
                answer = self._started.pop(number, None)
                if answer is None or answer.done():
                    self._ended.pop(number, None)
                    runner.abandon()
                else:
                    answer.set_result(runner)
            case {"failed": int(number), "reason": str(reason)}:
                self._ended.pop(number, None)
                answer = self._started.pop(number, None)
                if answer is not None and not answer.done():
                    answer.set_exception(NurseryError(f"The nursery {reason}."))
            case {"ended": int(number), "exit_code": int(code)}:
                end = self._ended.get(number)
                if end is not None and not end.done():
                    end.set_result(code)
            case _:
                self.kill()

    def _bury(self) -> None:
        self._loop.remove_reader(self._pidfd)
        if self._line.fileno() >= 0:
            self._read()
            self._loop.remove_reader(self._line)
            self._line.close()
        self._child.wait()
        os.close(self._pidfd)
        self._subreaper.forget(self.pid)
        self._dead.set()
        self._ready.set()
        for answer in self._started.values():
            if not answer.done():
                answer.set_exception(NurseryError("The nursery died when it was asked."))
        for end in self._ended.values():
            if not end.done():
                end.set_result(None)
        self._on_death(self)


class NurseryRunner:
    """A runner forked by the nursery, which reaps it and kills what it leaves behind."""

    def __init__(
        self,
        life: NurseryLine,
        number: int,
        process: RunnerProcess,
        pidfd: int,
        subreaper: Subreaper,
    ) -> None:
        self._life = life
        self._number = number
        self._subreaper = subreaper
        self.process = process
        self.pidfd = pidfd
        self.group: RunGroup | None = None
        subreaper.know(process.pid)

    async def exit_code(self) -> int | None:
        """See `StartedRunner`. When the nursery died before it could tell, the runner is ours."""
        code = await self._life.exit_code(self._number)
        self._subreaper.forget(self.process.pid)
        if code is None:
            code = reap(self.pidfd)
            await self._subreaper.sweep()
        return code

    def abandon(self) -> None:
        """For a runner that nobody waits for any more: it was given nothing to do yet."""
        self._subreaper.forget(self.process.pid)
        kill_tree(self.process.pid, self.pidfd)
        os.close(self.pidfd)


def _nursery_process(
    command: Sequence[str], environment: Mapping[str, str], line: socket.socket
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 - the command is ours
        command,
        stdin=line.fileno(),
        stdout=subprocess.DEVNULL,
        env=dict(environment),
        close_fds=True,
        start_new_session=True,
    )
