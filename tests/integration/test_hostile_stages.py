"""Stages that attack what runs them: each costs itself, and nothing else.

After every one the runner takes a further call, and no process is left (`run_harness` looks).
"""

import os
import socket
from collections.abc import Mapping
from typing import Any, Protocol

import pytest

from harness_calls import call, need, run_harness
from wheels import LINE

NOBODYS = 61_234
"""A user id that nobody else uses: the limit of processes counts all of a user's."""

AFTERWARDS = call("def execute(input):\n    return input['n'] + 1\n", {"n": 41})


class Hostile(Protocol):
    """Makes a hostile call and returns its result, after checking that the runner is intact."""

    def __call__(self, code: str, *, clean_fork: bool = False, **members: Any) -> dict[str, Any]:
        """`members` are those of the call."""


def attack(*calls: Mapping[str, Any], **options: Any) -> list[dict[str, Any]]:
    """The results of hostile calls in one runner, which is intact after each of them."""
    results = run_harness([each for one in calls for each in (one, AFTERWARDS)], **options)
    for afterwards in results[1::2]:
        assert afterwards["output_text"] == "42", afterwards
    return results[::2]


@pytest.fixture
def hostile(prepared: dict[str, Any]) -> Hostile:
    """The same ending in a fork of the zygote, and executed in an environment of its own."""

    def made(code: str, *, clean_fork: bool = False, **members: Any) -> dict[str, Any]:
        calls = [call(each, {}, **members) for each in (code, f"{code}\n{LINE}\n")]
        result, executed = attack(*calls, packages=prepared, clean_fork=clean_fork)
        same = ("status", "error_class", "error_type", "output_text")
        assert [executed[name] for name in same] == [result[name] for name in same]
        return result

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


def test_prints_a_gigabyte() -> None:
    code = (
        "import os\n"
        "def execute(input):\n"
        "    chunk = b'x' * (1 << 20)\n"
        "    for _ in range(1024):\n"
        "        os.write(1, chunk)\n"
        "    return 'done'\n"
    )
    (result,) = attack(call(code, {}, timeout_ms=50_000))
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


def test_burns_cpu() -> None:
    plain = "def execute(input):\n    while True:\n        pass\n"
    deaf = (
        "import signal\n"
        "def execute(input):\n"
        "    signal.signal(signal.SIGXCPU, signal.SIG_IGN)\n"
        "    while True:\n"
        "        pass\n"
    )
    results = attack(*(call(code, {}, limits={"cpu_seconds": 1}) for code in (plain, deaf)))
    assert [each["error_class"] for each in results] == ["cpu_limit", "cpu_limit"]


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
    (result,) = attack(call(code, {}, language="bash", timeout_ms=300))
    assert result["error_class"] == "timeout"


def test_fork_bomb_of_bash() -> None:
    need("bash")
    code = (
        "grow() { (( $1 > 0 )) || { sleep 966; return; }; grow $(($1 - 1)) & grow $(($1 - 1)) & }\n"
        "execute() { grow 6; sleep 966; }\n"
    )
    (result,) = attack(call(code, {}, language="bash", timeout_ms=700))
    assert result["error_class"] == "timeout"


def test_javascript() -> None:
    need("node")
    deaf = "function execute() { process.on('SIGTERM', () => {}); while (true); }"
    beside = "function execute() { const x = []; while (true) x.push(Buffer.alloc(8 << 20, 1)); }"
    heap = "function execute() { const x = []; while (true) x.push(new Array(1000).fill('y')); }"
    results = attack(
        call(deaf, {}, language="js", timeout_ms=700),
        call(beside, {}, language="js", timeout_ms=30_000, limits={"memory_mb": 200}),
        call(heap, {}, language="js", timeout_ms=30_000, limits={"memory_mb": 128}),
    )
    assert [each["error_class"] for each in results] == ["timeout", "memory", "memory"]


def test_answers_of_a_gigabyte() -> None:
    """Cut off at the limit of the output, or of the memory, without being kept anywhere."""
    need("bash")
    endless = "execute() { head -c 1073741824 /dev/zero | tr '\\0' 1; }\n"
    whole = "def execute(input):\n    return 'x' * (1 << 30)\n"
    results = attack(call(endless, {}, language="bash", timeout_ms=30_000), call(whole, {}))
    assert [each["error_class"] for each in results] == ["output_too_large", "memory"]


def test_leaks_descriptors(hostile: Hostile) -> None:
    code = (
        "import os\n"
        "def execute(input):\n"
        "    while True:\n"
        "        os.open('/dev/null', os.O_RDONLY)\n"
    )
    result = hostile(code)
    assert (result["error_class"], result["error_type"]) == ("raised", "OSError")


def test_games_with_what_a_process_has_do_not_reach_the_next_call() -> None:
    """Clocks, masks, handlers, timers, directory, priority, limits: they end with the process."""
    games = (
        "import builtins, os, resource, signal, sys, threading, time\n"
        "def execute(input):\n"
        "    os.umask(0)\n"
        "    os.chdir('/')\n"
        "    os.nice(5)\n"
        "    os.environ['TZ'] = 'Asia/Tokyo'\n"
        "    time.tzset()\n"
        "    time.time = time.monotonic = lambda: 0.0\n"
        "    sys.settrace(lambda *_: None)\n"
        "    sys.modules['json'] = None\n"
        "    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:\n"
        "        signal.signal(number, signal.SIG_IGN)\n"
        "    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0.01)\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))\n"
        "    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "    builtins.len = None\n"
        "    return 'played'\n"
    )
    look = (
        "import json, os, resource, signal, time\n"
        "def execute(input):\n"
        "    handlers = [str(signal.getsignal(each)) for each in signal.valid_signals()]\n"
        "    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])\n"
        "    return [os.umask(0o22), os.getcwd() != '/', os.nice(0), time.time() > 1e9,\n"
        "            time.tzname, len('one'), handlers, len(blocked),\n"
        "            signal.getitimer(signal.ITIMER_REAL),\n"
        "            resource.getrlimit(resource.RLIMIT_NOFILE), json.loads('2')]\n"
    )
    before, played, after = attack(call(look, {}), call(games, {}), call(look, {}))
    assert played["output_text"] == '"played"', played["message"]
    assert after["status"] == "ok", after["message"]
    assert after["output_text"] == before["output_text"]


def test_a_listening_daemon_gives_its_port_back() -> None:
    code = (
        "import os, signal, socket\n"
        "def execute(input):\n"
        "    listening = socket.create_server(('127.0.0.1', 0))\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        signal.pause()\n"
        "    return listening.getsockname()[1]\n"
    )
    (result,) = attack(call(code, {}))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(result["output_text"])))


def test_adopts_its_own_orphans(hostile: Hostile) -> None:
    """A sub-reaper below the stage-init keeps nothing from it."""
    code = (
        "import ctypes, os, signal\n"
        "def execute(input):\n"
        "    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n"
        "    for _ in range(3):\n"
        "        if os.fork() == 0:\n"
        "            ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n"
        "            os.setsid()\n"
        "            if os.fork() == 0:\n"
        "                signal.pause()\n"
        "            if input is None:\n"
        "                signal.pause()\n"
        "            os._exit(0)\n"
        "    return 'left'\n"
    )
    assert hostile(code)["output_text"] == '"left"'


def test_chains_that_fork_away_from_their_killer(hostile: Hostile) -> None:
    """Few processes at any time, each gone before it can be killed, for ever."""
    code = (
        "import os, time\n"
        "def execute(input):\n"
        "    for _ in range(4):\n"
        "        if os.fork() == 0:\n"
        "            while True:\n"
        "                if os.fork():\n"
        "                    os._exit(0)\n"
        "                os.setsid()\n"
        "    time.sleep(0.1)\n"
        "    return 'off'\n"
    )
    assert hostile(code)["output_text"] == '"off"'


FORK_BOMB = (
    "import os\n"
    "def execute(input):\n"
    "    while True:\n"
    "        try:\n"
    "            os.fork()\n"
    "        except OSError:\n"
    "            pass\n"
)


@pytest.mark.skipif(os.geteuid() != 0, reason="for a user of whom nothing else runs")
def test_fork_bomb_of_a_user() -> None:
    """Bounded by RLIMIT_NPROC: a stage that is not root's has at most `max_processes`."""
    bomb = call(FORK_BOMB, {}, timeout_ms=700, limits={"max_processes": 60})
    (result,) = attack(bomb, stage_user=[NOBODYS, NOBODYS, [NOBODYS]])
    assert result["error_class"] == "timeout"


def test_a_bomb_that_has_gone_off(hostile: Hostile) -> None:
    """As root no limit of a process bounds it; here it stops by itself at 2 ** 7."""
    code = (
        "import os, signal\n"
        "def execute(input):\n"
        "    for _ in range(7):\n"
        "        if os.fork() == 0:\n"
        "            os.setsid()\n"
        "    signal.pause()\n"
    )
    assert hostile(code, timeout_ms=1000)["error_class"] == "timeout"


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes an ordinary user")
def test_same_user_does_not_get_at_memory_above() -> None:
    """Stage-init, zygote and runner are not dumpable: neither read, written nor traced."""
    code = (
        "import ctypes, os\n"
        "PTRACE_ATTACH, PTRACE_DETACH = 16, 17\n"
        "def execute(input):\n"
        "    ptrace, pid, found = ctypes.CDLL(None).ptrace, os.getppid(), []\n"
        "    for _ in range(3):\n"
        "        for name in ('environ', 'mem', 'maps', 'fd/1'):\n"
        "            for mode in (os.O_RDONLY, os.O_WRONLY):\n"
        "                try:\n"
        "                    os.open(f'/proc/{pid}/{name}', mode)\n"
        "                    found.append(name)\n"
        "                except PermissionError:\n"
        "                    pass\n"
        "        if ptrace(PTRACE_ATTACH, pid, 0, 0) == 0:\n"
        "            ptrace(PTRACE_DETACH, pid, 0, 0)\n"
        "            found.append('trace')\n"
        "        stat = open(f'/proc/{pid}/stat').read()\n"
        "        pid = int(stat.rpartition(')')[2].split()[1])\n"
        "    return [os.getuid(), found]\n"
    )
    (result,) = attack(call(code, {}), user=NOBODYS, clean_fork=True)
    assert result["output_text"] == f"[{NOBODYS},[]]"
