"""What a dead service left is found by the mark in its command line, stopped or not."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from noether_supervisor.runs.launcher import Programs
from noether_supervisor.runs.leftovers import carrying, end_leftovers, marked

FORKS_AND_WAITS = """
import os, signal
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    os.setsid()
    print(os.getpid(), flush=True)
signal.pause()
"""


@contextmanager
def leftover(mark: str) -> Iterator["tuple[subprocess.Popen[bytes], int]"]:
    """A marked process that has forked another one, and the pid of that one."""
    command = marked((sys.executable, "-I", "-c", FORKS_AND_WAITS), mark)
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process:
        yield process, int(process.stdout.readline())
        process.kill()


def test_processes_that_carry_the_mark_are_killed_and_no_others() -> None:
    with leftover("here") as (process, child), leftover("there") as (other, _):
        for pid in (process.pid, child):
            os.kill(pid, signal.SIGSTOP)
        assert {found.pid for found in carrying("here")} == {process.pid, child}
        assert end_leftovers("here", patience_seconds=0.01) >= 1
        assert process.wait(30) == -signal.SIGKILL
        assert list(carrying("here")) == []
        assert other.poll() is None
        assert end_leftovers("there", patience_seconds=0) >= 1
    assert end_leftovers("here") == 0


def test_nursery_and_runners_of_a_service_carry_it() -> None:
    programs = Programs().marked("1-2")
    assert programs.nursery is not None
    for command in (programs.runner, programs.nursery):
        assert command[:3] == (sys.executable, "-X", "noether_state=1-2")
    assert Programs(nursery=None).marked("1-2").nursery is None


def test_whoever_only_has_to_be_woken_ends_by_itself() -> None:
    ends = "import os, signal; os.kill(os.getpid(), signal.SIGSTOP); print('tidied up')"
    command = marked((sys.executable, "-I", "-c", ends), "here")
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        assert end_leftovers("here", patience_seconds=30) == 0
        assert process.communicate()[0] == b"tidied up\n"
