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

PRELOADED = (
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
    "noether_runner.languages.children.python_stage",
)
"""What stages commonly import, and the bootstrap of Python stages: loaded once, shared by all."""

_STRAY_CHECK_MS = 20
_PATIENCE_SECONDS = 5.0


def preload() -> None:
    """Import what stages need; whoever is going to fork zygotes does it beforehand."""
    for name in PRELOADED:
        importlib.import_module(name)


def serve(control: int) -> NoReturn:
    """Be the zygote of the runner at the other end of the socket `control`; never returns.

    Takes the calling process over: every other descriptor is closed, standard output becomes
    standard error. Call it in a process of its own.
    """
    try:
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
        self._waiting: socket.socket | None = None
        self._calls = 0
        self._poll = select.poll()
        self._poll.register(runner, select.POLLIN)

    def run(self) -> None:
        """Serve until the runner is gone and nothing of any stage is left."""
        with contextlib.suppress(OSError):
            self._waiting = self._fork_stage_init()
        strays = False
        while True:
            for descriptor, _ in self._poll.poll(_STRAY_CHECK_MS if strays else None):
                if descriptor == wire.CONTROL and not self._serve_request():
                    self._finish()
                    return
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
        elif packet[:1] == wire.END_REMAINS:
            pid = int(packet[1:])
            self._remains.setdefault(pid, []).extend(descriptors)
            if pid in self._inits:
                kill_trees([pid])
        return True

    def _start(self, descriptors: list[int]) -> None:
        """Hand a call to the stage-init that waits, or to a new one; have another one wait.

        A run of a single call, the most common one, finds its stage-init waiting and is not made
        to pay for a second; from the second call on it is worth it.
        """
        waiting, self._waiting = self._waiting, None
        try:
            if waiting is None or not _hand_over(waiting, descriptors):
                _hand_over(self._fork_stage_init(), descriptors)
            if self._calls:
                self._waiting = self._fork_stage_init()
        except OSError as error:
            why = b"%s cannot fork: %s" % (wire.FAILED, str(error).encode())
            with contextlib.suppress(OSError):
                os.write(descriptors[wire.START_CONTROL], why)
        self._calls += 1

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
        if self._waiting is not None:
            self._waiting.close()
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
    preload()
    gc.collect()
    serve(int(sys.argv[1]))
