"""Stages behind walls: every language answers, ends as it would without, and reaches no further."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from harness_calls import call, need, run_harness
from sandbox_backends import need_backend, open_to_everybody

BACKENDS = ["bwrap", "landlock"]
PATIENCE_MS = 700


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    need_backend(name)
    return name


def run(backend: str, code: str, value: Any = None, **members: Any) -> dict[str, Any]:
    (result,) = run_harness([call(code, value, isolation=backend, **members)])
    return result


def output(result: dict[str, Any]) -> Any:
    assert result["status"] == "ok", result["message"]
    return json.loads(result["output_text"])


PROGRAMS = {
    "python": "def execute(input):\n    print('log')\n    return {'got': input}\n",
    "javascript": "function execute(input) { console.log('log'); return {got: input}; }",
    "bash": 'echo log\nexecute() { printf \'{"got": %s}\' "$1"; }',
}


@pytest.mark.parametrize("language", PROGRAMS)
def test_every_language(backend: str, language: str) -> None:
    need(*{"javascript": ["node"], "bash": ["bash"]}.get(language, []))
    result = run(backend, PROGRAMS[language], [1, "ä"], language=language)
    assert output(result) == {"got": [1, "ä"]}
    assert result["isolation"] == backend
    assert result["stdout"] == "log\n"
    assert result["warnings"] == []
    assert result["cpu_ms"] > 0
    assert result["peak_memory_bytes"] > 1_000_000


ENDINGS = {
    "raised": ("def execute(input):\n    raise KeyError('k')\n", "raised", "KeyError: 'k'"),
    "exited": ("import os\ndef execute(input):\n    os._exit(3)\n", "exited", "status 3"),
    "killed": (
        "import os\ndef execute(input):\n    os.kill(os.getpid(), 11)\n",
        "crashed",
        "killed by signal 11 (SIGSEGV)",
    ),
    "memory": ("def execute(input):\n    return len('a' * 10**9)\n", "memory", "64 MiB"),
    "timeout": ("import time\ndef execute(input):\n    time.sleep(60)\n", "timeout", "0.7s"),
    "stubborn": (
        "from signal import *\nimport time\nsignal(15, SIG_IGN)\ndef execute(i): time.sleep(60)\n",
        "timeout",
        "0.7s",
    ),
    "too large": ("def execute(input):\n    return 'x' * 5000\n", "output_too_large", "1000"),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_stage_ends_as_it_would_without_walls(backend: str, ending: str) -> None:
    code, error_class, words = ENDINGS[ending]
    limits = {"memory_mb": 64, "output_bytes": 1000}
    result = run(backend, code, timeout_ms=PATIENCE_MS, limits=limits)
    assert (result["status"], result["error_class"]) == ("failed", error_class)
    assert words in result["message"]


def test_a_stage_is_asked_before_it_is_killed(backend: str) -> None:
    code = (
        "import signal, sys, time\n"
        "def execute(input):\n"
        "    signal.signal(signal.SIGTERM, lambda *_: (print('asked'), sys.exit(1)))\n"
        "    time.sleep(60)\n"
    )
    result = run(backend, code, timeout_ms=PATIENCE_MS)
    assert (result["error_class"], result["stdout"]) == ("timeout", "asked\n")


def test_what_a_stage_leaves_is_killed(backend: str) -> None:
    code = (
        "import subprocess\n"
        "def execute(input):\n"
        "    subprocess.Popen(['setsid', 'sleep', '951'])\n"
        "    return 1\n"
    )
    result = run(backend, code)
    assert output(result) == 1
    assert [text.partition(":")[0] for text in result["warnings"]] == ["leftover_killed"]


def test_a_stage_that_has_answered_has_to_go(backend: str) -> None:
    code = (
        "import threading, time\n"
        "def execute(input):\n"
        "    threading.Thread(target=time.sleep, args=[60]).start()\n"
        "    return 1\n"
    )
    result = run(backend, code)
    assert output(result) == 1
    assert [text.partition(":")[0] for text in result["warnings"]] == ["leftover_killed"]


def test_a_stage_that_kills_the_one_above_it() -> None:
    """In a sandbox that is the stage-init inside; the runner and other calls do not notice."""
    need_backend("bwrap")
    killer = (
        "import os, time\ndef execute(input):\n    os.kill(os.getppid(), 9)\n    time.sleep(60)\n"
    )
    peaceful = "def execute(input):\n    return 1\n"
    results = run_harness([call(code, isolation="bwrap") for code in (killer, peaceful)])
    assert [each["error_class"] for each in results] == ["crashed", None]


def test_many_at_once(backend: str) -> None:
    code = "def execute(input):\n    return input * 2\n"
    calls = [call(code, number, isolation=backend) for number in range(6)]
    assert [output(each) for each in run_harness(calls, together=True)] == [0, 2, 4, 6, 8, 10]


# what a stage may touch


READ = "def execute(path):\n    return open(path).read()\n"
WRITE = "def execute(path):\n    open(path, 'w').write('made inside')\n    return 1\n"


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder with a file, open to whomever a sandbox runs as."""
    open_to_everybody(tmp_path)
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "file").write_text("content")
    (folder / "file").chmod(0o666)
    folder.chmod(0o777)
    return folder


def test_a_path_in_the_input_opens_nothing(backend: str, shared: Path) -> None:
    other = shared.parent / "other"
    other.mkdir()
    declared = [{"effect": "FsRead", "path": str(other)}]
    result = run(backend, READ, str(shared / "file"), effects=declared)
    assert result["error_class"] == "raised"
    assert result["error_type"] in ("FileNotFoundError", "PermissionError")
    assert f"sandbox ({backend})" in result["message"]
    assert "fs_read" in result["message"]


def test_what_is_declared(backend: str, shared: Path) -> None:
    path = str(shared / "file")
    reading, writing = ([{"effect": kind, "path": str(shared)}] for kind in ("FsRead", "FsWrite"))
    assert output(run(backend, READ, path, effects=reading)) == "content"
    denied = run(backend, WRITE, str(shared / "new"), effects=reading)
    assert denied["error_class"] == "raised"
    assert not (shared / "new").exists()
    assert output(run(backend, WRITE, str(shared / "new"), effects=writing)) == 1
    assert (shared / "new").read_text() == "made inside"


def test_what_the_operator_grants(backend: str, shared: Path) -> None:
    path = str(shared / "file")
    assert output(run(backend, READ, path, grants={"fs_read": [str(shared)]})) == "content"
    assert output(run(backend, WRITE, path, grants={"fs_write": [str(shared)]})) == 1
    assert (shared / "file").read_text() == "made inside"


def test_a_declared_path_that_is_not_there(backend: str, tmp_path: Path) -> None:
    declared = [{"effect": "FsRead", "path": str(tmp_path / "gone")}]
    result = run(backend, READ, "/etc/hostname", effects=declared)
    assert result["error_class"] == "isolation_unavailable"
    assert str(tmp_path / "gone") in result["message"]


def test_the_stores_own_folder(backend: str, shared: Path) -> None:
    declared = [{"effect": "FsWrite", "path": str(shared.parent)}]
    result = run(
        backend, WRITE, str(shared / "new"), effects=declared, protected=[str(shared / "file")]
    )
    assert result["error_class"] == "isolation_unavailable"
    assert not (shared / "new").exists()


CONNECT = (
    "import socket\n"
    "def execute(port):\n"
    "    try:\n"
    "        socket.create_connection(('127.0.0.1', port), 5).close()\n"
    "    except OSError as error:\n"
    "        return error.strerror\n"
    "    return 'connected'\n"
)


@pytest.mark.parametrize(
    ("effects", "granted", "reached"),
    [
        ([], None, False),
        (["Network"], None, True),
        (["Network"], False, False),
        ([], True, True),
    ],
)
def test_the_network(backend: str, effects: list[str], granted: bool | None, reached: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        result = run(
            backend,
            CONNECT,
            server.getsockname()[1],
            effects=[{"effect": each} for each in effects],
            grants={"network": granted},
        )
    assert (output(result) == "connected") is reached


def test_an_llm_helper_on_the_path(backend: str, shared: Path) -> None:
    """`Llm` opens the network and shows the folders of the PATH."""
    helper = shared / "helper"
    helper.write_text("#!/bin/sh\necho answer\n")
    helper.chmod(0o755)
    code = (
        "import subprocess\n"
        "def execute(input):\n"
        "    return subprocess.run(['helper'], capture_output=True, text=True).stdout\n"
    )
    environ = {**os.environ, "PATH": f"{shared}:{os.environ['PATH']}"}
    declared = [{"effect": "Llm", "model": "default"}]
    with_llm, without = run_harness(
        [call(code, isolation=backend, effects=each) for each in (declared, [])], host_env=environ
    )
    assert output(with_llm) == "answer\n"
    assert without["error_class"] == "raised"


# the private home


def test_files_in_the_private_home_are_reported(backend: str) -> None:
    code = (
        "import os, tempfile\n"
        "def execute(input):\n"
        "    os.makedirs(os.path.expanduser('~/.caloron/kv'))\n"
        "    for name in 'abc':\n"
        "        open(os.path.expanduser(f'~/.caloron/kv/{name}'), 'w').close()\n"
        "    tempfile.mkstemp()\n"
        "    return 1\n"
    )
    result = run(backend, code)
    assert output(result) == 1
    (warning,) = result["warnings"]
    assert warning.startswith("discarded_files: 3 ")
    assert "fs_write" in warning


def test_a_granted_folder_keeps_what_is_written(backend: str, shared: Path) -> None:
    code = "import os\ndef execute(input):\n    open(os.environ['KV'] + '/a', 'w').write('kept')\n"
    result = run_harness(
        [
            call(
                code,
                isolation=backend,
                pass_env=["KV"],
                grants={"fs_write": [str(shared)]},
            )
        ],
        host_env={**os.environ, "KV": str(shared)},
    )[0]
    assert output(result) is None
    assert result["warnings"] == []
    assert (shared / "a").read_text() == "kept"


def test_without_walls_nothing_is_reported() -> None:
    result = run("none", "def execute(input):\n    open('left', 'w').close()\n")
    assert (output(result), result["warnings"]) == (None, [])


# being required


def test_required_isolation_refuses_to_run(tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    code = f"def execute(input):\n    open({str(mark)!r}, 'w').close()\n"
    (result,) = run_harness([call(code, isolation="none")], require_isolation=True)
    assert result["error_class"] == "isolation_unavailable"
    assert result["message"].startswith("refusing to run without isolation")
    assert not mark.exists()


def test_a_backend_that_is_not_there(tmp_path: Path) -> None:
    """Nothing of the stage runs; `auto` says why it runs without."""
    need_backend("bwrap")
    mark = tmp_path / "it ran"
    code = f"def execute(input):\n    open({str(mark)!r}, 'w').close()\n"
    named, best = run_harness(
        [call(code, isolation=mode) for mode in ("bwrap", "auto")], without_backends=True
    )
    assert named["error_class"] == "isolation_unavailable"
    assert "no program bwrap" in named["message"]
    assert best["isolation"] == "none"
    assert best["warnings"][0].startswith("isolation is none: ")
    assert mark.exists()
