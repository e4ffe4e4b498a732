"""Processes of this machine: facts, children, waiting, and the kill of whole trees."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from noether_supervisor.runs import process
from noether_supervisor.runs.process import (
    Subreaper,
    children_of,
    descendants_of,
    facts_of,
    gone,
    is_below,
    kill_tree,
    reap,
)

# A child, its child, and so on; the deepest says so and all wait.
CHAIN = """
import os, sys, time
for _ in range(3):
    if os.fork():
        time.sleep(60)
os.write(1, b"!")
time.sleep(60)
"""

# Two daemons in sessions of their own, orphans once this one has ended.
DAEMONS = """
import os, time
for _ in range(2):
    if os.fork() == 0:
        os.setsid()
        os.write(1, b"!")
        time.sleep(60)
"""


def test_facts_of_this_process() -> None:
    facts = facts_of(os.getpid())
    assert facts is not None
    assert facts.parent == os.getppid()
    assert facts.session == os.getsid(0)
    assert facts.state == "R"
    assert facts.start_ticks > 0


def test_facts_of_a_process_with_an_awkward_name(tmp_path: Path) -> None:
    program = tmp_path / ") R 1 (x"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "60"]) as child:
        facts = facts_of(child.pid)
        child.kill()
    assert facts is not None
    assert facts.parent == os.getpid()


def test_no_facts_of_nobody() -> None:
    assert facts_of(2**22 - 1) is None
    assert children_of(2**22 - 1) == set()


@pytest.mark.parametrize("listed", [True, False])
def test_descendants_and_their_end(listed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_kernel_lists_children", lambda: listed)
    with subprocess.Popen([sys.executable, "-c", CHAIN], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.read(1)
        below = descendants_of(child.pid)
        assert len(below) == 3
        assert below[0] in children_of(child.pid)
        pidfd = os.pidfd_open(child.pid)
        kill_tree(child.pid, pidfd)
        os.close(pidfd)
        # The pipe ends when the last of them is gone.
        assert child.stdout.read() == b""


def test_exit_of_a_child_through_its_descriptor() -> None:
    async def check() -> None:
        child = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
        pidfd = os.pidfd_open(child.pid)
        assert await gone(pidfd)
        assert reap(pidfd) == 3
        assert reap(pidfd) is None
        os.close(pidfd)
        child.wait()

    asyncio.run(check())


def test_end_that_does_not_come() -> None:
    async def check() -> None:
        pidfd = os.pidfd_open(os.getpid())
        assert not await gone(pidfd, 0.01)
        os.close(pidfd)

    asyncio.run(check())


def test_strays_are_told_from_plain_children() -> None:
    async def check() -> None:
        subreaper = Subreaper()
        subreaper.open()
        plain = subprocess.Popen(["/bin/sleep", "60"])
        known = subprocess.Popen(["/bin/sleep", "60"], start_new_session=True)
        subreaper.know(known.pid)
        with subprocess.Popen([sys.executable, "-c", DAEMONS], stdout=subprocess.PIPE) as parent:
            assert parent.stdout is not None
            assert parent.stdout.read(2) == b"!!"
            parent.wait()
            before = children_of(os.getpid()) - {plain.pid, known.pid}
            assert len(before) == 2
            await subreaper.sweep()
            assert parent.stdout.read() == b""
        assert children_of(os.getpid()) == {plain.pid, known.pid}
        subreaper.forget(known.pid)
        await subreaper.sweep()
        assert children_of(os.getpid()) == {plain.pid}
        plain.kill()
        plain.wait()
        known.wait()
        subreaper.close()

    asyncio.run(check())


def test_who_is_below_whom() -> None:
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as child:
        assert is_below(child.pid, os.getpid())
        assert is_below(child.pid, os.getppid())
        assert not is_below(os.getpid(), child.pid)
        child.kill()
    assert not is_below(os.getpid(), os.getpid())
    assert not is_below(0, os.getpid())
    assert is_below(2**22 - 1, os.getpid())
