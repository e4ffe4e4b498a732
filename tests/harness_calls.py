"""Starts `runner_harness.py` for a test and checks that nothing of it is left afterwards."""

import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from noether_runner.sandbox import prctl
from noether_runner.sandbox.descendants import children_of, kill_trees

HARNESS = Path(__file__).parent / "runner_harness.py"
LIMIT_SECONDS = 60


def need(*programs: str) -> None:
    """Skip the test, visibly, when a program is missing here."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed here")


def call(code: str, value: Any = None, **members: Any) -> dict[str, Any]:
    """A call of the harness: Python and no input unless said otherwise."""
    return {"language": "python", "code": code, "input_text": json.dumps(value), **members}


@contextmanager
def no_process_left() -> Iterator[None]:
    """Fails when a process started inside, or by one that was, is there afterwards.

    The test becomes a sub-reaper: whatever is left comes down to it. A process that is about to
    end has a few seconds for that.
    """
    before = set(children_of(os.getpid()))
    prctl.adopt_orphans()
    try:
        yield
    finally:
        left = [pid for pid in children_of(os.getpid()) if pid not in before]
        stayed = [f"{pid} {command_of(pid)}" for pid in left if not ends_soon(pid)]
        kill_trees(pid for pid in children_of(os.getpid()) if pid not in before)
        prctl.adopt_orphans(adopting=False)
    assert stayed == []


def ends_soon(pid: int, patience_ms: int = 3000) -> bool:
    """Whether a child ends by itself; reaps it."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        ended = bool(poll.poll(patience_ms))
    finally:
        os.close(pidfd)
    if ended:
        os.waitpid(pid, 0)
    return ended


def command_of(pid: int) -> str:
    """The command line of a process, or its name when it has none."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        return words or Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def run_harness(
    calls: Sequence[Mapping[str, Any]],
    *,
    host_env: Mapping[str, str] | None = None,
    **options: Any,
) -> list[dict[str, Any]]:
    """The results of the calls, made in one runner; `options` are those of the harness.

    Fails when the runner dies, hangs, or leaves a process or a file behind.
    """
    with no_process_left():
        done = subprocess.run(
            [sys.executable, "-I", str(HARNESS)],
            input=json.dumps({"calls": list(calls), **options}),
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            env=host_env,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["left_in_work_dir"] == []
    results: list[dict[str, Any]] = answer["results"]
    assert len(results) == len(calls)
    return results
