"""A sandbox ends with whoever started it, and everything in it ends with the sandbox."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness_calls import HARNESS, LIMIT_SECONDS, call, command_of, no_process_left
from noether_runner.sandbox.descendants import descendants_of
from sandbox_backends import need_backend, open_to_everybody

DAEMON = (
    "import os, subprocess, time\n"
    "def execute(input):\n"
    "    subprocess.Popen(['setsid', 'sleep', '961'])\n"
    "    if os.fork() == 0:\n"
    "        os.setsid()\n"
    "        if os.fork() == 0:\n"
    "            time.sleep(962)\n"
    "        os._exit(0)\n"
    "    open(input, 'w').close()\n"
    "    time.sleep(963)\n"
)
"""Leaves a program and a double fork in sessions of their own, tells, and waits."""


def with_stage_running(tmp_path: Path, then: Callable[[int], None]) -> dict[str, object] | None:
    """Runs `DAEMON` in a sandbox and calls `then` with the runner's id once it is all there.

    What the runner answered, None when it was killed before it could.
    """
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    open_to_everybody(tmp_path)
    fifo.chmod(0o666)
    declared = [{"effect": "FsWrite", "path": str(fifo)}]
    case = {"calls": [call(DAEMON, str(fifo), isolation="bwrap", effects=declared)]}
    case["calls"][0]["timeout_ms"] = LIMIT_SECONDS * 1000
    runner = subprocess.Popen(
        [sys.executable, "-I", str(HARNESS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # what a killed runner cannot remove goes with the test's own folder
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert runner.stdin is not None
    runner.stdin.write(json.dumps(case).encode())
    runner.stdin.close()
    runner.stdin = None
    # returns when the stage has opened its end
    fifo.read_bytes()
    then(runner.pid)
    told, _ = runner.communicate(timeout=LIMIT_SECONDS)
    return json.loads(told)["results"][0] if told else None


def launchers(runner: int) -> list[int]:
    """The processes of bubblewrap below the runner, the outer one first."""
    below = descendants_of([runner])[1:]
    return [pid for pid in below if command_of(pid).startswith("/usr/bin/bwrap ")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_launcher_of_the_sandbox_is_killed(tmp_path: Path, number: int) -> None:
    need_backend("bwrap")
    seen: list[int] = []

    def kill(runner: int) -> None:
        seen.extend(launchers(runner))
        os.kill(seen[0], number)

    with no_process_left():
        result = with_stage_running(tmp_path, kill)
    assert len(seen) == 2
    assert result is not None
    assert result["error_class"] == "crashed"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_runner_is_killed(tmp_path: Path, number: int) -> None:
    """The harness ends at once on either: nobody is left to clear up but those below."""
    need_backend("bwrap")
    with no_process_left():
        result = with_stage_running(tmp_path, lambda runner: os.kill(runner, number))
    assert result is None


def test_the_stage_init_outside_is_killed(tmp_path: Path) -> None:
    need_backend("bwrap")

    def kill(runner: int) -> None:
        launcher = launchers(runner)[0]
        status = Path(f"/proc/{launcher}/stat").read_text().rpartition(")")[2].split()
        os.kill(int(status[1]), signal.SIGKILL)

    with no_process_left():
        result = with_stage_running(tmp_path, kill)
    assert result is not None
    assert result["error_class"] == "crashed"
