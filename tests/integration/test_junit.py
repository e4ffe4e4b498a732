"""`noether-run --junit`: the report that CI systems read, of runs that go well and that do not."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noether_contract.messages import (
    ErrorRecord,
    FailedStatus,
    RemoteEntry,
    RunReport,
    StageEntry,
    StageFailure,
    StageStarted,
    Trace,
)
from noether_contract.outcomes import ErrorClass, ErrorCode, RunStatus
from noether_runner.junit import refusal_document, report_document
from process_watch import nothing_left
from running_service import Ended, Place
from service_stages import ECHO, FAIL, spec, stage

FLAKY = spec(
    "flaky",
    "import os, sys\n\ndef execute(input):\n    try:\n        os.mkdir(input)\n"
    "    except FileExistsError:\n        return 'second'\n"
    "    print('out of the first')\n    print('err', file=sys.stderr)\n"
    "    raise RuntimeError('not yet')\n",
)
NOISY = spec(
    "noisy",
    "def execute(input):\n    print('\\x1b[1mbold\\x1b[0m \\x00 & <tag> ]]> \\ufffe')\n"
    "    raise ValueError('bell \\x07 & <b>')\n",
)
SLEEPS = spec("sleeps", "import signal\n\ndef execute(input):\n    signal.pause()\n")

COUNTS = ("tests", "failures", "errors", "skipped")
SUITE_MEMBERS = {"name", *COUNTS, "time", "timestamp"}
SECONDS = re.compile(r"\d+\.\d{3}")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    it = Place(tmp_path_factory.mktemp("junit"))
    it.stages(ECHO, FAIL, FLAKY, NOISY, SLEEPS)
    with nothing_left():
        yield it


def checked(document: bytes) -> list[ET.Element]:
    """The cases of a report whose structure is that of the common JUnit schema."""
    assert document.startswith(b"<?xml version='1.0' encoding='utf-8'?>\n")
    suites = ET.fromstring(document)
    assert (suites.tag, set(suites.attrib)) == ("testsuites", {*COUNTS, "time"})
    (suite,) = suites
    assert suite.tag == "testsuite"
    assert SUITE_MEMBERS - {"timestamp"} <= set(suite.attrib) <= SUITE_MEMBERS
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp", "2026-01-01T00:00:00")
    )
    rest = list(suite)
    if rest[0].tag == "properties":
        for each in rest.pop(0):
            assert (each.tag, set(each.attrib)) == ("property", {"name", "value"})
    for case in rest:
        assert (case.tag, set(case.attrib)) == ("testcase", {"name", "classname", "time"})
        assert case.get("classname") == suite.get("name")
        assert SECONDS.fullmatch(case.get("time", ""))
        tags = [child.tag for child in case]
        assert len(tags) == len(set(tags))
        order = ["skipped", "error", "failure", "system-out", "system-err"]
        assert tags == sorted(tags, key=order.index)
        assert len({"skipped", "error", "failure"} & set(tags)) <= 1
        for child in case:
            told = {"skipped": {"message"}, "error": {"message", "type"}}
            told["failure"] = told["error"]
            assert set(child.attrib) == told.get(child.tag, set())
    names = [case.get("name") for case in rest]
    assert len(names) == len(set(names)), names
    tags = [child.tag for case in rest for child in case]
    wanted = [len(rest), tags.count("failure"), tags.count("error"), tags.count("skipped")]
    for element in (suites, suite):
        assert [int(element.get(name, "")) for name in COUNTS] == wanted
        assert SECONDS.fullmatch(element.get("time", ""))
    return rest


def run(place: Place, name: str, *words: str) -> tuple[Ended, list[ET.Element]]:
    """A run of a graph with a report: how it ended, and the cases."""
    path = place.folder / f"{name}.xml"
    ended = place.call("noether-run", f"{name}.json", "--junit", path.name, *words)
    return ended, checked(path.read_bytes())


def verdicts(cases: list[ET.Element]) -> dict[str, str]:
    """Case by case what it says: its name to `ok`, `skipped`, `failure` or `error`."""
    return {case.get("name", ""): case[0].tag if len(case) else "ok" for case in cases}


def test_every_stage_call_is_a_case(place: Place) -> None:
    branches = {"a": stage("echo"), "b": {"op": "Const", "value": 1}, "c": stage("echo")}
    steps = [{"op": "Parallel", "branches": branches}, stage("echo", config={"d": 4})]
    place.graph("well", {"op": "Sequential", "stages": steps})
    ended, cases = run(place, "well", "--input", "5")
    assert ended.returncode == 0
    assert ended.stdout == '{"a":5,"b":1,"c":5,"d":4}\n'
    assert verdicts(cases) == {
        "echo [root.stages[0].branches.a]": "ok",
        "echo [root.stages[0].branches.c]": "ok",
        "echo [root.stages[1]]": "ok",
    }
    assert {case.get("classname") for case in cases} == {"well"}


def test_a_failed_stage_is_a_failure_with_its_traceback(place: Place) -> None:
    place.graph("failing", {"op": "Sequential", "stages": [stage("echo"), stage("fail")]})
    ended, cases = run(place, "failing")
    assert ended.returncode == 1
    assert verdicts(cases) == {"echo [root.stages[0]]": "ok", "fail [root.stages[1]]": "failure"}
    failure = cases[1][0]
    assert failure.get("type") == "raised"
    assert "no such luck" in failure.get("message", "")
    assert "in execute" in (failure.text or "")
    assert "raise ValueError('no such luck')" in (failure.text or "")


def test_a_call_that_succeeded_later_does_not_make_a_green_run_red(place: Place) -> None:
    place.graph("flaky", {"op": "Retry", "stage": stage("flaky"), "max_attempts": 3})
    ended, cases = run(place, "flaky", "--input", f'"{place.folder}/flag"')
    assert (ended.returncode, ended.stdout) == (0, '"second"\n')
    assert verdicts(cases) == {
        "flaky [root.stage]": "skipped",
        "flaky [root.stage] attempt 2": "ok",
    }
    skipped, out, err = cases[0]
    assert "not yet" in skipped.get("message", "")
    assert (out.text, err.text) == ("out of the first\n", "err\n")


def test_control_characters_and_markup_are_no_danger(place: Place) -> None:
    place.graph("noisy", stage("noisy"))
    ended, (case,) = run(place, "noisy")
    assert ended.returncode == 1
    failure, out = case
    assert "bell ␇ & <b>" in failure.get("message", "")
    assert out.text == "␛[1mbold␛[0m ␀ & <tag> ]]> \ufffd\n"


@pytest.mark.parametrize(
    ("name", "root", "kind"),
    [
        ("unresolved", stage("nobody"), "reference_unresolved"),
        ("empty", {"op": "Sequential", "stages": []}, "graph_invalid"),
        ("nonsense", {"op": "Loop"}, "graph_invalid"),
    ],
)
def test_a_refused_run_is_one_error(place: Place, name: str, root: Any, kind: str) -> None:
    place.graph(name, root)
    ended, (case,) = run(place, name)
    assert (ended.returncode, case.get("name")) == (2, "run")
    error = case[0]
    assert (error.tag, error.get("type")) == ("error", kind)
    assert (error.text or "") in ended.stderr


def test_a_graph_that_is_not_there_is_one_error(place: Place) -> None:
    ended, (case,) = run(place, "absent")
    assert (ended.returncode, case.get("name"), case[0].tag) == (2, "run", "error")
    assert "cannot be read" in case[0].get("message", "")


def test_a_run_out_of_time_says_so_beside_its_calls(place: Place) -> None:
    place.graph("slow", {"op": "Sequential", "stages": [stage("echo"), stage("sleeps")]})
    ended, cases = run(place, "slow", "--timeout", "0.5")
    assert ended.returncode == 124
    told = verdicts(cases)
    assert told["run"] == "error"
    assert cases[-1][0].get("type") == "run_timed_out"


def test_a_dry_run_is_one_case(place: Place) -> None:
    place.graph("dry", stage("echo"))
    ended, cases = run(place, "dry", "--dry-run")
    assert (ended.returncode, verdicts(cases)) == (0, {"dry run": "ok"})
    place.graph("dry-wrong", stage("nobody"))
    ended, cases = run(place, "dry-wrong", "--dry-run")
    assert (ended.returncode, verdicts(cases)) == (2, {"dry run": "error"})


def test_a_graph_without_stages_has_a_case_too(place: Place) -> None:
    place.graph("const", {"op": "Const", "value": 1})
    ended, cases = run(place, "const")
    assert (ended.returncode, verdicts(cases)) == (0, {"run": "ok"})


def test_a_file_that_cannot_be_written_fails_the_command(place: Place) -> None:
    place.graph("kept", {"op": "Const", "value": 1})
    ended = place.call("noether-run", "kept.json", "--junit", "nowhere/report.xml")
    assert (ended.returncode, ended.stdout) == (1, "1\n")
    assert f"the JUnit report cannot be written to {place.folder}/nowhere" in ended.stderr


# texts and traces that no real run gives in a hurry

texts = st.text(st.characters(), max_size=20)


def entry(path: str, message: str | None = None, **members: Any) -> StageEntry:
    failed = None if message is None else FailedStatus(Failed=StageFailure(message=message))
    given = {"stage_id": "0123456789", "step_index": 0, "duration_ms": 1500, "path": path}
    nothing = {"input_hash": None, "output_hash": None}
    return StageEntry(**{**given, **nothing, "status": failed or "Ok", **members})


def report(trace: Trace, code: ErrorCode | None = None) -> RunReport:
    error = None if code is None else ErrorRecord(code=code, message="two\nlines")
    status = RunStatus.SUCCEEDED if error is None else RunStatus.FAILED
    given = replace(trace, error=error)
    return RunReport(run_id="x@1", status=status, error=error, duration_ms=2000, trace=given)


def trace(**members: Any) -> Trace:
    started = "2026-04-14T08:30:00.123456+00:00"
    return Trace(composition_id=None, started_at=started, duration_ms=2000, status="Ok", **members)


@given(texts, texts, texts, texts)
def test_any_text_makes_a_valid_document(name: str, message: str, tail: str, path: str) -> None:
    members = {"stage_name": name, "stdout_tail": tail, "stderr_tail": tail, "warnings": (tail,)}
    failed = entry(path, message, error_traceback=tail, **members)
    checked(report_document(name, report(trace(stages=(failed,)), ErrorCode.STAGE_FAILED)))
    checked(report_document(name, report(trace(stages=(failed, failed)), ErrorCode.INTERNAL)))
    checked(refusal_document(name, message))


def test_calls_of_one_name_are_told_apart_and_times_are_seconds() -> None:
    given = report(trace(stages=(entry("root"), entry("root"), entry("root", attempt=2))))
    cases = checked(report_document("g", given))
    assert [case.get("name") for case in cases] == [
        "01234567 [root]",
        "01234567 [root] (2)",
        "01234567 [root] attempt 2",
    ]
    assert {case.get("time") for case in cases} == {"1.500"}


def test_only_what_succeeded_later_is_forgiven_in_a_failed_run() -> None:
    stages = (
        entry("root.a", "first"),
        entry("root.a", attempt=2),
        entry("root.b", "first", error_class=ErrorClass.TIMEOUT),
        entry("root.b", "second", attempt=2, error_class=ErrorClass.TIMEOUT),
    )
    cases = checked(report_document("g", report(trace(stages=stages), ErrorCode.STAGE_FAILED)))
    assert list(verdicts(cases).values()) == ["skipped", "ok", "failure", "failure"]
    assert cases[3][0].get("type") == "timeout"


def test_calls_that_never_ended_and_remote_calls_are_cases() -> None:
    opened = StageStarted(call=1, stage_id="i", stage_name="open", path="root.a", start_ms=500.0)
    remote = RemoteEntry(
        url="http://there", path="root.b", start_ms=0, duration_ms=40, ok=False, error="refused"
    )
    given = trace(open_stages=(opened,), remote_calls=(remote,))
    cases = checked(report_document("g", report(given, ErrorCode.RUN_INTERRUPTED)))
    assert verdicts(cases) == {
        "open [root.a]": "error",
        "http://there [root.b]": "failure",
        "run": "error",
    }
    assert cases[0].get("time") == "1.500"
    assert cases[2][0].get("message") == "two"
    assert cases[2][0].text == "two\nlines"


def test_the_suite_names_the_run(tmp_path: Path) -> None:
    suite = ET.fromstring(report_document("g", report(trace())))[0]
    assert suite.get("timestamp") == "2026-04-14T08:30:00"
    found = {each.get("name"): each.get("value") for each in suite[0]}
    assert found == {"run_id": "x@1", "status": "succeeded"}
