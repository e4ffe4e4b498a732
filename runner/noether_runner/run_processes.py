"""Processes that a run has started beside its stages (`runtimes.md` §4.2, `stdlib.md` §10.4).

They outlive the stage that started them and end with the run, with everything below them. They
have an empty standard input, and write to the runner's standard error, which is the log of the
run. Each is the leader of a session of its own, so no signal meant for the runner reaches it.
"""

import os
import select
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from noether_contract.lean_dataclass import dataclass
from noether_contract.outcomes import ErrorClass, ErrorCode
from noether_runner.builtins.surroundings import CutShortError, NotYoursError, Program
from noether_runner.errors import StageError
from noether_runner.languages.verdict import number_text
from noether_runner.sandbox.cancellation import Cancellation
from noether_runner.sandbox.child import Children
from noether_runner.sandbox.descendants import kill_trees
from noether_runner.sandbox.stage_user import StageUser

if TYPE_CHECKING:
    import subprocess

_PROGRAMS: Final = (b"noether-scheduler", b"noether-run", b"noether-stage")
_MODULES: Final = (b"noether_runner", b"noether_supervisor")
_LOG: Final = 2
_LOOKS_AT_COMMAND: Final = 25
_BETWEEN_LOOKS_SECONDS: Final = 0.002


class RunProcesses:
    """All such processes of one run; leaving the context ends them.

    `user` is whom stages drop to: these processes do so as well, and signal no others but theirs.
    """

    def __init__(self, children: Children, user: StageUser | None = None) -> None:
        self._children = children
        self._user = user
        self._lock = threading.Lock()
        self._started: dict[int, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            running = [pid for pid, process in self._started.items() if process.poll() is None]
            kill_trees(running)
            for process in self._started.values():
                process.wait()
            self._started.clear()

    def for_call(self, cancellation: Cancellation, seconds: float) -> "CallProcesses":
        """The view of one stage call, which must end with its run and within its own limit."""
        return CallProcesses(self, cancellation, seconds)

    def start(self, program: Program) -> int:
        """See `Processes`."""
        import subprocess  # most runs start none

        with self._lock:
            process = subprocess.Popen(  # noqa: S603 - starting it is the purpose; no shell
                [program.command, *program.arguments],
                stdin=subprocess.DEVNULL,
                stdout=_LOG,
                stderr=_LOG,
                cwd=program.directory,
                env=dict(program.environment),
                start_new_session=True,
                user=None if self._user is None else self._user.user,
                group=None if self._user is None else self._user.group,
                extra_groups=None if self._user is None else self._user.groups,
            )
            self._children.leave_alone(process.pid)
            self._started[process.pid] = process
        return process.pid

    def has_ended(self, pid: int) -> bool:
        """Whether no such process runs any more; a child of ours that has ended is reaped."""
        with self._lock:
            own = self._started.get(pid)
            if own is not None:
                return own.poll() is not None
        return not _runs(pid)

    def may_signal(self, pid: int) -> bool:
        """Whether a stage may signal a process: not one of the scheduler's own."""
        with self._lock:
            if pid in self._started:
                return True
        if self._user is not None and _owner(pid) != self._user.user:
            return False
        return pid not in _ancestors() and not _runs_the_scheduler(pid)


@dataclass(frozen=True, slots=True)
class CallProcesses:
    """The `Processes` of one stage call."""

    run: RunProcesses
    cancellation: Cancellation
    limit_seconds: float

    def start(self, program: Program) -> int:
        """See `Processes`."""
        return self.run.start(program)

    def wait(self, pid: int, seconds: float) -> bool:
        """See `Processes`; at most as long as a stage may take."""
        asked, limit = time.monotonic() + seconds, time.monotonic() + self.limit_seconds
        if self.run.has_ended(pid):
            return True
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        try:
            ended = self._readable(pidfd, min(asked, limit))
        finally:
            os.close(pidfd)
        if ended:
            return True
        if limit < asked:
            raise stage_timed_out(self.limit_seconds)
        return False

    def _readable(self, pidfd: int, until: float) -> bool:
        """Whether the process ends in time; raises when the run has to stop before."""
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.register(self.cancellation.fileno(), select.POLLIN)
        deadline = self.cancellation.deadline
        last = until if deadline is None else min(until, deadline)
        found = dict(poll.poll(max(0.0, (last - time.monotonic()) * 1000)))
        if pidfd in found:
            return True
        if found or last < until:
            raise CutShortError
        return False

    def send(self, pid: int, signal_number: int) -> bool:
        """See `Processes`."""
        if not self.run.may_signal(pid):
            raise NotYoursError(pid)
        if self.run.has_ended(pid):
            return False
        try:
            os.kill(pid, signal_number)
        except (ProcessLookupError, PermissionError, OverflowError):
            return False
        return True


def stage_timed_out(seconds: float) -> StageError:
    """The failure of a stage in the runner that took longer than stages may."""
    return StageError(
        ErrorClass.TIMEOUT,
        f"timed out after {number_text(seconds)}s",
        code=ErrorCode.STAGE_TIMED_OUT,
    )


def _runs(pid: int) -> bool:
    """Whether a process is there and has not ended; a zombie of whoever has ended."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return False
    return after_name[0] not in (b"Z", b"X")


def _owner(pid: int) -> int | None:
    """Whose a process is; None when there is none of this number."""
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return None


def _ancestors() -> set[int]:
    """This process and those above it, up to the first of the machine."""
    found: set[int] = set()
    pid = os.getpid()
    while pid > 0 and pid not in found:
        found.add(pid)
        try:
            after_name = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            break
        pid = int(after_name[1])
    return found


def _command(pid: int) -> bytes:
    """The command line of a process; it has none for the moment in which it becomes a program."""
    for _ in range(_LOOKS_AT_COMMAND):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            break
        if command or not _runs(pid):
            return command
        time.sleep(_BETWEEN_LOOKS_SECONDS)
    return b""


def _runs_the_scheduler(pid: int) -> bool:
    """Whether the command line is that of one of our programs, or of a fork of one."""
    words = _command(pid).split(b"\0")
    module = words[words.index(b"-m") + 1 :][:1] if b"-m" in words else []
    names = [word.rpartition(b"/")[2] for word in words[:2]]
    return any(name in _PROGRAMS for name in names) or any(
        name.startswith(_MODULES) for name in module
    )
