"""`noether-stage test`: the examples of stages through the real executor (`stages.md` §6.10)."""

import json
import os
import select
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from process_watch import nothing_left
from running_service import BIN, PATIENCE_SECONDS, Ended, Place
from service_stages import spec

DOUBLE = "def execute(input):\n    return input * 2\n"


def example(argument: Any, output: Any) -> dict[str, Any]:
    return {"input": argument, "output": output}


def pure(name: str, code: str, *examples: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A spec that is tested by its examples."""
    return spec(name, code, effects=["Pure"], examples=list(examples), **members)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    it = Place(tmp_path)
    with nothing_left():
        yield it
    assert list((tmp_path / "tmp").iterdir()) == []


def report_of(place: Place, *words: str, **environment: str) -> tuple[Ended, dict[str, Any]]:
    """How the command ended, and its report with the stages by name."""
    ended = place.call("noether-stage", "test", *words, environment=environment)
    envelope = json.loads(ended.stdout)
    assert list(envelope) == ["ok", "command", "data", "meta"]
    report = envelope["data"]
    assert envelope["ok"] is (report["failed"] == 0 and "unreadable" not in report)
    assert ended.returncode == (0 if envelope["ok"] else 1)
    return ended, {**report, "stages": {each["name"]: each for each in report["stages"]}}


def counts(report: dict[str, Any]) -> tuple[int, int, int, int]:
    return (report["total"], report["passed"], report["failed"], report["skipped"])


def test_examples_that_hold_and_examples_that_do_not(place: Place) -> None:
    place.stages(
        pure("right", DOUBLE, example(2, 4), example("ab", "abab")),
        pure("wrong", DOUBLE, example(2, 4), example([1], [1, 2])),
        pure("raises", "def execute(input):\n    return 1 / input\n", example(0, 0), example(1, 1)),
    )
    ended, report = report_of(place)
    assert counts(report) == (3, 1, 2, 0)
    assert report["stages"]["right"]["status"] == "passed"
    assert report["stages"]["right"]["details"] == {"examples": 2, "all_match": True}
    assert report["stages"]["wrong"]["details"] == {
        "examples": 2,
        "failures": [{"index": 1, "kind": "mismatch", "expected": [1, 2], "actual": [1, 1]}],
    }
    (failure,) = report["stages"]["raises"]["details"]["failures"]
    assert (failure["index"], failure["kind"]) == (0, "error")
    assert "ZeroDivisionError: division by zero" in failure["message"]
    assert failure["error_class"] == "raised"
    assert "in execute" in failure["traceback"]
    assert "✓ right: 2 examples" in ended.stderr
    assert "examples[1]: expected [1,2], got [1,1]" in ended.stderr


def test_values_are_compared_in_canonical_form(place: Place) -> None:
    code = "def execute(input):\n    return input\n"
    same = example({"b": 1, "a": [1.0, 1e2]}, {"a": [1, 100], "b": 1.0})
    place.stages(pure("same", code, same), pure("other", code, example(True, 1)))
    _, report = report_of(place)
    assert report["stages"]["same"]["status"] == "passed"
    assert report["stages"]["other"]["status"] == "failed"


@pytest.mark.parametrize("effect", ["Network", "Llm", "NonDeterministic", "Process"])
def test_what_cannot_be_repeated_is_skipped(place: Place, effect: str) -> None:
    place.stages(spec("varies", DOUBLE, effects=["Pure", effect], examples=[example(1, 3)]))
    ended, report = report_of(place)
    assert counts(report) == (1, 0, 0, 1)
    assert report["stages"]["varies"]["details"]["reason"].startswith(f"effect {effect}")
    assert "varies: skipped" in ended.stderr


def test_the_first_reason_to_skip_is_told(place: Place) -> None:
    place.stages(
        spec("bare", DOUBLE, effects=["Network"]),
        spec("many", DOUBLE, effects=["Process", "Llm", "Network"], examples=[example(1, 2)]),
        pure("nobody", "x", example(1, 2), language="cobol"),
    )
    _, report = report_of(place)
    reasons = {name: each["details"]["reason"] for name, each in report["stages"].items()}
    assert reasons["bare"] == "no examples"
    assert reasons["many"].startswith("effect Llm")
    assert reasons["nobody"].startswith("no implementation: unknown language 'cobol'")


def test_a_language_without_its_program_is_skipped(place: Place) -> None:
    place.stages(pure("shell", "execute() { echo 2; }\n", example(1, 2), language="bash"))
    empty = place.folder / "empty"
    empty.mkdir()
    _, report = report_of(place, PATH=str(empty))
    reason = report["stages"]["shell"]["details"]["reason"]
    assert reason.startswith("no implementation: the interpreter 'bash' is not on")


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("javascript", "const execute = async (input) => input * 2;\n"),
        ("bash", "execute() { echo $(( $1 * 2 )); }\n"),
    ],
)
def test_stages_in_other_languages(place: Place, language: str, code: str) -> None:
    program = {"javascript": "node", "bash": "bash"}[language]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not there")
    place.stages(pure("double", code, example(2, 4), language=language))
    _, report = report_of(place)
    assert report["stages"]["double"]["status"] == "passed"


def test_one_stage_by_name_prefix_or_id_in_any_state(place: Place) -> None:
    place.write("specs/draft.json", pure("draft", DOUBLE, example(1, 2)))
    added = place.call("noether-stage", "add", "--draft", "specs/draft.json")
    stage_id = json.loads(added.stdout)["data"]["id"]
    _, report = report_of(place)
    assert counts(report) == (0, 0, 0, 0)
    for reference in ("draft", stage_id[:8], stage_id):
        _, report = report_of(place, reference)
        assert counts(report) == (1, 1, 0, 0)
        assert report["stages"]["draft"]["id"] == stage_id[:8]


def test_standard_stages_have_examples_too(place: Place) -> None:
    _, report = report_of(place, "text_upper")
    assert report["stages"]["text_upper"]["details"] == {"examples": 5, "all_match": True}


def test_limits_of_a_stage_hold(place: Place) -> None:
    code = "def execute(input):\n    return bytearray(4 * 1024 ** 3)\n"
    place.stages(pure("greedy", code, example(1, 1)))
    _, report = report_of(place)
    (failure,) = report["stages"]["greedy"]["details"]["failures"]
    assert failure["error_class"] == "memory"


def test_code_that_is_not_what_the_id_names_does_not_run(place: Place) -> None:
    place.stages(pure("double", DOUBLE, example(1, 2)))
    path = place.folder / ".noether" / "store.json"
    path.write_text(path.read_text().replace("input * 2", "input * 9"))
    _, report = report_of(place)
    (failure,) = report["stages"]["double"]["details"]["failures"]
    assert failure["kind"] == "error"
    assert "implementation_hash" in failure["message"]


def test_records_that_cannot_be_read_fail_the_test_of_all(place: Place) -> None:
    place.stages(pure("double", DOUBLE, example(1, 2)))
    path = place.folder / ".noether" / "store.json"
    store = json.loads(path.read_text())
    store["stages"].append({"id": "f" * 64})
    path.write_text(json.dumps(store))
    _, report = report_of(place)
    assert counts(report) == (1, 1, 0, 0)
    assert len(report["unreadable"]) == 1
    ended, _ = report_of(place, "double")
    assert ended.returncode == 0


def test_a_stage_or_a_store_that_is_not_there(place: Place) -> None:
    ended, report = report_of(place, "--store", "nowhere.json")
    assert counts(report) == (0, 0, 0, 0)
    assert f"there is no store {place.folder}/nowhere.json" in ended.stderr
    ended = place.call("noether-stage", "test", "text_uper")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "text_upper" in ended.stderr


def first_word(gate: Path, running: subprocess.Popen[str]) -> bytes:
    """What is written to a FIFO first; nothing when the process ends before."""
    reader, process = os.open(gate, os.O_RDONLY | os.O_NONBLOCK), os.pidfd_open(running.pid)
    try:
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        poll.register(process, select.POLLIN)
        poll.poll(PATIENCE_SECONDS * 1000)
        return os.read(reader, 100)
    finally:
        os.close(reader)
        os.close(process)


def test_an_interrupt_ends_it_at_once(place: Place) -> None:
    code = (
        "import os, signal\n\ndef execute(input):\n"
        "    with open(input, 'w') as gate:\n        gate.write('here')\n    signal.pause()\n"
    )
    gate = place.folder / "gate"
    os.mkfifo(gate)
    place.stages(pure("waits", code, example(str(gate), 1)))
    with subprocess.Popen(
        [str(BIN / "noether-stage"), "test"],
        cwd=place.folder,
        env=place.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        met = first_word(gate, running)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=PATIENCE_SECONDS)
    assert met == b"here", err
    assert (running.returncode, out) == (130, "")
    assert json.loads(err)["error"]["message"] == "stopped by a signal; 0 of 1 stages were tested"
