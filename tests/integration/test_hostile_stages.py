"""Stages that attack what runs them: each costs itself, and nothing else.

After every one the runner takes a further call, and no process is left (`run_harness` looks).
"""

from collections.abc import Mapping
from typing import Any, Protocol

import pytest

from harness_calls import call, need, run_harness
from wheels import LINE

AFTERWARDS = call("def execute(input):\n    return input['n'] + 1\n", {"n": 41})


class Hostile(Protocol):
    """Makes a hostile call and returns its result, after checking that the runner is intact."""

    def __call__(self, code: str, *, clean_fork: bool = False, **members: Any) -> dict[str, Any]:
        """`members` are those of the call."""


def attack(code: str, options: Mapping[str, Any], **members: Any) -> dict[str, Any]:
    """`Hostile`, with the options of the harness."""
    calls = [call(code, {}, **members), AFTERWARDS]
    result, afterwards = run_harness(calls, **options)
    assert afterwards["output_text"] == "42", afterwards
    return result


@pytest.fixture(params=["fork", "environment"])
def hostile(request: pytest.FixtureRequest) -> Hostile:
    """Python as a fork of the zygote, and executed in an environment of its own."""
    options: dict[str, Any] = {}
    line = ""
    if request.param == "environment":
        options["packages"] = request.getfixturevalue("prepared")
        line = f"\n{LINE}\n"

    def made(code: str, *, clean_fork: bool = False, **members: Any) -> dict[str, Any]:
        return attack(code + line, {"clean_fork": clean_fork, **options}, **members)

    return made


@pytest.fixture(params=[False, True], ids=["executed", "forked"])
def clean_fork(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_leaves_without_a_word(hostile: Hostile) -> None:
    result = hostile("import os\ndef execute(input):\n    os._exit(3)\n")
    assert result["error_class"] == "exited"
    assert "status 3" in result["message"]


def test_segmentation_fault(hostile: Hostile) -> None:
    result = hostile("import ctypes\ndef execute(input):\n    ctypes.string_at(0)\n")
    assert result["error_class"] == "crashed"
    assert "signal 11 (SIGSEGV)" in result["message"]


def test_kills_its_parent(hostile: Hostile, clean_fork: bool) -> None:
    code = (
        "import os, signal, time\n"
        "def execute(input):\n"
        "    os.kill(os.getppid(), signal.SIGKILL)\n"
        "    time.sleep(60)\n"
    )
    assert hostile(code, clean_fork=clean_fork)["error_class"] == "crashed"


def test_kills_its_parent_and_leaves_daemons(hostile: Hostile) -> None:
    code = (
        "import os, signal, subprocess, time\n"
        "def execute(input):\n"
        "    for _ in range(3):\n"
        "        subprocess.Popen(['setsid', 'sleep', '961'])\n"
        "    time.sleep(0.2)\n"
        "    os.kill(os.getppid(), signal.SIGKILL)\n"
        "    time.sleep(60)\n"
    )
    assert hostile(code)["error_class"] == "crashed"


def test_kills_the_group_of_its_parent(hostile: Hostile) -> None:
    code = (
        "import os, signal, time\n"
        "def execute(input):\n"
        "    os.killpg(os.getpgid(os.getppid()), signal.SIGKILL)\n"
        "    time.sleep(60)\n"
    )
    assert hostile(code)["error_class"] == "crashed"


def test_kills_its_own_group(hostile: Hostile) -> None:
    code = "import os, signal\ndef execute(input):\n    os.killpg(0, signal.SIGKILL)\n"
    result = hostile(code)
    assert result["error_class"] == "crashed"
    assert "signal 9 (SIGKILL)" in result["message"]


GRANDPARENT = (
    "import os, signal, subprocess, time\n"
    "def parent_of(pid):\n"
    "    return int(open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()[1])\n"
    "def execute(input):\n"
    "    subprocess.Popen(['setsid', 'sleep', '962'])\n"
    "    time.sleep(0.2)\n"
    "    os.kill(parent_of(os.getppid()), signal.SIG%s)\n"
    "    time.sleep(60)\n"
)


def test_kills_the_zygote(hostile: Hostile, clean_fork: bool) -> None:
    assert hostile(GRANDPARENT % "KILL", clean_fork=clean_fork)["error_class"] == "crashed"


def test_stops_the_zygote(hostile: Hostile) -> None:
    result = hostile(GRANDPARENT % "STOP", timeout_ms=500)
    assert result["error_class"] == "timeout"


def test_kills_what_waits_for_the_next_calls() -> None:
    """All children of the zygote but its own parent, and their children."""
    code = (
        "import os, signal\n"
        "def children(pid):\n"
        "    return [int(p) for p in open(f'/proc/{pid}/task/{pid}/children').read().split()]\n"
        "def parent_of(pid):\n"
        "    return int(open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()[1])\n"
        "def execute(input):\n"
        "    inits = [p for p in children(parent_of(os.getppid())) if p != os.getppid()]\n"
        "    for pid in (inits if input else [c for p in inits for c in children(p)]):\n"
        "        os.kill(pid, signal.SIGKILL)\n"
        "    return len(inits)\n"
    )
    results = run_harness([AFTERWARDS, call(code, 1), call(code, 0), AFTERWARDS, AFTERWARDS])
    assert [result["output_text"] for result in results] == ["42", "1", "1", "42", "42"]


def test_stops_its_parent(hostile: Hostile) -> None:
    code = (
        "import os, signal, time\n"
        "def execute(input):\n"
        "    os.kill(os.getppid(), signal.SIGSTOP)\n"
        "    time.sleep(60)\n"
    )
    assert hostile(code, timeout_ms=300)["error_class"] == "timeout"


def test_stops_itself(hostile: Hostile) -> None:
    code = "import os, signal\ndef execute(input):\n    os.kill(os.getpid(), signal.SIGSTOP)\n"
    assert hostile(code, timeout_ms=300)["error_class"] == "timeout"


def test_sleeps_for_ever_and_ignores_requests_to_end(hostile: Hostile) -> None:
    code = (
        "import signal, time\n"
        "def execute(input):\n"
        "    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):\n"
        "        signal.signal(number, signal.SIG_IGN)\n"
        "    while True:\n"
        "        time.sleep(60)\n"
    )
    result = hostile(code, timeout_ms=300)
    assert result["error_class"] == "timeout"
    assert result["message"].startswith("timed out after 0.3s")


def test_is_asked_to_end_before_it_is_killed(hostile: Hostile) -> None:
    code = (
        "import signal, time\n"
        "def tell(*_):\n"
        "    print('asked to end')\n"
        "    raise SystemExit(0)\n"
        "def execute(input):\n"
        "    signal.signal(signal.SIGTERM, tell)\n"
        "    time.sleep(60)\n"
    )
    result = hostile(code, timeout_ms=500)
    assert result["error_class"] == "timeout"
    assert "asked to end" in result["stdout"]


def test_eats_memory(hostile: Hostile) -> None:
    code = (
        "def execute(input):\n    x = []\n    while True:\n        x.append(bytearray(1 << 20))\n"
    )
    result = hostile(code, limits={"memory_mb": 200})
    assert result["error_class"] == "memory"
    assert "200 MiB" in result["message"]


def test_prints_a_gigabyte(hostile: Hostile) -> None:
    code = (
        "import os\n"
        "def execute(input):\n"
        "    chunk = b'x' * (1 << 20)\n"
        "    for _ in range(1024):\n"
        "        os.write(1, chunk)\n"
        "    return 'done'\n"
    )
    result = hostile(code, timeout_ms=50_000)
    assert result["output_text"] == '"done"'
    assert result["log_truncated"]
    assert len(result["stdout"]) <= 65536


def test_daemon_in_a_session_of_its_own(hostile: Hostile) -> None:
    code = (
        "import os, time\n"
        "def execute(input):\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        if os.fork() == 0:\n"
        "            os.closerange(0, 2000)\n"
        "            time.sleep(963)\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
        "    return 'left'\n"
    )
    result = hostile(code)
    assert result["output_text"] == '"left"'
    assert any("leftover_killed" in warning for warning in result["warnings"])


def test_closes_all_descriptors(hostile: Hostile) -> None:
    code = "import os\ndef execute(input):\n    os.closerange(0, 2000)\n    return 1\n"
    assert hostile(code)["error_class"] in ("exited", "protocol")


def test_scribbles_over_all_descriptors(hostile: Hostile) -> None:
    code = (
        "import os\n"
        "def execute(input):\n"
        "    for number in range(0, 1100):\n"
        "        for text in (b'{\"forged\": true}', b'\\n0123456789abcdef R 4\\nnull'):\n"
        "            try:\n"
        "                os.write(number, text)\n"
        "            except OSError:\n"
        "                pass\n"
        "    return 'true result'\n"
    )
    result = hostile(code)
    assert result["output_text"] == '"true result"'
    assert "forged" in result["stdout"]


def test_200_children(hostile: Hostile) -> None:
    code = (
        "import os, time\n"
        "def execute(input):\n"
        "    for _ in range(200):\n"
        "        if os.fork() == 0:\n"
        "            os.setsid()\n"
        "            time.sleep(964)\n"
        "            os._exit(0)\n"
        "    return 'grown'\n"
    )
    assert hostile(code)["output_text"] == '"grown"'


def test_a_child_that_comes_back_through_execute(hostile: Hostile) -> None:
    """Both processes return from `execute`; only the stage's own answer counts."""
    code = (
        "import os\n"
        "def execute(input):\n"
        "    pid = os.fork()\n"
        "    return 'child' if pid == 0 else (os.waitpid(pid, 0), 'parent')[1]\n"
    )
    assert hostile(code)["output_text"] == '"parent"'


def test_deep_recursion(hostile: Hostile) -> None:
    result = hostile("def execute(input):\n    return execute(input)\n")
    assert result["error_class"] == "raised"
    assert result["error_type"] == "RecursionError"


def test_recursion_without_a_guard(hostile: Hostile) -> None:
    code = (
        "import sys\n"
        "sys.setrecursionlimit(10**9)\n"
        "def execute(input):\n"
        "    return sorted([1, 2], key=execute)\n"
    )
    assert hostile(code)["error_class"] in ("crashed", "memory", "raised")


def test_burns_cpu(hostile: Hostile) -> None:
    code = "def execute(input):\n    while True:\n        pass\n"
    result = hostile(code, limits={"cpu_seconds": 1})
    assert result["error_class"] == "cpu_limit"


def test_burns_cpu_and_ignores_the_warning(hostile: Hostile) -> None:
    code = (
        "import signal\n"
        "def execute(input):\n"
        "    signal.signal(signal.SIGXCPU, signal.SIG_IGN)\n"
        "    while True:\n"
        "        pass\n"
    )
    result = hostile(code, limits={"cpu_seconds": 1})
    assert result["error_class"] == "cpu_limit"


def test_rebinds_what_reports_it(hostile: Hostile) -> None:
    code = (
        "import builtins, json, os, sys\n"
        "def execute(input):\n"
        "    for name in ('print', 'len', 'str', 'isinstance', 'type', 'Exception', 'dict'):\n"
        "        setattr(builtins, name, None)\n"
        "    json.dumps = json.JSONEncoder.default = json.loads = lambda *_: 'forged'\n"
        "    os.write = os._exit = os.getpid = lambda *_: 0\n"
        "    sys.stdout = sys.stderr = None\n"
        "    return {'true': 'result'}\n"
    )
    assert hostile(code)["output_text"] == '{"true":"result"}'


def test_hostile_error_texts(hostile: Hostile) -> None:
    code = (
        "class Hostile(Exception):\n"
        "    def __str__(self):\n"
        "        raise KeyboardInterrupt\n"
        "def execute(input):\n"
        "    raise Hostile()\n"
    )
    result = hostile(code)
    assert result["error_class"] == "raised"
    assert "Hostile" in result["message"]


def test_huge_error_text(hostile: Hostile) -> None:
    code = "def execute(input):\n    raise ValueError('\\ud800' + 'x' * 50_000_000)\n"
    result = hostile(code)
    assert result["error_class"] == "raised"
    assert "\\ud800" in result["message"]
    assert len(result["message"].encode()) <= 8192
    assert len(result["traceback"].encode()) <= 8192


def test_hostile_bash() -> None:
    need("bash")
    code = "execute() { trap '' TERM; kill -STOP $PPID; while :; do sleep 965; done; }"
    assert attack(code, {}, language="bash", timeout_ms=300)["error_class"] == "timeout"


def test_fork_bomb_of_bash() -> None:
    need("bash")
    code = (
        "grow() { (( $1 > 0 )) || { sleep 966; return; }; grow $(($1 - 1)) & grow $(($1 - 1)) & }\n"
        "execute() { grow 6; sleep 966; }\n"
    )
    assert attack(code, {}, language="bash", timeout_ms=700)["error_class"] == "timeout"


def test_hostile_javascript() -> None:
    need("node")
    code = "function execute() { process.on('SIGTERM', () => {}); while (true); }"
    assert attack(code, {}, language="js", timeout_ms=700)["error_class"] == "timeout"


def test_javascript_that_fills_memory_beside_its_heap() -> None:
    need("node")
    code = "function execute() { const x = []; while (true) x.push(Buffer.alloc(8 << 20, 1)); }"
    result = attack(code, {}, language="js", limits={"memory_mb": 200}, timeout_ms=30_000)
    assert result["error_class"] == "memory"


def test_javascript_that_fills_its_heap() -> None:
    need("node")
    code = "function execute() { const x = []; while (true) x.push(new Array(1000).fill('y')); }"
    result = attack(code, {}, language="js", limits={"memory_mb": 128}, timeout_ms=30_000)
    assert result["error_class"] == "memory"
