"""Watching over one stage process: one thread, one poll loop, every limit.

Rules: `runtimes.md` §7.3 and §7.5.
The call is over when stage-init reports, or when its end of the control socket closes; never
when a pipe ends, since a leftover process may hold pipes for as long as it likes.
"""

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from noether_runner.sandbox import wire
from noether_runner.sandbox.calls import ChildCall, ChildResult, EndedFor
from noether_runner.sandbox.cancellation import Cancellation
from noether_runner.sandbox.frames import FrameReader
from noether_runner.sandbox.inside_report import with_report
from noether_runner.sandbox.limits import process_limits, processes_of
from noether_runner.sandbox.logs import LogBuffer

_CHUNK = 65536
_MOST_LEFT_IN_A_PIPE = 1024 * 1024
_START_NUDGE_SECONDS = 1.0
_START_PATIENCE_SECONDS = 15.0
_END_PATIENCE_SECONDS = 3.0


class NotStartedError(Exception):
    """No user code ran: the call may be repeated; with another zygote if it is `unresponsive`."""

    def __init__(self, reason: str, *, unresponsive: bool) -> None:
        super().__init__(reason)
        self.unresponsive = unresponsive


class StageStarter(Protocol):
    """What a watch needs of a zygote."""

    def start_stage(self, descriptors: list[int]) -> None:
        """Ask for a stage-init (`wire.START`); raises OSError when the zygote is dead."""

    def nudge(self) -> None:
        """Wake a zygote that a stage has stopped."""


class Watch:
    """One call, from the request to the zygote until nothing of the stage is left."""

    def __init__(self, call: ChildCall, cancellation: Cancellation, starter: StageStarter) -> None:
        self._call = call
        self._cancellation = cancellation
        self._starter = starter
        self._open: list[int] = []
        self._poll = select.poll()
        self._readers: dict[int, Callable[[], None]] = {}
        self._frames = FrameReader(call.token, call.limits.output_bytes)
        self._stdout = LogBuffer(call.stdout_bytes or call.limits.log_bytes)
        self._stderr = LogBuffer(call.limits.log_bytes)
        self._control: socket.socket | None = None
        self._pipes: dict[int, Callable[[bytes], None]] = {}
        self._init_pid: int | None = None
        self._init_pidfd: int | None = None
        self._ended_for: EndedFor | None = None
        self._reported = False
        self._not_started: str | None = None
        self._wait_status: int | None = None
        self._cpu_ms: float | None = None
        self._peak_memory_bytes: int | None = None
        self._leftovers = 0
        self._told_inside = bytearray()
        self._over = False
        self._answered = False
        self._due: float = time.monotonic() + _START_NUDGE_SECONDS
        self._when_due: Callable[[], None] = self._nudge_start
        self._give_up_start = time.monotonic() + _START_PATIENCE_SECONDS

    def run(self) -> ChildResult:
        """Start the process and follow it to its end; raises NotStartedError."""
        self._start()
        while not self._over:
            left_ms = max(0.0, (self._due - time.monotonic()) * 1000)
            for descriptor, _ in self._poll.poll(left_ms):
                # one of this round may have ended the watch over another
                if reader := self._readers.get(descriptor):
                    reader()
            self._look_at_clock()
        self._drain()
        return self._result()

    def result_after_crash(self) -> ChildResult:
        """The result of a call whose stage-init was killed, now that its remains are ended."""
        self._drain()
        return self._result()

    def close(self) -> None:
        """Give all descriptors back."""
        for descriptor in self._open:
            os.close(descriptor)
        self._open.clear()
        if self._control is not None:
            self._control.close()

    # starting

    def _start(self) -> None:
        theirs: list[int] = []
        try:
            result_read, result = self._pipe(theirs)
            stdout_read, stdout = self._pipe(theirs)
            stderr_read, stderr = self._pipe(theirs)
            self._pipes = {
                result_read: self._frames.feed,
                stdout_read: self._stdout.feed,
                stderr_read: self._stderr.feed,
            }
            order = _memory_file("stage-order", self._order().pack(), theirs)
            payload = _memory_file("stage-payload", self._call.payload, theirs)
            self._control, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with peer:
                asked = [order, payload, peer.fileno(), stdout, stderr, result]
                if self._call.is_in_sandbox:
                    status_read, status = self._pipe(theirs)
                    self._pipes[status_read] = self._told_inside.extend
                    asked.append(status)
                self._ask(asked)
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        for descriptor in self._pipes:
            self._listen(descriptor, partial(self._read_pipe, descriptor))
        self._listen(self._control.fileno(), self._hear)
        self._listen(self._cancellation.fileno(), self._cancel)

    def _ask(self, descriptors: list[int]) -> None:
        try:
            self._starter.start_stage(descriptors)
        except OSError as error:
            raise NotStartedError(f"the zygote is gone: {error}", unresponsive=True) from error

    def _order(self) -> wire.Order:
        call = self._call
        chosen = call.confinement.user if call.confinement is not None else None
        user = os.getuid() if chosen is None else chosen[0]
        # behind a sandbox the stage-init inside sets them, for the stage alone
        limits = () if call.is_in_sandbox else process_limits(call.limits, processes_of(user), user)
        return wire.Order(
            token=call.token,
            directory=str(call.directory),
            environment=dict(call.environment),
            limits=limits,
            entry=call.entry,
            argv=call.argv,
            confinement=call.confinement,
        )

    def _pipe(self, theirs: list[int]) -> tuple[int, int]:
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(read_end, False)
        self._open.append(read_end)
        theirs.append(write_end)
        return read_end, write_end

    def _nudge_start(self) -> None:
        if time.monotonic() >= self._give_up_start:
            raise NotStartedError("the zygote did not answer", unresponsive=True)
        self._starter.nudge()
        self._due = time.monotonic() + _START_NUDGE_SECONDS

    # listening

    def _listen(self, descriptor: int, reader: Callable[[], None]) -> None:
        self._readers[descriptor] = reader
        self._poll.register(descriptor, select.POLLIN)

    def _ignore(self, descriptor: int) -> None:
        del self._readers[descriptor]
        self._poll.unregister(descriptor)

    def _read_pipe(self, pipe: int) -> None:
        try:
            chunk = os.read(pipe, _CHUNK)
        except BlockingIOError:
            return
        if not chunk:
            self._ignore(pipe)
            del self._pipes[pipe]
            return
        self._pipes[pipe](chunk)
        self._look_at_answer()

    def _look_at_answer(self) -> None:
        if self._frames.too_large:
            self._end(EndedFor.OUTPUT_TOO_LARGE, grace_ms=0)
        elif not self._answered and self._frames.answered:
            self._answered = True
            if self._ended_for is None:
                lingering = time.monotonic() + self._call.limits.linger_ms / 1000
                run_deadline = self._cancellation.deadline
                self._due = lingering if run_deadline is None else min(lingering, run_deadline)
                self._when_due = self._linger_over

    def _linger_over(self) -> None:
        self._end(EndedFor.LINGERED, grace_ms=0)

    def _hear(self) -> None:
        """Take the next report of stage-init, or notice that it is gone."""
        assert self._control is not None
        try:
            packet = self._control.recv(wire.MAX_PACKET)
        except ConnectionResetError:
            packet = b""
        kind, *facts = packet.split(b" ")
        if kind == wire.STARTED:
            self._started(int(facts[0]))
        elif kind == wire.ENDED:
            status, self._leftovers, cpu, peak = map(int, facts)
            self._wait_status = status if status >= 0 else None
            self._cpu_ms = cpu / 1000
            self._peak_memory_bytes = peak * 1024
            self._reported = self._over = True
        elif kind == wire.FAILED:
            self._not_started = b" ".join(facts).decode("utf-8", "replace")
            self._reported = self._over = True
        elif self._init_pid is None:
            raise NotStartedError("the zygote or the stage-init was killed", unresponsive=False)
        else:
            self._over = True

    def _started(self, pid: int) -> None:
        self._init_pid = pid
        with contextlib.suppress(ProcessLookupError):
            # if it is gone already, and its number taken again, its socket has ended as well,
            # and nobody will use this
            self._init_pidfd = os.pidfd_open(pid)
            self._open.append(self._init_pidfd)
        if self._ended_for is not None:
            self._send_end(0)
            return
        if self._answered:
            # its answer was read before the word that it started: it lingers already
            return
        now = time.monotonic()
        self._due = now + self._call.limits.wall_seconds
        self._when_due = self._stage_deadline
        run_deadline = self._cancellation.deadline
        if run_deadline is not None and run_deadline < self._due:
            self._due = run_deadline
            self._when_due = self._run_deadline

    # ending

    def _stage_deadline(self) -> None:
        self._end(EndedFor.STAGE_DEADLINE, grace_ms=self._call.limits.term_grace_ms)

    def _run_deadline(self) -> None:
        self._end(EndedFor.RUN_DEADLINE, grace_ms=self._call.limits.term_grace_ms)

    def _cancel(self) -> None:
        self._ignore(self._cancellation.fileno())
        self._end(EndedFor.CANCELLED, grace_ms=self._call.limits.term_grace_ms)

    def _end(self, why: EndedFor, grace_ms: int) -> None:
        """Have the stage ended; the first reason counts."""
        if self._ended_for is not None:
            return
        self._ended_for = why
        if self._init_pid is not None:
            self._send_end(grace_ms)

    def _send_end(self, grace_ms: int) -> None:
        assert self._control is not None
        word = wire.TERMINATE + b"%d" % grace_ms if grace_ms else wire.KILL
        with contextlib.suppress(OSError):
            self._control.send(word)
        # a stage can stop its stage-init, which would not hear us then
        self._signal_init(signal.SIGCONT)
        self._due = time.monotonic() + grace_ms / 1000 + _END_PATIENCE_SECONDS
        self._when_due = self._force_end

    def _force_end(self) -> None:
        """Stage-init does not obey (a stage stops it again and again): kill it.

        What it leaves behind is ended by the zygote.
        """
        self._signal_init(signal.SIGKILL)
        self._due = time.monotonic() + _END_PATIENCE_SECONDS
        self._when_due = self._stop_waiting

    def _signal_init(self, number: signal.Signals) -> None:
        if self._init_pidfd is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(self._init_pidfd, number)

    def _stop_waiting(self) -> None:
        self._over = True

    def _look_at_clock(self) -> None:
        if not self._over and time.monotonic() >= self._due:
            self._when_due()

    # the result

    def _drain(self) -> None:
        """Take what is still in the pipes, without waiting for their end."""
        for pipe, feed in self._pipes.items():
            taken = 0
            with contextlib.suppress(BlockingIOError):
                while taken < _MOST_LEFT_IN_A_PIPE and (chunk := os.read(pipe, _CHUNK)):
                    feed(chunk)
                    taken += len(chunk)

    def _result(self) -> ChildResult:
        result = self._result_outside()
        if not self._call.is_in_sandbox or result.not_started is not None:
            return result
        return with_report(result, bytes(self._told_inside))

    def _result_outside(self) -> ChildResult:
        frames = self._frames
        return ChildResult(
            stdout=self._stdout.log(),
            stderr=self._stderr.log(),
            result=frames.stream() if frames.streamed else frames.result,
            error=frames.error,
            streamed=frames.streamed,
            answer_incomplete=frames.incomplete,
            ended_for=EndedFor.OUTPUT_TOO_LARGE if frames.too_large else self._ended_for,
            wait_status=self._wait_status,
            cpu_ms=self._cpu_ms,
            peak_memory_bytes=self._peak_memory_bytes,
            leftovers=self._leftovers,
            not_started=self._not_started,
            abandoned_init=None if self._reported else self._init_pid,
        )


def _memory_file(name: str, content: bytes, opened: list[int]) -> int:
    """A memory file with this content, its offset at the start."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    opened.append(descriptor)
    wire.write_whole(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
