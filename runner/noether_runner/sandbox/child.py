"""The children of one runner: its zygote, and stage calls through it.

`Children` owns the zygote, replaces it when it dies, and promises that a call always ends: with
what the stage answered, or with how its process ended. No process of a call is left when the
call returns, whatever the stage did (a stage that kills its stage-init costs itself; one that
kills the zygote costs the calls in flight).

The calling process becomes a sub-reaper. Processes of its own that run in a session of their own
(`start_new_session`) are told from a stage's leftovers only by `leave_alone`.
"""

import contextlib
import os
import select
import signal
import socket
import sys
import threading
from types import TracebackType
from typing import Self

from noether_contract.outcomes import ErrorCode
from noether_runner.errors import RunnerError
from noether_runner.sandbox import prctl, wire
from noether_runner.sandbox.calls import ChildCall, ChildResult
from noether_runner.sandbox.cancellation import Cancellation
from noether_runner.sandbox.descendants import children_of, kill_trees
from noether_runner.sandbox.watch import NotStartedError, Watch

_ATTEMPTS = 4
_PATIENCE_MS = 5000
_ZYGOTE_MODULE = "noether_runner.sandbox.zygote"
_CLEAN_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}


class Children:
    """All child processes of a runner's stage calls; `call` may be used from many threads."""

    def __init__(self, first: "ZygoteProcess") -> None:
        self._lock = threading.Lock()
        self._zygote = first
        self._own: set[int] = set()
        prctl.adopt_orphans()

    @classmethod
    def start(cls, *, clean_fork: bool) -> Self:
        """Start the zygote; it may still be on its way up when this returns.

        `clean_fork`: fork it from this process, which must be single-threaded and must not have
        seen any secret (a runner fresh from the nursery). Otherwise it is executed anew.
        """
        return cls(fork_zygote() if clean_fork else execute_zygote())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def call(self, call: ChildCall, cancellation: Cancellation) -> ChildResult:
        """Run one stage process to its end and say how it ended.

        Raises OSError when the runner has no descriptors or memory left for it, RunnerError when
        processes are killed before they start, again and again.
        """
        reason = ""
        for _ in range(_ATTEMPTS):
            current = self._zygote
            if call.confinement is not None and call.confinement.user is not None:
                current.load()
            with contextlib.closing(Watch(call, cancellation, current)) as watch:
                try:
                    result = watch.run()
                except NotStartedError as error:
                    reason = str(error)
                    if error.unresponsive or current.has_ended():
                        self._replace(current)
                    continue
                if result.abandoned_init is not None:
                    self._end_remains(current, result.abandoned_init)
                    result = watch.result_after_crash()
                return result
        raise RunnerError(
            ErrorCode.INTERNAL,
            f"no stage process could be started, {_ATTEMPTS} times in a row ({reason}); "
            "look for something on this machine that kills processes or for a limit on them",
        )

    def expect(self, calls: int) -> None:
        """So many calls are likely to follow, one after the other: a hint, so that some wait."""
        self._zygote.expect(calls)

    def leave_alone(self, pid: int) -> None:
        """Never take this child of the runner for what a stage left behind."""
        self._own.add(pid)

    def retire(self) -> None:
        """No call will follow: the zygote goes while the caller goes on; `close` waits for it."""
        with self._lock:
            self._zygote.let_go()

    def close(self) -> None:
        """End the zygote and whatever is left of stage calls."""
        with self._lock:
            self._zygote.end()
            self._kill_strays()
            prctl.adopt_orphans(adopting=False)

    def _replace(self, dead: "ZygoteProcess") -> None:
        """Execute a new zygote in place of `dead`, unless another thread has done so."""
        with self._lock:
            if self._zygote is dead:
                dead.kill()
                self._kill_strays()
                self._zygote = execute_zygote()

    def _end_remains(self, current: "ZygoteProcess", init_pid: int) -> None:
        """End what a killed stage-init left behind, by the zygote or, if it is dead, by us."""
        if not current.end_remains(init_pid):
            self._replace(current)

    def _kill_strays(self) -> None:
        """Kill what has come down to us since the zygote ended: nobody else will."""
        own_session = os.getsid(0)
        own = self._own | {self._zygote.pid}
        while strays := [
            pid
            for pid in children_of(os.getpid())
            if pid not in own and _session_of(pid) != own_session
        ]:
            kill_trees(strays)
            for pid in strays:
                if not _reap(pid):
                    own.add(pid)


class ZygoteProcess:
    """The runner's end of one zygote."""

    def __init__(self, pid: int, requests: socket.socket) -> None:
        self.pid = pid
        self._requests = requests
        self._reaped = False
        self._is_loaded = False
        requests.settimeout(_PATIENCE_MS / 1000)

    def start_stage(self, descriptors: list[int]) -> None:
        """Ask for a stage-init (`wire.START`); raises OSError when the zygote is dead."""
        socket.send_fds(self._requests, [wire.START], descriptors)

    def load(self) -> None:
        """Have what stages commonly import loaded: another user may not be able to read it."""
        if not self._is_loaded:
            self._is_loaded = True
            with contextlib.suppress(OSError):
                self._requests.send(wire.LOAD)

    def expect(self, calls: int) -> None:
        """Say that so many calls are likely (`wire.EXPECT`)."""
        with contextlib.suppress(OSError):
            # when it is dead, the first call finds out
            self._requests.send(wire.EXPECT + b"%d" % calls)

    def nudge(self) -> None:
        """Wake a zygote that a stage has stopped."""
        if not self._reaped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGCONT)

    def end_remains(self, init_pid: int) -> bool:
        """Have everything below a dead stage-init ended; False when the zygote cannot."""
        ours, theirs = os.pipe2(os.O_CLOEXEC)
        try:
            try:
                socket.send_fds(self._requests, [wire.END_REMAINS + b"%d" % init_pid], [theirs])
            except OSError:
                return False
            finally:
                os.close(theirs)
            self.nudge()
            poll = select.poll()
            poll.register(ours, select.POLLIN)
            acknowledged = bool(poll.poll(_PATIENCE_MS))
        finally:
            os.close(ours)
        return acknowledged and not self.has_ended()

    def let_go(self) -> None:
        """Tell it that nothing more will be asked; it ends by itself."""
        self._requests.close()

    def end(self) -> None:
        """Let it go in good order, which includes whatever it watches over."""
        self.let_go()
        self.nudge()
        if not self._reaped and not _reap(self.pid):
            self.kill()
        self._reaped = True

    def kill(self) -> None:
        """Make sure that it is gone."""
        self._requests.close()
        if not self._reaped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            _reap(self.pid)
        self._reaped = True

    def has_ended(self) -> bool:
        """Whether its end of the socket is closed."""
        poll = select.poll()
        poll.register(self._requests, select.POLLRDHUP)
        return bool(poll.poll(0))


def fork_zygote() -> ZygoteProcess:
    """A zygote forked from this process: warm, and as clean as this process is.

    What it loads is imported here and not above: a runner that executes its zygote needs none
    of it.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    from noether_runner.sandbox import zygote

    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            zygote.serve(theirs.detach())
        finally:
            os._exit(1)
    theirs.close()
    return ZygoteProcess(pid, ours)


def execute_zygote() -> ZygoteProcess:
    """A zygote in a fresh interpreter with an empty environment; comes up while we go on."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-m", _ZYGOTE_MODULE, str(wire.CONTROL)],
            _CLEAN_ENVIRONMENT,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), wire.CONTROL),
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, 2, 1),
            ],
            setsigmask=(),
            setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
        )
    return ZygoteProcess(pid, ours)


def _reap(pid: int) -> bool:
    """Wait for the end of a child, a few seconds at most; whether it has ended."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        if not poll.poll(_PATIENCE_MS):
            return False
    finally:
        os.close(pidfd)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
    return True


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0
