"""What the facts about an ended process mean, fact by fact (`runtimes.md` §7.9)."""

import json
import signal
from typing import Any

import pytest

from noether_contract.outcomes import ErrorClass, ErrorCode
from noether_runner.errors import StageError
from noether_runner.languages.bash import Bash
from noether_runner.languages.javascript import JavaScript
from noether_runner.languages.language import Language
from noether_runner.languages.python import Python
from noether_runner.languages.table import find_language
from noether_runner.languages.verdict import judge, number_text
from noether_runner.sandbox.calls import ChildResult, EndedFor
from noether_runner.sandbox.limits import StageLimits
from noether_runner.sandbox.logs import Log

LIMITS = StageLimits(wall_seconds=30, cpu_seconds=2)
PYTHON = Python()


def ended(**facts: Any) -> ChildResult:
    return ChildResult(**{"stdout": Log(), "stderr": Log(), "wait_status": 0, **facts})


def told(**members: Any) -> bytes:
    return json.dumps({"class": "raised", "message": "E: x", **members}).encode()


def failure(result: ChildResult, language: Language = PYTHON) -> StageError:
    with pytest.raises(StageError) as caught:
        judge(result, language, LIMITS, "interrupted")
    return caught.value


@pytest.mark.parametrize("ending", [None, EndedFor.LINGERED])
def test_a_result(ending: EndedFor | None) -> None:
    status = 9 if ending else 0
    result = ended(result=b'{"a": [1, 1.0]}', ended_for=ending, wait_status=status)
    assert judge(result, PYTHON, LIMITS, None) == {"a": [1, 1.0]}


@pytest.mark.parametrize(
    ("facts", "kind", "says"),
    [
        ({"wait_status": 0}, ErrorClass.EXITED, "exited with status 0 before returning a result"),
        ({"wait_status": 3 << 8}, ErrorClass.EXITED, "exited with status 3 before"),
        ({"wait_status": 3 << 8, "result": b"1"}, ErrorClass.EXITED, "after returning its result"),
        ({"answer_incomplete": True}, ErrorClass.PROTOCOL, "in the middle of its answer"),
        ({"wait_status": 11}, ErrorClass.CRASHED, "killed by signal 11 (SIGSEGV)"),
        ({"wait_status": 11, "result": b"1"}, ErrorClass.CRASHED, "SIGSEGV"),
        ({"wait_status": 40}, ErrorClass.CRASHED, "SIGRTMIN+6"),
        ({"wait_status": None}, ErrorClass.CRASHED, "watched over the stage was killed"),
        ({"wait_status": int(signal.SIGXCPU)}, ErrorClass.CPU_LIMIT, "more than 2s of CPU"),
        ({"wait_status": 9, "cpu_ms": 2500.0}, ErrorClass.CPU_LIMIT, "more than 2s of CPU"),
        ({"wait_status": 9, "cpu_ms": 10.0}, ErrorClass.CRASHED, "SIGKILL"),
        ({"not_started": "no memory"}, ErrorClass.RUNTIME_UNAVAILABLE, "no memory"),
        ({"ended_for": EndedFor.STAGE_DEADLINE}, ErrorClass.TIMEOUT, "timed out after 30s"),
        ({"ended_for": EndedFor.RUN_DEADLINE}, ErrorClass.CANCELLED, "run reached its time limit"),
        ({"ended_for": EndedFor.CANCELLED}, ErrorClass.CANCELLED, "interrupted"),
        ({"ended_for": EndedFor.OUTPUT_TOO_LARGE}, ErrorClass.OUTPUT_TOO_LARGE, "10485760 bytes"),
        ({"error": told()}, ErrorClass.RAISED, "E: x"),
        ({"error": told(), "result": b"1"}, ErrorClass.RAISED, "E: x"),
        ({"error": told(**{"class": "memory"})}, ErrorClass.MEMORY, "1024 MiB"),
        ({"error": told(**{"class": "start_failed"})}, ErrorClass.RUNTIME_UNAVAILABLE, "started"),
        ({"error": told(**{"class": "invented"})}, ErrorClass.PROTOCOL, "damaged"),
        ({"error": b"no json"}, ErrorClass.PROTOCOL, "damaged"),
        ({"error": b"[]"}, ErrorClass.PROTOCOL, "damaged"),
        ({"result": b"[1"}, ErrorClass.INVALID_OUTPUT, "not JSON"),
        ({"result": b""}, ErrorClass.INVALID_OUTPUT, "not JSON"),
    ],
)
def test_a_failure(facts: dict[str, Any], kind: ErrorClass, says: str) -> None:
    error = failure(ended(**facts))
    assert error.error_class is kind
    assert says in error.message


def test_the_codes_that_the_run_is_told() -> None:
    codes = {ending: failure(ended(ended_for=ending)).code for ending in list(EndedFor)[:3]}
    assert codes == {
        EndedFor.STAGE_DEADLINE: ErrorCode.STAGE_TIMED_OUT,
        EndedFor.RUN_DEADLINE: ErrorCode.RUN_TIMED_OUT,
        EndedFor.CANCELLED: ErrorCode.RUN_INTERRUPTED,
    }


def test_a_limit_counts_before_an_answer() -> None:
    result = ended(ended_for=EndedFor.STAGE_DEADLINE, error=told(), result=b"1", wait_status=15)
    assert failure(result).error_class is ErrorClass.TIMEOUT


def test_type_and_traceback_are_kept() -> None:
    error = failure(ended(error=told(type="KeyError", traceback="Traceback ...")))
    assert (error.error_type, error.traceback) == ("KeyError", "Traceback ...")


def test_what_is_shown_of_a_result_that_is_no_json() -> None:
    error = failure(ended(result=b"x" * 5000))
    assert len(error.message) < 400
    assert "…" in error.message


def test_bash_reads_statuses_as_errors_of_the_script() -> None:
    said = Log(b"line 1\nwhy\n")
    error = failure(ended(wait_status=2 << 8, stderr=said, streamed=True), Bash())
    assert (error.error_class, error.message) == (
        ErrorClass.RAISED,
        "exited with status 2: line 1\nwhy",
    )
    assert failure(ended(wait_status=1 << 8), Bash()).error_class is ErrorClass.LOAD_ERROR
    assert failure(ended(wait_status=11, streamed=True), Bash()).error_class is ErrorClass.CRASHED


def test_bash_takes_the_log_for_want_of_a_result() -> None:
    silent = {"streamed": True, "result": b" \n"}
    assert judge(ended(stdout=Log(b"[1]\n"), **silent), Bash(), LIMITS, None) == [1]
    assert failure(ended(stdout=Log(b"[1"), **silent), Bash()).error_class is (
        ErrorClass.INVALID_OUTPUT
    )
    cut = Log(b"1", b"", dropped=10)
    assert failure(ended(stdout=cut, **silent), Bash()).error_class is ErrorClass.INVALID_OUTPUT


def test_node_says_when_its_heap_is_full() -> None:
    words = Log(
        b"FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory"
    )
    error = failure(ended(wait_status=6, stderr=words), JavaScript())
    assert error.error_class is ErrorClass.MEMORY
    assert failure(ended(wait_status=6), JavaScript()).error_class is ErrorClass.CRASHED


@pytest.mark.parametrize(
    ("seconds", "text"), [(30, "30"), (30.0, "30"), (0.6, "0.6"), (1.5, "1.5"), (100000, "100000")]
)
def test_seconds_are_written_short(seconds: float, text: str) -> None:
    assert number_text(seconds) == text


@pytest.mark.parametrize(
    ("tag", "name", "warns"),
    [
        ("python", "python", False),
        ("python3", "python", False),
        ("", "python", False),
        ("py", "python", True),
        ("PYTHON", "python", True),
        ("js", "javascript", False),
        ("node", "javascript", True),
        ("sh", "bash", False),
        ("Bash", "bash", True),
        (None, "python", True),
    ],
)
def test_tags(tag: str | None, name: str, warns: bool) -> None:
    language, warnings = find_language(tag)
    assert language.name == name
    assert bool(warnings) is warns


@pytest.mark.parametrize("tag", ["ruby", "python4", " python", "perl"])
def test_tags_nobody_knows(tag: str) -> None:
    with pytest.raises(StageError) as caught:
        find_language(tag)
    assert caught.value.error_class is ErrorClass.RUNTIME_UNAVAILABLE
