"""`noether-run`: what stages see of the environment, which secrets show, what is imported."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from running_service import Place
from service_stages import ECHO, spec, stage

SECRET = "correct-horse-battery-staple"
"""A value that must show nowhere."""

SEES = spec(
    "sees",
    """
import os
from pathlib import Path

def execute(input):
    pid, above = os.getpid(), []
    for _ in range(2):
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        above.append(pid)
    def text(pid):
        try:
            return Path(f"/proc/{pid}/environ").read_bytes().decode()
        except PermissionError:
            return "refused"
    return {
        "own": dict(os.environ),
        "proc": text("self"),
        "above": [text(pid) for pid in above],
    }
""",
)
BASH_SEES = spec(
    "bash_sees",
    """
execute() {
  local own exec
  own=$(declare -px | grep -c PLANTED || true)
  exec=$(tr '\\0' '\\n' </proc/$$/environ | grep -c PLANTED || true)
  echo "[$own, $exec]"
}
""",
    "bash",
)
TELLS = spec(
    "tells",
    """
import os, sys

def execute(input):
    secret = os.environ["PLANTED"]
    print("printed", secret)
    print("told", secret, file=sys.stderr)
    raise RuntimeError(f"cannot log in with {secret}")
""",
)
NEEDS = spec("needs", "import os\n\ndef execute(input):\n    return os.environ['PLANTED']\n")
BANNED = ("httpx", "loguru", "psutil", "croniter", "asyncio", "cryptography")
ALWAYS = {"PATH", "LANG", "TZ", "HOME", "TMPDIR"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One store for all tests of this module, which change nothing in it."""
    it = Place(tmp_path_factory.mktemp("noether-run"))
    it.stages(ECHO, SEES, BASH_SEES, TELLS, NEEDS)
    for name in ("echo", "sees", "bash_sees", "tells", "needs"):
        it.graph(name, stage(name))
    yield it
    assert list((it.folder / "tmp").iterdir()) == []


def test_nothing_of_the_environment_reaches_a_stage(place: Place) -> None:
    ended = place.call("noether-run", "sees.json", environment={"PLANTED": SECRET})
    assert ended.returncode == 0, ended.stderr
    assert SECRET not in ended.stdout + ended.stderr
    told = json.loads(ended.stdout)
    assert set(told["own"]) == ALWAYS
    assert told["own"]["HOME"] == str(place.folder / "home")
    assert told["own"]["TMPDIR"].startswith(str(place.folder / "tmp"))


def test_nothing_of_the_environment_reaches_an_executed_stage(place: Place) -> None:
    planted = {"PLANTED": SECRET}
    ended = place.call("noether-run", "bash_sees.json", environment=planted)
    assert (ended.returncode, ended.stdout) == (0, "[0,0]\n"), ended.stderr
    granted = ("bash_sees.json", "--pass-env", "PLANTED")
    ended = place.call("noether-run", *granted, environment=planted)
    assert (ended.returncode, ended.stdout) == (0, "[1,1]\n"), ended.stderr


def test_a_granted_secret_is_in_no_file_of_proc(place: Place) -> None:
    granted = ("--pass-env", "PLANTED")
    ended = place.call("noether-run", "sees.json", *granted, environment={"PLANTED": SECRET})
    told = json.loads(ended.stdout)
    assert told["own"]["PLANTED"] == SECRET
    assert SECRET not in told["proc"]
    assert [SECRET in text for text in told["above"]] == [False, False]


def test_values_given_by_name_and_by_value(place: Place) -> None:
    words = ("--env", "GIVEN=a=b", "--env", "EMPTY=", "--pass-env", "PASSED", "--pass-env", "GONE")
    ended = place.call("noether-run", "sees.json", *words, environment={"PASSED": "p"})
    own = json.loads(ended.stdout)["own"]
    assert set(own) == ALWAYS | {"GIVEN", "EMPTY", "PASSED"}
    assert (own["GIVEN"], own["EMPTY"], own["PASSED"]) == ("a=b", "", "p")
    assert "--pass-env GONE" in ended.stderr


def test_the_whole_environment_on_request(place: Place) -> None:
    ended = place.call("noether-run", "sees.json", "--inherit-env", environment={"A_B": "c"})
    assert ended.returncode == 0, ended.stderr
    own = json.loads(ended.stdout)["own"]
    assert set(own) == set(place.environment(A_B="c"))
    assert own["A_B"] == "c"


def test_secrets_are_masked_in_trace_and_messages(place: Place, tmp_path: Path) -> None:
    trace = tmp_path / "trace.json"
    words = ("--pass-env", "PLANTED", "--trace", str(trace), "--envelope")
    ended = place.call("noether-run", "tells.json", *words, environment={"PLANTED": SECRET})
    assert ended.returncode == 1
    written = ended.stdout + ended.stderr + trace.read_text()
    assert SECRET not in written
    assert "cannot log in with ***" in ended.stderr
    (entry,) = json.loads(trace.read_text())["stages"]
    assert entry["stdout_tail"] == "printed ***\n"
    assert entry["stderr_tail"] == "told ***\n"
    assert "***" in entry["error_traceback"]


def test_a_variable_that_was_not_granted_is_no_riddle(place: Place) -> None:
    ended = place.call("noether-run", "needs.json", environment={"PLANTED": SECRET})
    assert ended.returncode == 1
    assert "PLANTED" in ended.stderr
    assert "pass" in ended.stderr
    assert SECRET not in ended.stderr


def test_the_common_path_imports_nothing_heavy(place: Place) -> None:
    program = (
        "import sys; sys.argv = ['noether-run', 'echo.json', '--input', '1'];"
        "from noether_runner.cli import main; code = main();"
        "print(*sys.modules, file=sys.stderr); sys.exit(code)"
    )
    ended = subprocess.run(
        [sys.executable, "-I", "-c", program],
        cwd=place.folder,
        env={name: value for name, value in place.environment().items() if "COVERAGE" not in name},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == "1\n"
    loaded = {name.partition(".")[0] for name in ended.stderr.split()}
    assert "noether_runner" in loaded
    assert loaded & set(BANNED) == set()


def test_progress_on_a_terminal_and_with_no_color(place: Place) -> None:
    for wish, coloured in ({}, True), ({"NO_COLOR": "1"}, False):
        ours, theirs = os.openpty()
        ended = subprocess.run(
            [str(Path(sys.executable).parent / "noether-run"), "echo.json", "--input", "1"],
            cwd=place.folder,
            env=place.environment(TERM="xterm", **wish),
            stdout=subprocess.PIPE,
            stderr=theirs,
            check=True,
        )
        os.close(theirs)
        said = os.read(ours, 65536)
        os.close(ours)
        assert ended.stdout == b"1\n"
        assert b"echo" in said
        assert (b"\x1b[32m" in said) is coloured
