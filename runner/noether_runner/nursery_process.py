"""The nursery: one single-threaded Python that forks a runner per run, so no run pays for imports.

Started by exec with a clean environment as `python -I -m noether_runner.nursery_process`, with
one end of a SOCK_SEQPACKET socket pair as descriptor 0, and `--groups=FOLDER` where runs have
cgroups (`noether_contract/run_groups.py`). Each message is one JSON object:

    supervisor -> nursery   {"start": N}, with the runner's descriptors 0, 1 and 2 (SCM_RIGHTS)
    nursery -> supervisor   {"ready": PID}                       once: the imports are done
                            {"started": N, "pid": P, "start_ticks": T}, with a pidfd of the runner
                            {"failed": N, "reason": TEXT}        no runner could be forked
                            {"ended": N, "exit_code": C}         C is negative for a signal

`ended` is sent when the runner was reaped and everything it left behind is gone: the nursery is
a sub-reaper, and a child that is neither runner nor spare is a stray of a dead runner, killed at
once. When the socket ends, the supervisor is gone: everything below is killed, and the nursery
exits. It runs no user code and never sees a request: that goes through the runner's own stdin.

A spare is a runner forked ahead of need, its own zygote forked too, that waits for descriptors.
"""

import contextlib
import functools
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeAlias

from noether_contract.lean_dataclass import dataclass
from noether_contract.run_groups import enter_own_group, folder_in, remove_group
from noether_runner.nursery_messages import receive, take_descriptors
from noether_runner.sandbox import prctl
from noether_runner.sandbox.descendants import children_of, kill_trees, reap_ended, start_ticks

if TYPE_CHECKING:
    from noether_runner.rehearsal import Rehearsal
    from noether_runner.sandbox.child import Children

SPARES = 2
"""Runners kept forked ahead of need."""

_LOADED_BY_EVERY_RUN = (
    "noether_runner.channel",
    "noether_runner.contract",
    "noether_runner.stores.registry",
    # canonical JSON sorts by UTF-16; codecs are found by import when they are first used
    "encodings.utf_16_be",
)
_IDLE_BEFORE_FORKING_MS = 50
"""Long enough for a run of a few stages to have both processors to itself."""
_STRAY_PATIENCE_SECONDS = 1.0


class RunContract(Protocol):
    """What a forked runner does: `noether_runner.cli.run_contract`; returns its exit code."""

    def __call__(self, *, stdin_fd: int, stdout_fd: int, children: "Children") -> int:
        """Reads one request, runs it, reports."""
        ...


StartChildren: TypeAlias = Callable[[], "Children"]
"""Forks the zygote of a runner, in the runner."""


@dataclass(frozen=True, slots=True)
class Spare:
    """A forked runner that waits on `line` for its descriptors."""

    pid: int
    pidfd: int
    line: socket.socket

    def close(self) -> None:
        """Closes our ends; a runner that got no descriptors yet then ends."""
        self.line.close()
        os.close(self.pidfd)


def main(
    run_contract: RunContract | None = None, start_children: StartChildren | None = None
) -> int:
    """Serves the supervisor on descriptor 0 until it is gone; tests give a runner of their own."""
    rehearsal = None if run_contract is not None else _rehearsal()
    prctl.hide_from_peers()
    prctl.adopt_orphans()
    line = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    run_contract = run_contract or _runner()
    start_children = start_children or _zygotes()
    # Its life is that of the socket: a signal to the whole group is meant for the runners.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        if rehearsal is not None:
            rehearsal.rehearse()
        gc.collect()
        gc.freeze()
        Nursery(line, run_contract, start_children, rehearsal).serve()
    finally:
        if rehearsal is not None:
            rehearsal.close()
    return 0


class Nursery:
    """Forks, hands over, reaps; the loop of the nursery's only thread."""

    def __init__(
        self,
        line: socket.socket,
        run_contract: RunContract,
        start_children: StartChildren,
        rehearsal: "Rehearsal | None",
    ) -> None:
        self._rehearsal = rehearsal
        self._line = line
        self._run_contract = run_contract
        self._start_children = start_children
        self._groups = folder_in(sys.argv)
        self._runs: dict[int, int] = {}
        self._spares: list[Spare] = []
        # A spare that fails is not replaced before the next run shows whether it was chance.
        self._discouraged = False
        self._deaths, deaths_in = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(deaths_in, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _wake_up)

    def serve(self) -> None:
        """Until the supervisor is gone; nothing is left below when this returns."""
        ready = select.poll()
        ready.register(self._line, select.POLLIN)
        ready.register(self._deaths, select.POLLIN)
        try:
            self._tell({"ready": os.getpid()})
            while True:
                wants_spare = len(self._spares) < SPARES and not self._discouraged
                found = ready.poll(_IDLE_BEFORE_FORKING_MS if wants_spare else None)
                events = dict(found)
                if self._deaths in events:
                    self._bury()
                if self._line.fileno() in events and not self._answer():
                    return
                if not events:
                    self._fork_ahead()
        except (BrokenPipeError, ConnectionResetError):
            return
        finally:
            self._end_all()

    def _answer(self) -> bool:
        message, descriptors = receive(self._line)
        if not message:
            return False
        number = int(json.loads(message)["start"])
        try:
            self._discouraged = False
            runner = self._hand_over(descriptors)
        except OSError as error:
            self._tell({"failed": number, "reason": f"cannot fork a runner: {error.strerror}"})
            return True
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        self._runs[runner.pid] = number
        ticks = start_ticks(runner.pid)
        self._tell({"started": number, "pid": runner.pid, "start_ticks": ticks}, runner.pidfd)
        runner.close()
        return True

    def _hand_over(self, descriptors: list[int]) -> Spare:
        while self._spares:
            spare = self._spares.pop(0)
            try:
                socket.send_fds(spare.line, [b"run"], descriptors)
            except OSError:
                # It died in the meantime and will be reaped as nobody's runner.
                spare.close()
                continue
            return spare
        fresh = self._fork()
        try:
            socket.send_fds(fresh.line, [b"run"], descriptors)
        except OSError:
            fresh.close()
            raise
        return fresh

    def _fork_ahead(self) -> None:
        try:
            self._spares.append(self._fork(self._rehearsal))
        except OSError:
            self._discouraged = True

    def _fork(self, rehearsal: "Rehearsal | None" = None) -> Spare:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                pid = os.fork()
            except OSError:
                ours.close()
                raise
            if pid == 0:
                self._live_as_runner(theirs, rehearsal)
        return Spare(pid, os.pidfd_open(pid), ours)

    def _live_as_runner(self, line: socket.socket, rehearsal: "Rehearsal | None") -> NoReturn:
        code = 1
        try:
            self._leave_nursery(line)
            enter_own_group(self._groups)
            children = self._start_children()
            if rehearsal is not None:
                rehearsal.rehearse()
            # Without descriptors the nursery is gone; the zygote then sees the end of this process.
            if take_descriptors(line):
                code = self._run_contract(stdin_fd=0, stdout_fd=1, children=children)
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            # A child that came back from here would go on as a second nursery.
            with contextlib.suppress(Exception):
                sys.stderr.flush()
            os._exit(code)

    def _leave_nursery(self, line: socket.socket) -> None:
        os.setsid()
        prctl.adopt_orphans()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # The sockets of the nursery are closed by number; their objects, which the frames above
        # keep alive until the end, never get to close what these numbers mean later.
        kept = line.fileno()
        os.closerange(3, kept)
        os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))

    def _bury(self) -> None:
        """Reaps what died; what a dead runner left is gone before its end is told."""
        ended: list[tuple[int, int]] = []
        patience_ends = time.monotonic() + _STRAY_PATIENCE_SECONDS
        while True:
            self._hush()
            self._reap(ended)
            known = self._runs.keys() | {spare.pid for spare in self._spares}
            strays = [pid for pid in children_of(os.getpid()) if pid not in known]
            if not strays or time.monotonic() > patience_ends:
                break
            kill_trees(strays)
            select.select([self._deaths], [], [], 0.05)
        for number, exit_code in ended:
            self._tell({"ended": number, "exit_code": exit_code})

    def _reap(self, ended: list[tuple[int, int]]) -> bool:
        """Takes note of every child that died; False when there is none left at all."""

        def note(pid: int, status: int) -> None:
            number = self._runs.pop(pid, None)
            if number is not None:
                ended.append((number, os.waitstatus_to_exitcode(status)))
            else:
                remove_group(self._groups, pid)
            for spare in [spare for spare in self._spares if spare.pid == pid]:
                self._discouraged = True
                self._spares.remove(spare)
                spare.close()

        return reap_ended(note)

    def _hush(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._deaths, 512):
                pass

    def _end_all(self) -> None:
        while self._reap([]):
            kill_trees(children_of(os.getpid()))
            select.select([self._deaths], [], [], 0.05)
            self._hush()

    def _tell(self, message: dict[str, Any], *descriptors: int) -> None:
        socket.send_fds(self._line, [json.dumps(message).encode()], descriptors)


def _runner() -> RunContract:
    from noether_runner.cli import run_contract
    from noether_runner.stores.builtin import BuiltinStore

    for name in _LOADED_BY_EVERY_RUN:
        importlib.import_module(name)
    # reads the standard library's records, once for all runs
    BuiltinStore().with_id("")
    return run_contract


def _rehearsal() -> "Rehearsal":
    from noether_runner.rehearsal import Rehearsal

    return Rehearsal()


def _zygotes() -> StartChildren:
    from noether_runner.sandbox import zygote
    from noether_runner.sandbox.child import Children

    zygote.preload()
    return functools.partial(Children.start, clean_fork=True)


def _wake_up(_number: int, _frame: object) -> None:
    """A handler must exist for the wake-up descriptor to be written to."""


if __name__ == "__main__":
    sys.exit(main())
