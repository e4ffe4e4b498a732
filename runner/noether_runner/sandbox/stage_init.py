"""The parent of exactly one stage: starts it, ends it with all below it, and reports.

Standard library only; runs in a process that the zygote has just forked, single-threaded. It is
a sub-reaper, so whatever the stage starts stays below it, and it leaves only when nothing of the
stage is left. The end of its control socket means that the runner is gone.

Code between two forks is kept small on purpose: each page it touches is copied.
"""

import contextlib
import os
import resource
import select
import signal
import socket
import time
import traceback
from typing import NoReturn

from noether_runner.sandbox import prctl, wire
from noether_runner.sandbox.descendants import children_of, end_all, kill_trees, reap_ended
from noether_runner.sandbox.stage_process import become_stage

_LEAVE_SANDBOX_SECONDS = 1.0
"""How long a sandbox may take to go once its stage is dead."""

_REAP_ORPHANS_MS = 10_000
"""How long the zombie of an orphan may stay; nothing else tells us about it."""


def run_stage_init(zygote: int) -> NoReturn:
    """Be the stage-init of one stage call, which may come later; never returns.

    Descriptor `wire.CONTROL` brings the `S` packet, or ends when there will be none; no other
    descriptor but the standard three is open.
    """
    try:
        os.setsid()
        prctl.adopt_orphans()
        if prctl.die_with_parent(zygote):
            StageInit().run(socket.socket(fileno=wire.CONTROL))
        os._exit(0)
    except BaseException:
        # told on the runner's standard error; a forked process must not unwind
        traceback.print_exc()
    finally:
        os._exit(1)


class StageInit:
    """One stage process and what is known of its end."""

    def __init__(self) -> None:
        self._control = -1
        self._stage = 0
        self._status = -1
        self._kill_at: float | None = None
        self._in_sandbox = False
        self._killed_in_sandbox = 0

    def run(self, orders: socket.socket) -> None:
        """Start the stage, wait for its end or for a word of the runner, clear up, report.

        The stage's process is forked before its call comes: that is most of what a call costs.
        """
        own_pid = os.getpid()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        obstacle = ""
        try:
            self._stage = os.fork()
        except OSError as error:
            obstacle = f"cannot fork: {error}"
        else:
            if self._stage == 0:
                become_stage(theirs, own_pid)
        theirs.close()
        _, descriptors, _, _ = socket.recv_fds(orders, 1, wire.MOST_START_DESCRIPTORS)
        if not descriptors or not (reap_ended(self._reaped) or obstacle):
            # nothing to do, or somebody has killed the waiting stage: the call is made again
            end_all(self._reaped)
            return
        self._control = descriptors.pop(wire.START_CONTROL)
        self._in_sandbox = len(descriptors) > wire.STAGE_DESCRIPTORS
        if obstacle:
            self._tell(b"%s %s" % (wire.FAILED, obstacle.encode()))
            return
        if not self._tell(b"%s %d" % (wire.STARTED, own_pid)):
            end_all(self._reaped)
            return
        socket.send_fds(ours, [wire.START], descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        self._wait()
        self._report(end_all(self._reaped))

    def _wait(self) -> None:
        """Return once the stage has ended by itself or has to be killed."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(os.pidfd_open(self._stage), select.POLLIN)
        while reap_ended(self._reaped) and self._status < 0:
            for descriptor, _ in poll.poll(self._patience_ms()):
                if descriptor == self._control and not self._obey():
                    return
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                return

    def _obey(self) -> bool:
        """Do what the runner says; False when the stage has to be killed now."""
        try:
            word = os.read(self._control, wire.MAX_PACKET)
        except ConnectionResetError:
            # the runner died before it had read that the stage has started
            word = b""
        if self._in_sandbox and word:
            return self._obey_in_sandbox(word)
        if word[:1] != wire.TERMINATE:
            return False
        self._kill_at = time.monotonic() + int(word[1:]) / 1000
        try:
            os.killpg(self._stage, signal.SIGTERM)
        except ProcessLookupError:
            # it has not reached its own group yet; nothing of the user's can be running
            return False
        return True

    def _obey_in_sandbox(self, word: bytes) -> bool:
        """The same for a stage behind bubblewrap, which would take the whole sandbox with it.

        Only the stage and what it left are ended; the stage-init inside then reports and leaves.
        """
        stages = self._stages_in_sandbox()
        if not stages:
            return False
        if word[:1] == wire.TERMINATE:
            self._kill_at = time.monotonic() + int(word[1:]) / 1000
            for pid in stages:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGTERM)
        else:
            self._kill_at = time.monotonic() + _LEAVE_SANDBOX_SECONDS
            self._killed_in_sandbox += len(kill_trees(stages))
        return True

    def _stages_in_sandbox(self) -> list[int]:
        """What the stage-init inside has below it: it is a child of the sandbox's first process."""
        below = [self._stage]
        for _ in range(3):
            below = [child for pid in below for child in children_of(pid)]
        return below

    def _patience_ms(self) -> float:
        if self._kill_at is None:
            return _REAP_ORPHANS_MS
        return max(0.0, (self._kill_at - time.monotonic()) * 1000)

    def _reaped(self, pid: int, status: int) -> None:
        if pid == self._stage:
            self._status = status

    def _report(self, killed: int) -> None:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = int((usage.ru_utime + usage.ru_stime) * 1_000_000)
        if self._in_sandbox:
            # what else was there belonged to the sandbox
            killed = self._killed_in_sandbox
        facts = (wire.ENDED, self._status, killed, cpu, usage.ru_maxrss)
        self._tell(b"%s %d %d %d %d" % facts)

    def _tell(self, word: bytes) -> bool:
        """Say something to the runner; False when it is gone and nobody waits for it."""
        try:
            os.write(self._control, word)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True
