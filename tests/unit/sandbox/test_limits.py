import json
import os
import resource
import subprocess
import sys

import pytest

from noether_runner.sandbox.limits import StageLimits, process_limits, processes_of

ANOTHER_USER = 4_123_456_789


def as_dict(limits: StageLimits, others: int = 0) -> dict[int, tuple[int, int]]:
    return {which: (soft, hard) for which, soft, hard in process_limits(limits, others)}


def test_cpu_seconds_are_whole_and_leave_room_for_the_signal() -> None:
    assert as_dict(StageLimits(cpu_seconds=1.2))[resource.RLIMIT_CPU] == (2, 3)
    assert as_dict(StageLimits(cpu_seconds=0.1))[resource.RLIMIT_CPU] == (1, 2)
    assert resource.RLIMIT_CPU not in as_dict(StageLimits())


def test_processes_are_limited_on_top_of_those_that_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    assert as_dict(StageLimits(max_processes=10), 40)[resource.RLIMIT_NPROC] == (50, 50)
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert resource.RLIMIT_NPROC not in as_dict(StageLimits(max_processes=10), 40)


def test_processes_of_a_user_are_counted() -> None:
    assert processes_of(ANOTHER_USER) == 0


def test_a_limit_is_never_raised() -> None:
    """In a process of its own, since limits cannot be taken back."""
    code = (
        "import json, resource as r\n"
        "from noether_runner.sandbox.rlimits import apply_limits\n"
        "r.setrlimit(r.RLIMIT_FSIZE, (50, 100))\n"
        "apply_limits([(r.RLIMIT_FSIZE, 200, 300), (r.RLIMIT_CORE, 0, 0)])\n"
        "print(json.dumps([r.getrlimit(r.RLIMIT_FSIZE), r.getrlimit(r.RLIMIT_CORE)]))\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=True)
    assert json.loads(done.stdout) == [[100, 100], [0, 0]]
