"""The zygote of a runner: a small, warm interpreter that forks a stage-init on request.

Standard library only, single-threaded, without secrets: it is forked off (or executed with an
empty environment) before the runner knows any. It runs no user code and never looks into an
order. It is a sub-reaper: what a stage leaves behind after killing its stage-init becomes a
child of the zygote, is recognised as unknown, and killed.

Run as `python -I -m noether_runner.sandbox.zygote <descriptor>`; the protocol is in `wire.py`.
"""

import contextlib
import gc
import importlib
import os
import select
import socket
import sys
import time
import traceback
from typing import NoReturn

from noether_runner.sandbox import prctl, wire
from noether_runner.sandbox.descendants import children_of, kill_trees, reap_ended
from noether_runner.sandbox.stage_init import run_stage_init
from noether_runner.sandbox.takeover import take_over

BOOTSTRAP = "noether_runner.languages.children.python_stage"
"""What every Python stage begins with."""

COMMON = (
    "base64",
    "collections",
    "contextlib",
    "csv",
    "dataclasses",
    "datetime",
    "functools",
    "hashlib",
    "itertools",
    "json",
    "logging",
    "pathlib",
    "random",
    "re",
    "shutil",
    "subprocess",
    "tempfile",
    "threading",
    "traceback",
    "typing",
    "urllib.request",
)
"""What stages commonly import.

Loading it takes as long as half the start of a runner by hand, so a zygote that begins without
does it once a second call shows that it is worth it.
"""

MOST_WAITING = 2
"""Stage-inits, each with the process of its stage, that are forked ahead of expected calls."""

_STRAY_CHECK_MS = 20
_PATIENCE_SECONDS = 5.0


def preload() -> None:
    """Import what stages need; whoever is going to fork many zygotes does it beforehand."""
    for name in (BOOTSTRAP, *COMMON):
        importlib.import_module(name)


def serve(control: int) -> NoReturn:
    """Be the zygote of the runner at the other end of the socket `control`; never returns.

    Takes the calling process over: every other descriptor is closed, standard output becomes
    standard error. Call it in a process of its own.
    """
    try:
        importlib.import_module(BOOTSTRAP)
        take_over(control)
        prctl.adopt_orphans()
        prctl.hide_from_peers()
        gc.disable()
        gc.freeze()
        Zygote(socket.socket(fileno=wire.CONTROL)).run()
        os._exit(0)
    except BaseException:
        # told on the runner's standard error; a forked process must not unwind
        traceback.print_exc()
    finally:
        os._exit(1)


class Zygote:
    """The forking loop: requests in, stage-inits out, strays killed."""

    def __init__(self, runner: socket.socket) -> None:
        self._runner = runner
        self._pid = os.getpid()
        self._inits: dict[int, int] = {}
        """Stage-inits that were not reaped yet, and a pidfd of each."""
        self._remains: dict[int, list[int]] = {}
        """Acknowledgement descriptors by the stage-init whose remains have to be ended."""
        self._waiting: list[socket.socket] = []
        self._expected = 1
        """Calls that are likely in all."""
        self._cannot_fork_after = -1
        self._calls = 0
        self._unloaded: list[str] = []
        self._poll = select.poll()
        self._poll.register(runner, select.POLLIN)

    def run(self) -> None:
        """Serve until the runner is gone and nothing of any stage is left."""
        with contextlib.suppress(OSError):
            self._waiting.append(self._fork_stage_init())
        strays = False
        while True:
            is_idle_useful = self._unloaded or self._wants_one_waiting
            patience = 0 if is_idle_useful else _STRAY_CHECK_MS if strays else None
            found = self._poll.poll(patience)
            for descriptor, _ in found:
                if descriptor == wire.CONTROL and not self._serve_request():
                    self._finish()
                    return
            if not found and self._wants_one_waiting:
                self._fork_ahead()
            elif not found and self._unloaded:
                importlib.import_module(self._unloaded.pop(0))
            strays = self._reap()

    def _serve_request(self) -> bool:
        """Carry out one request of the runner; False when the runner is gone."""
        packet, descriptors, _, _ = socket.recv_fds(
            self._runner, wire.MAX_PACKET, wire.MOST_START_DESCRIPTORS
        )
        if not packet:
            return False
        if packet[:1] == wire.START:
            self._start(descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
        elif packet[:1] == wire.EXPECT:
            self._expected = int(packet[1:])
        elif packet[:1] == wire.LOAD:
            self._load()
        elif packet[:1] == wire.END_REMAINS:
            pid = int(packet[1:])
            self._remains.setdefault(pid, []).extend(descriptors)
            if pid in self._inits:
                kill_trees([pid])
        return True

    def _start(self, descriptors: list[int]) -> None:
        """Hand a call to a stage-init that waits, or to a new one.

        A run of a single call, the most common one, finds its stage-init waiting and is not made
        to pay for a second; from the second call on it is worth it.
        """
        try:
            while self._waiting:
                if _hand_over(self._waiting.pop(0), descriptors):
                    break
            else:
                _hand_over(self._fork_stage_init(), descriptors)
        except OSError as error:
            why = b"%s cannot fork: %s" % (wire.FAILED, str(error).encode())
            with contextlib.suppress(OSError):
                os.write(descriptors[wire.START_CONTROL], why)
        self._calls += 1
        if self._calls > 1 and self._to_come:
            self._unloaded = [name for name in COMMON if name not in sys.modules]
            self._fork_ahead()

    def _load(self) -> None:
        """Have everything loaded, in whoever waits too."""
        if any(name not in sys.modules for name in COMMON):
            preload()
            for waiting in self._waiting:
                waiting.close()
            self._waiting.clear()
            self._unloaded.clear()

    @property
    def _to_come(self) -> int:
        """Calls that are still expected; beyond those that were, there may always be one more."""
        left = self._expected - self._calls
        return 1 if left < 0 else left

    @property
    def _wants_one_waiting(self) -> bool:
        if self._cannot_fork_after == self._calls:
            return False
        return len(self._waiting) < min(MOST_WAITING, self._to_come)

    def _fork_ahead(self) -> None:
        """Have one more stage-init wait, if one is wanted."""
        if self._wants_one_waiting:
            try:
                self._waiting.append(self._fork_stage_init())
            except OSError:
                # told to the call that needs one
                self._cannot_fork_after = self._calls

    def _fork_stage_init(self) -> socket.socket:
        """The zygote's end of a new stage-init's socket; raises OSError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            pid = os.fork()
            if pid == 0:
                try:
                    # everything else that is open belongs to the zygote or to other calls
                    os.dup2(theirs.fileno(), wire.CONTROL)
                    os.closerange(wire.CONTROL + 1, wire.RESULT)
                    run_stage_init(self._pid)
                finally:
                    os._exit(1)
        self._inits[pid] = os.pidfd_open(pid)
        self._poll.register(self._inits[pid], select.POLLIN)
        return ours

    def _reap(self) -> bool:
        """Reap what has ended and kill strays; whether strays may still be there."""
        crashed = False

        def note(pid: int, status: int) -> None:
            nonlocal crashed
            crashed |= pid not in self._inits or status != 0
            self._forget(pid)

        reap_ended(note)
        if not (crashed or self._remains):
            return False
        strays = [pid for pid in children_of(self._pid) if pid not in self._inits]
        kill_trees(strays)
        if strays:
            return True
        for pid in [pid for pid in self._remains if pid not in self._inits]:
            for acknowledgement in self._remains.pop(pid):
                os.close(acknowledgement)
        return False

    def _forget(self, pid: int) -> None:
        pidfd = self._inits.pop(pid, None)
        if pidfd is not None:
            self._poll.unregister(pidfd)
            os.close(pidfd)

    def _finish(self) -> None:
        """The runner is gone: every stage-init sees that by itself; help the ones that cannot."""
        self._poll.unregister(self._runner)
        for waiting in self._waiting:
            waiting.close()
        until = time.monotonic() + _PATIENCE_SECONDS
        while reap_ended(lambda pid, _: self._forget(pid)):
            late = time.monotonic() >= until
            kill_trees(pid for pid in children_of(self._pid) if late or pid not in self._inits)
            self._poll.poll(_STRAY_CHECK_MS)


def _hand_over(stage_init: socket.socket, descriptors: list[int]) -> bool:
    """Give a call to a stage-init; False when it is dead (a stage may kill what it likes)."""
    with stage_init:
        try:
            socket.send_fds(stage_init, [wire.START], descriptors)
        except OSError:
            return False
    return True


if __name__ == "__main__":
    gc.disable()
    serve(int(sys.argv[1]))
