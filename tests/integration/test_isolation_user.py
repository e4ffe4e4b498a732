"""Stages, and processes that they have started, as another user; only root can test that."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from harness_calls import call, need, no_process_left, run_harness
from noether_runner.builtins.surroundings import Program
from noether_runner.run_processes import RunProcesses
from noether_runner.sandbox.child import Children
from noether_runner.sandbox.stage_user import StageUser
from sandbox_backends import NOBODY, need_backend

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")

USER = [NOBODY, NOBODY, [NOBODY]]
IDS = {
    "python": "from os import *\ndef execute(i):\n    return [getuid(), getgid(), getgroups()]\n",
    "bash": 'execute() { echo "[$(id -u), $(id -g), [$(id -G)]]"; }\n',
}


def as_nobody(code: str, value: Any = None, **members: Any) -> dict[str, Any]:
    (result,) = run_harness([call(code, value, **members)], stage_user=USER)
    return result


def output(result: dict[str, Any]) -> Any:
    assert result["status"] == "ok", result["message"]
    return json.loads(result["output_text"])


@pytest.mark.parametrize("isolation", ["none", "landlock", "bwrap"])
@pytest.mark.parametrize("language", IDS)
def test_ids(language: str, isolation: str) -> None:
    need_backend(isolation)
    result = as_nobody(IDS[language], language=language, isolation=isolation)
    assert output(result) == [NOBODY, NOBODY, [NOBODY]]


@pytest.mark.parametrize("isolation", ["none", "landlock", "bwrap"])
def test_standard_streams_by_their_names(isolation: str) -> None:
    need("bash")
    need_backend(isolation)
    code = "execute() { echo one > /dev/stderr; echo 1 > /dev/stdout; }\n"
    result = as_nobody(code, language="bash", isolation=isolation)
    assert (output(result), result["stderr"]) == (1, "one\n")


def test_there_is_no_way_back() -> None:
    code = (
        "import os\n"
        "def execute(input):\n"
        "    try:\n"
        "        os.setuid(0)\n"
        "    except PermissionError:\n"
        "        return open('/proc/self/status').read().count('\\t0000000000000000\\n')\n"
        "    return 'root'\n"
    )
    # pending and blocked signals, and four of the five sets of capabilities, are empty
    assert output(as_nobody(code)) >= 4


def test_files_of_root_are_closed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    result = as_nobody("def execute(path):\n    return open(path).read()\n", str(secret))
    assert (result["error_class"], result["error_type"]) == ("raised", "PermissionError")


def test_nobody_is_reached_above() -> None:
    code = (
        "import os, signal\n"
        "def execute(input):\n"
        "    pid, found = os.getppid(), []\n"
        "    while pid > 1:\n"
        "        try:\n"
        "            os.kill(pid, 0)\n"
        "            found.append(pid)\n"
        "        except PermissionError:\n"
        "            pass\n"
        "        stat = open(f'/proc/{pid}/stat').read()\n"
        "        pid = int(stat.rpartition(')')[2].split()[1])\n"
        "    return found\n"
    )
    assert output(as_nobody(code)) == []


def test_endings_and_leftovers() -> None:
    code = (
        "import subprocess\n"
        "def execute(input):\n"
        "    subprocess.Popen(['setsid', 'sleep', '971'])\n"
        "    open('file', 'w').close()\n"
        "    return 1\n"
    )
    result = as_nobody(code)
    assert output(result) == 1
    assert result["warnings"][0].startswith("leftover_killed")


def test_processes_that_stages_start() -> None:
    user = StageUser(NOBODY, NOBODY, (NOBODY,))
    with (
        no_process_left(),
        Children.start(clean_fork=False) as children,
        RunProcesses(children, user) as processes,
    ):
        pid = processes.start(Program("/usr/bin/sleep", ("981",), {}, "/"))
        assert Path(f"/proc/{pid}").stat().st_uid == NOBODY
        assert processes.may_signal(pid)
        assert not processes.may_signal(1)
        assert not processes.may_signal(os.getppid())
