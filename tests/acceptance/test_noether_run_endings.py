"""`noether-run`: exit codes, time limits, signals, and what is said when it refuses to run."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from process_watch import is_dead, living_descendants, wait_for_death
from running_service import BIN, Place, Signpost
from service_stages import ECHO, MEET, spec, stage

FOREVER = spec("forever", "import signal\n\ndef execute(input):\n    signal.pause()\n")
ADD = spec(
    "add_one", "def execute(input):\n    return input + 1\n", input="Number", output="Number"
)
SHOUT = spec(
    "shout", "def execute(input):\n    return input.upper()\n", input="Text", output="Text"
)
STUBBORN = spec(
    "stubborn",
    """
import os, signal

def execute(input):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open(input["here"], "w") as here:
        here.write(f"{os.getpid()}\\n")
    while True:
        signal.pause()
""",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One store for all tests of this module, which change nothing in it."""
    it = Place(tmp_path_factory.mktemp("noether-run"))
    it.stages(ECHO, MEET, FOREVER, ADD, SHOUT, STUBBORN)
    for name in ("echo", "meet", "forever", "add_one", "stubborn"):
        it.graph(name, stage(name))
    yield it
    assert list((it.folder / "tmp").iterdir()) == []


def test_a_run_that_takes_too_long_ends_with_124(place: Place) -> None:
    trace = place.folder / "late.trace"
    ended = place.call("noether-run", "forever.json", "--timeout", "0.5", "--trace", str(trace))
    assert (ended.returncode, ended.stdout) == (124, "")
    assert "forever" in ended.stderr
    (entry,) = json.loads(trace.read_text())["stages"]
    assert (entry["stage_name"], entry["error_class"]) == ("forever", "cancelled")


def test_a_stage_that_takes_too_long_fails_the_run(place: Place) -> None:
    ended = place.call("noether-run", "forever.json", "--stage-timeout", "0.5")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert 'stage "forever" timed out after 0.5s' in ended.stderr


@pytest.mark.parametrize(
    ("number", "code", "name"), [(signal.SIGINT, 130, "SIGINT"), (signal.SIGTERM, 143, "SIGTERM")]
)
def test_a_signal_ends_the_run_with_a_report(
    place: Place, tmp_path: Path, number: signal.Signals, code: int, name: str
) -> None:
    here, gate = Signpost(tmp_path / "here"), Signpost(tmp_path / "gate")
    argument = json.dumps({"here": str(here.path), "gate": str(gate.path)})
    trace = tmp_path / "trace.json"
    command = [str(BIN / "noether-run"), "meet.json", "--input", argument, "--trace", str(trace)]
    with place.started(command) as running:
        pid = int(here.reached())
        running.send(number)
        assert running.ended() == code
        assert is_dead(pid)
    assert name in running.log
    (entry,) = json.loads(trace.read_text())["stages"]
    assert (entry["stage_name"], entry["error_class"]) == ("meet", "cancelled")
    here.close()
    gate.close()


def test_control_c_while_the_input_is_awaited_is_no_traceback(place: Place) -> None:
    with subprocess.Popen(
        [str(BIN / "noether-run"), "echo.json", "--input", "-"],
        cwd=place.folder,
        env=place.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        while not living_descendants(running.pid):
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        said = running.communicate(timeout=60)
    assert (running.returncode, said) == (130, ("", ""))


def test_a_second_signal_ends_at_once(place: Place, tmp_path: Path) -> None:
    here = Signpost(tmp_path / "here")
    argument = json.dumps({"here": str(here.path)})
    with place.started([str(BIN / "noether-run"), "stubborn.json", "--input", argument]) as running:
        pid = int(here.reached())
        running.send(signal.SIGINT)
        running.send(signal.SIGINT)
        assert running.ended() == 130
    assert wait_for_death(pid)
    here.close()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("missing.json",), ("{folder}/missing.json", "No such file")),
        (("bad.json",), ("{folder}/bad.json", "line 3, column 3")),
        (("nobody.json",), ("nobody", "root.stages[1]")),
        (("empty.json",), ("root",)),
        (("misspelt.json",), ("Sequentail", "Sequential")),
        (("echo.json", "--input", '{"a": 1,\n "b" 2}'), ("line 2", "column 6")),
        (("echo.json", "--input", "@nowhere.json"), ("nowhere.json", "No such file")),
        (("echo.json", "--store", "bad.json"), ("{folder}/bad.json",)),
        (("echo.json", "--store", "."), ("{folder}", "no regular file")),
        (("echo.json", "--store", "nowhere.json"), ("{folder}/nowhere.json",)),
        (("echo.json", "--timeout", "soon"), ("soon",)),
        (("echo.json", "--env", "noequals"), ("noequals", "NAME=VALUE")),
        (("echo.json", "--store", "s.json", "--registry", "http://127.0.0.1"), ("exclude",)),
        (("echo.json", "--nonsense"), ("--nonsense",)),
        ((), ("GRAPH",)),
    ],
)
def test_what_cannot_be_run_is_refused_with_2(
    place: Place, words: tuple[str, ...], said: tuple[str, ...]
) -> None:
    (place.folder / "bad.json").write_text('{\n  "description": "x",\n  oops\n}\n')
    place.graph("nobody", {"op": "Sequential", "stages": [stage("echo"), stage("nobody")]})
    place.graph("empty", {"op": "Sequential", "stages": []})
    place.graph("misspelt", {"op": "Sequentail", "stages": []})
    ended = place.call("noether-run", *words)
    assert (ended.returncode, ended.stdout) == (2, "")
    for text in said:
        assert text.format(folder=place.folder) in ended.stderr
    assert "Traceback" not in ended.stderr


def test_input_that_is_not_utf8_is_refused(place: Place) -> None:
    (place.folder / "latin.json").write_bytes('"gr\u00fc\u00df"'.encode("latin-1"))
    ended = place.call("noether-run", "echo.json", "--input", "@latin.json")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "not UTF-8" in ended.stderr


def test_a_graph_that_does_not_type_check_is_refused(place: Place) -> None:
    wrong = {"op": "Sequential", "stages": [stage("shout"), stage("add_one")]}
    place.graph("wrong", wrong)
    ended = place.call("noether-run", "wrong.json")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "add_one" in ended.stderr


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_help_and_version(place: Place, word: str) -> None:
    ended = place.call("noether-run", word)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "noether-run" in ended.stdout
