"""Real trees of processes; each test works in a child of its own, which is a sub-reaper."""

import json
import os
import subprocess
import sys

import pytest

from noether_runner.sandbox import descendants
from noether_runner.sandbox.descendants import children_of, descendants_of

TREE = """
import json, os, subprocess, sys, time
from noether_runner.sandbox import prctl
from noether_runner.sandbox.descendants import children_of, descendants_of, end_all
prctl.adopt_orphans()
ended = []
def sleeps(pid):
    try:
        return b"sleep\\0" in open(f"/proc/{pid}/cmdline", "rb").read()
    except OSError:
        return False
"""


def run(code: str) -> object:
    done = subprocess.run(
        [sys.executable, "-I", "-c", TREE + code], capture_output=True, check=True, timeout=60
    )
    return json.loads(done.stdout)


def test_everything_below_is_ended() -> None:
    code = (
        "subprocess.Popen(['sh', '-c', 'sleep 951 & sleep 952 & wait'])\n"
        "subprocess.Popen(['setsid', 'sh', '-c', '(sleep 953 &) ; sleep 954'])\n"
        "while sum(map(sleeps, descendants_of([os.getpid()]))) < 4: time.sleep(0.005)\n"
        "killed = end_all(lambda pid, status: ended.append(pid))\n"
        "print(json.dumps([killed >= 4, len(ended) >= 4, children_of(os.getpid())]))\n"
    )
    assert run(code) == [True, True, []]


def test_a_chain_that_forks_again_and_again() -> None:
    code = (
        "if os.fork() == 0:\n"
        "    for _ in range(300):\n"
        "        if os.fork():\n"
        "            os._exit(0)\n"
        "        os.setsid()\n"
        "    time.sleep(955)\n"
        "end_all(lambda pid, status: ended.append(pid))\n"
        "print(json.dumps(children_of(os.getpid())))\n"
    )
    assert run(code) == []


def test_nothing_below() -> None:
    assert run("print(json.dumps([end_all(lambda *_: None), descendants_of([])]))") == [0, []]


def test_a_process_that_is_gone() -> None:
    done = subprocess.Popen(["true"])
    done.wait()
    assert children_of(done.pid) == []
    assert descendants_of([done.pid]) == [done.pid]


def test_a_kernel_without_lists_of_children(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["sleep", "956"]) as child:
        me = os.getpid()
        quick = children_of(me)
        content = descendants._content

        def missing(path: str) -> bytes:
            if path.endswith("/children"):
                raise FileNotFoundError(path)
            return content(path)

        monkeypatch.setattr(descendants, "_content", missing)
        slow = children_of(me)
        child.kill()
    assert child.pid in quick
    assert set(quick) <= set(slow)
