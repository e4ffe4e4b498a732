"""Calls of stages as a runner makes them: together, cut short, with secrets, as another user."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness_calls import HARNESS, call, no_process_left, run_harness

SECRET = "t0ken-0f-the-h0st"
HOST = {
    "PATH": os.environ["PATH"],
    "LC_ALL": "C.UTF-8",
    "GITHUB_TOKEN": SECRET,
    "OTHER_SECRET": "0ther-s3cret-value",
}

TELL_AND_SLEEP = (
    "import os, subprocess, time\n"
    "def execute(input):\n"
    "    subprocess.Popen(['setsid', 'sleep', '941'])\n"
    "    os.close(os.open(input, os.O_WRONLY))\n"
    "    time.sleep(942)\n"
)


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


@pytest.mark.parametrize("clean_fork", [False, True], ids=["executed", "forked"])
def test_many_calls_at_once(clean_fork: bool) -> None:
    code = "import time\ndef execute(input):\n    time.sleep(0.05)\n    return input * 2\n"
    results = run_harness([call(code, n) for n in range(24)], together=True, clean_fork=clean_fork)
    assert [json.loads(result["output_text"]) for result in results] == [2 * n for n in range(24)]


def test_one_of_many_kills_the_zygote() -> None:
    """Calls in flight end as crashed or finish; none hangs, and later ones work."""
    killer = (
        "import os, signal, time\n"
        "def parent_of(pid):\n"
        "    return int(open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()[1])\n"
        "def execute(input):\n"
        "    time.sleep(0.1)\n"
        "    os.kill(parent_of(os.getppid()), signal.SIGKILL)\n"
        "    time.sleep(60)\n"
    )
    peaceful = "import time\ndef execute(input):\n    time.sleep(0.3)\n    return 1\n"
    results = run_harness([call(killer), *[call(peaceful) for _ in range(6)]], together=True)
    assert results[0]["error_class"] == "crashed"
    assert {result["error_class"] for result in results[1:]} <= {None, "crashed"}


def test_a_cancelled_call_ends_at_once(fifo: Path) -> None:
    stage = call(TELL_AND_SLEEP, str(fifo), cancel_at=str(fifo))
    result, after = run_harness([stage, call("def execute(input): return 1")])
    assert result["error_class"] == "cancelled"
    assert "interrupted" in result["message"]
    assert after["output_text"] == "1"


def test_the_deadline_of_the_run_cuts_a_call_short() -> None:
    code = "import time\ndef execute(input):\n    time.sleep(943)\n"
    (result,) = run_harness([call(code, run_seconds=0.5)])
    assert result["error_class"] == "cancelled"
    assert "time limit" in result["message"]


def test_a_call_after_the_deadline_of_the_run() -> None:
    (result,) = run_harness([call("import time\ndef execute(i): time.sleep(944)", run_seconds=-1)])
    assert result["error_class"] == "cancelled"


@pytest.mark.parametrize("clean_fork", [False, True], ids=["executed", "forked"])
def test_a_killed_runner_takes_its_stages_along(fifo: Path, clean_fork: bool) -> None:
    case = {"calls": [call(TELL_AND_SLEEP, str(fifo))], "clean_fork": clean_fork}
    with (
        no_process_left(),
        subprocess.Popen([sys.executable, "-I", str(HARNESS)], stdin=subprocess.PIPE) as runner,
    ):
        assert runner.stdin is not None
        runner.stdin.write(json.dumps(case).encode())
        runner.stdin.close()
        fifo.read_bytes()
        runner.kill()


def test_only_what_is_granted_and_no_trace_of_the_rest() -> None:
    code = (
        "import os\n"
        "def execute(input):\n"
        "    seen = dict(os.environ)\n"
        "    blocks = [open('/proc/self/environ').read()]\n"
        "    for pid in (os.getppid(),):\n"
        "        try:\n"
        "            blocks.append(open(f'/proc/{pid}/environ').read())\n"
        "        except OSError:\n"
        "            pass\n"
        "    return [sorted(seen), any(input in block for block in blocks)]\n"
    )
    (result,) = run_harness(
        [call(code, HOST["OTHER_SECRET"], pass_env=["GITHUB_TOKEN"])], host_env=HOST
    )
    assert json.loads(result["output_text"]) == [
        ["GITHUB_TOKEN", "LC_ALL", "PATH", "TMPDIR"],
        False,
    ]


def test_secret_values_are_masked_wherever_text_leaves() -> None:
    code = (
        "import os, sys\n"
        "def execute(input):\n"
        "    token = os.environ['GITHUB_TOKEN']\n"
        "    print('using', token)\n"
        "    print('using', token, file=sys.stderr)\n"
        "    raise ValueError('refused: ' + token)\n"
    )
    (result,) = run_harness([call(code, pass_env=["GITHUB_TOKEN"])], host_env=HOST)
    assert result["message"] == "ValueError: refused: ***"
    assert result["stdout"] == result["stderr"] == "using ***\n"
    assert SECRET not in json.dumps(result)


def test_a_withheld_variable_is_no_riddle() -> None:
    python = "import os\ndef execute(input):\n    return os.environ['GITHUB_TOKEN']\n"
    bash = 'execute() { echo "$GITHUB_TOKEN"; }'
    for result in run_harness([call(python), call(bash, language="bash")], host_env=HOST):
        assert result["error_class"] == "raised"
        assert '"pass_env": ["GITHUB_TOKEN"]' in result["message"]
        assert "OTHER_SECRET" not in result["message"]


def test_the_time_zone_of_the_job() -> None:
    code = "import time\ndef execute(input):\n    return time.localtime(0).tm_hour\n"
    (result,) = run_harness([call(code)], host_env={**HOST, "TZ": "Asia/Tokyo"})
    assert result["output_text"] == "9"


def test_an_interpreter_that_is_not_there() -> None:
    stages = [
        call("execute() { echo 1; }", language="bash"),
        call("function execute() { return 1; }", language="js"),
    ]
    for result in run_harness(stages, host_env={"PATH": "/nowhere:relative"}):
        assert result["error_class"] == "runtime_unavailable"
        assert "/nowhere" in result["message"]


def test_an_interpreter_that_cannot_be_executed(tmp_path: Path) -> None:
    (tmp_path / "bash").write_bytes(b"\x7fELF nonsense")
    (tmp_path / "bash").chmod(0o755)
    stage = call("execute() { echo 1; }", language="bash")
    (result,) = run_harness([stage], host_env={"PATH": str(tmp_path)})
    assert result["error_class"] == "runtime_unavailable"
    assert "could not be started" in result["message"]


def test_what_a_call_reports_of_itself() -> None:
    code = "def execute(input):\n    x = bytearray(50 << 20)\n    return sum(range(10**6)) > 0\n"
    (result,) = run_harness([call(code)])
    assert result["language"] == "python"
    assert result["cpu_ms"] > 1
    assert result["peak_memory_bytes"] > 50 << 20


@pytest.mark.skipif(os.getuid() != 0, reason="becoming another user takes root")
def test_as_an_ordinary_user() -> None:
    own = (
        "import os\ndef execute(input):\n"
        "    return [os.getuid(), len(os.listdir('/proc/self/fd'))]\n"
    )
    peek = (
        "import os\ndef execute(input):\n    return open(f'/proc/{os.getppid()}/environ').read()\n"
    )
    bomb = (
        "import os, time\ndef execute(input):\n    count = 0\n    try:\n"
        "        while count < 200:\n            if os.fork() == 0:\n"
        "                time.sleep(945)\n            count += 1\n"
        "    except OSError:\n        return count\n"
    )
    few = call(bomb, limits={"max_processes": 40})
    calls = [call(own), call(peek), few, call("def execute(input): return 1")]
    results = run_harness(calls, clean_fork=True, user=61234)
    assert results[0]["output_text"] == "[61234,5]"
    assert results[1]["error_type"] == "PermissionError"
    assert 20 < int(results[2]["output_text"]) <= 40
    assert results[3]["output_text"] == "1"


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text(st.characters(codec="utf-8"))
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=15,
)


@settings(max_examples=1, deadline=None)
@given(st.lists(VALUES.filter(lambda value: value is not None), min_size=100, max_size=100))
def test_any_value_goes_in_and_comes_out(values: list[object]) -> None:
    """A hundred values through a Python stage, in one list each, so that none is decoded again."""
    calls = [call("def execute(input):\n    return input\n", [value]) for value in values]
    for value, result in zip(values, run_harness(calls), strict=True):
        assert json.loads(result["output_text"]) == [value]
