"""`noether-run`: what goes in, what comes out where."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from running_service import BIN, Place
from service_stages import ECHO, FAIL, spec, stage

VALUE = {"word": "grüß", "whole": 1, "double": 1.0, "big": 2**63, "null": None, "list": [True, "x"]}
VALUE_TEXT = json.dumps(VALUE, separators=(",", ":"), ensure_ascii=False, sort_keys=True)

LOUD = (
    spec(
        "loud_python",
        "import os, subprocess, sys\n\nprint('on loading')\n\ndef execute(input):\n"
        "    print('by print')\n    sys.__stdout__.write('by hand\\n')\n"
        "    os.write(1, b'by descriptor\\n')\n    subprocess.run(['echo', 'by child'])\n"
        "    print('{\"ok\": false}')\n    return input\n",
    ),
    spec("loud_bash", 'echo on loading\nexecute() { echo noise >&2; cat <<<"$1"; }\n', "bash"),
    spec(
        "loud_javascript",
        "console.log('on loading');\nfunction execute(input) {\n  console.log('by log');\n"
        "  process.stdout.write('by hand\\n');\n  return input;\n}\n",
        "javascript",
    ),
)
MARKS = spec("marks", "def execute(input):\n    open(input, 'w').close()\n    return 'marked'\n")

RUDE = spec("rude", "def execute(input):\n    raise ValueError('\\x1b[2Jcleared')\n")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One store for all tests of this module, which change nothing in it."""
    it = Place(tmp_path_factory.mktemp("noether-run"))
    it.stages(ECHO, FAIL, MARKS, RUDE, *LOUD)
    for name in ("echo", "fail", "marks", "rude", *(each["name"] for each in LOUD)):
        it.graph(name, stage(name))
    yield it
    assert list((it.folder / "tmp").iterdir()) == []


def test_the_output_is_all_that_standard_output_carries(place: Place) -> None:
    ended = place.call("noether-run", "echo.json", "--input", json.dumps(VALUE))
    assert (ended.returncode, ended.stdout) == (0, VALUE_TEXT + "\n")
    assert ended.stderr == ""  # progress is for terminals


def test_an_output_of_null_is_printed(place: Place) -> None:
    place.graph("null", {"op": "Const", "value": None})
    ended = place.call("noether-run", "null.json")
    assert (ended.returncode, ended.stdout) == (0, "null\n")


@pytest.mark.parametrize("name", [each["name"] for each in LOUD])
def test_a_stage_that_prints_does_not_disturb(place: Place, name: str) -> None:
    if name == "loud_javascript" and shutil.which("node") is None:
        pytest.skip("node is not there")
    trace = place.folder / f"{name}.trace"
    command = ("noether-run", f"{name}.json", "--input", '{"a":1}', "--trace", str(trace))
    ended = place.call(*command)
    assert (ended.returncode, ended.stdout) == (0, '{"a":1}\n')
    (entry,) = json.loads(trace.read_text())["stages"]
    said = (entry["stdout_tail"] or "") + (entry["stderr_tail"] or "")
    assert "on loading" in said


@pytest.mark.parametrize("how", ["text", "file", "stdin"])
def test_input_as_text_as_file_and_from_standard_input(place: Place, how: str) -> None:
    text = json.dumps(VALUE, indent=3)
    (place.folder / "input.json").write_text(text, encoding="utf-8")
    words = {"text": text, "file": "@input.json", "stdin": "-"}
    stdin = text if how == "stdin" else ""
    ended = place.call("noether-run", "echo.json", "--input", words[how], stdin=stdin)
    assert (ended.returncode, ended.stdout) == (0, VALUE_TEXT + "\n")


def test_an_envelope_of_a_success(place: Place) -> None:
    ended = place.call("noether-run", "echo.json", "--input", "[1]", "--envelope")
    told = json.loads(ended.stdout)
    assert ended.returncode == 0
    assert set(told) == {"ok", "output", "composition_id", "duration_ms", "trace"}
    assert (told["ok"], told["output"]) == (True, [1])
    assert len(told["composition_id"]) == 64
    assert isinstance(told["duration_ms"], int)
    assert [entry["stage_name"] for entry in told["trace"]["stages"]] == ["echo"]


def test_an_envelope_of_a_failure(place: Place) -> None:
    ended = place.call("noether-run", "fail.json", "--envelope")
    told = json.loads(ended.stdout)
    assert ended.returncode == 1
    assert set(told) == {"ok", "error", "composition_id", "duration_ms", "trace"}
    assert told["ok"] is False
    assert "no such luck" in json.dumps(told["error"])
    assert told["trace"]["status"] == "Failed"


def test_a_failure_without_an_envelope_prints_nothing(place: Place) -> None:
    ended = place.call("noether-run", "fail.json")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert 'stage "fail" failed' in ended.stderr
    assert "no such luck" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_what_a_stage_says_moves_no_cursor(place: Place) -> None:
    ended = place.call("noether-run", "rude.json")
    assert ended.returncode == 1
    assert "\\x1b[2Jcleared" in ended.stderr
    assert "\x1b" not in ended.stderr


@pytest.mark.parametrize(("name", "code"), [("echo", 0), ("fail", 1)])
def test_the_trace_file_of_a_run(place: Place, name: str, code: int) -> None:
    path = place.folder / f"{name}.trace"
    ended = place.call("noether-run", f"{name}.json", "--trace", path.name)
    assert ended.returncode == code
    trace = json.loads(path.read_text())
    assert trace["status"] == ("Ok" if code == 0 else "Failed")
    (entry,) = trace["stages"]
    assert (entry["stage_name"], entry["path"], entry["attempt"]) == (name, "root", 1)
    assert entry["error_class"] == (None if code == 0 else "raised")


def test_a_trace_that_cannot_be_written_fails_the_command_but_not_the_output(place: Place) -> None:
    ended = place.call("noether-run", "echo.json", "--input", "1", "--trace", "nowhere/t.json")
    assert (ended.returncode, ended.stdout) == (1, "1\n")
    assert f"{place.folder}/nowhere/t.json" in ended.stderr


def test_a_dry_run_runs_nothing(place: Place) -> None:
    mark = place.folder / "mark"
    asked = ("noether-run", "marks.json", "--input", json.dumps(str(mark)))
    ended = place.call(*asked, "--dry-run")
    assert ended.returncode == 0
    assert "composition_id" in json.loads(ended.stdout)
    assert not mark.exists()
    assert place.call(*asked).stdout == '"marked"\n'
    assert mark.exists()


def test_a_dry_run_finds_what_is_wrong(place: Place) -> None:
    place.graph("unknown", stage("nobody"))
    ended = place.call("noether-run", "unknown.json", "--dry-run")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "nobody" in ended.stderr


def test_nobody_who_reads_the_output_is_no_disaster(place: Place) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [str(BIN / "noether-run"), "echo.json", "--input", '"' + "x" * 100_000 + '"']
    ended = subprocess.run(
        command,
        cwd=place.folder,
        env=place.environment(),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert "Traceback" not in ended.stderr
    assert ended.returncode >= 0


def test_nobody_who_reads_either_stream_is_no_disaster(place: Place, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    mark = tmp_path / "mark"
    ended = subprocess.run(
        [str(BIN / "noether-run"), "marks.json", "--input", json.dumps(str(mark))],
        cwd=place.folder,
        env=place.environment(),
        stdout=writer,
        stderr=writer,
        check=False,
    )
    os.close(writer)
    assert mark.exists()
    assert ended.returncode >= 0


@pytest.mark.parametrize(
    ("redirection", "code", "told"),
    [
        ("2>&-", 0, ""),
        ("<&- 2>&-", 0, ""),
        (">&-", 0, ""),
        (">/dev/full", 1, "error: the output cannot be printed: No space left on device\n"),
    ],
)
def test_streams_that_are_closed_or_full(
    place: Place, redirection: str, code: int, told: str
) -> None:
    place.graph("closed", {"op": "Const", "value": [1, 2]})
    ended = subprocess.run(
        ["sh", "-c", f"noether-run closed.json {redirection}"],
        cwd=place.folder,
        env=place.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (code, told)
    assert ended.stdout == ("" if redirection == ">&-" or code else "[1,2]\n")
