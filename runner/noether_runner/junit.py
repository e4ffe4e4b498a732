"""A run as a JUnit report, for CI systems that show test results: one test case per stage call.

The dialect is the one that Jenkins, GitLab and GitHub actions read: `testsuites`, one `testsuite`,
`testcase` with `skipped`, `failure` or `error`, `system-out` and `system-err`. A call that failed
and succeeded at a later attempt is `skipped`, so that a run which succeeded is green. What belongs
to no call (a graph that was refused, a run out of time) is a case named `run`, and a run without
any call has that case too.
"""

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Final, Literal

from noether_contract.lean_dataclass import dataclass
from noether_contract.messages import (
    ErrorRecord,
    RemoteEntry,
    RunReport,
    StageEntry,
    StageStarted,
)
from noether_contract.outcomes import ErrorCode

_OF_A_CALL: Final = frozenset(
    {
        ErrorCode.STAGE_FAILED,
        ErrorCode.STAGE_TIMED_OUT,
        ErrorCode.STAGE_NOT_FOUND,
        ErrorCode.BUDGET_EXCEEDED,
        ErrorCode.REMOTE_CALL_FAILED,
    }
)
"""Reasons of failed runs that the case of a call tells already."""

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML 1.0 document can hold, not even escaped (its production 2, `Char`)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a case is not simply green; `text` is for reading, line by line."""

    kind: Literal["skipped", "failure", "error"]
    reason: str
    message: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One test case; `seconds` is how long it took."""

    name: str
    seconds: float
    verdict: Verdict | None = None
    system_out: str = ""
    system_err: str = ""


def report_document(graph_name: str, report: RunReport, *, dry_run: bool = False) -> bytes:
    """The document of a run, however it ended: UTF-8 with its declaration."""
    cases = [] if dry_run else list(_call_cases(report))
    failed = any(case.verdict and case.verdict.kind != "skipped" for case in cases)
    error = report.error
    if not cases or (error and not (failed and error.code in _OF_A_CALL)):
        name = "dry run" if dry_run else "run"
        cases.append(Case(name, report.duration_ms / 1000, _run_verdict(error)))
    facts = {
        "run_id": report.run_id,
        "composition_id": report.composition_id,
        "status": report.status.value,
    }
    suite = _suite(graph_name, cases, report.duration_ms / 1000, facts)
    suite.set("timestamp", f"{datetime.fromisoformat(report.trace.started_at):%Y-%m-%dT%H:%M:%S}")
    return _document(suite)


def refusal_document(graph_name: str, message: str) -> bytes:
    """The document of a run that could not even be described, such as one without its graph."""
    verdict = Verdict("error", "refused", _first_line(message), message)
    return _document(_suite(graph_name, [Case("run", 0.0, verdict)], 0.0, {}))


def _run_verdict(error: ErrorRecord | None) -> Verdict | None:
    if error is None:
        return None
    return Verdict("error", error.code.value, _first_line(error.message), error.message)


def _call_cases(report: RunReport) -> Iterator[Case]:
    trace = report.trace
    last_success = {
        entry.path: number for number, entry in enumerate(trace.stages) if entry.status == "Ok"
    }
    names: Counter[str] = Counter()

    def unique(call: StageEntry | StageStarted | RemoteEntry) -> str:
        name = _name(call)
        names[name] += 1
        return name if names[name] == 1 else f"{name} ({names[name]})"

    for number, entry in enumerate(trace.stages):
        # the entries of one path stand in the order of time
        recovered = trace.error is None or number < last_success.get(entry.path, -1)
        yield _stage_case(unique(entry), entry, recovered=recovered)
    for started in trace.open_stages:
        seconds = max(0.0, trace.duration_ms - started.start_ms) / 1000
        message = "still running when the run ended"
        yield Case(unique(started), seconds, Verdict("error", "not_ended", message))
    for remote in trace.remote_calls:
        yield _remote_case(unique(remote), remote, recovered=trace.error is None)


def _name(call: StageEntry | StageStarted | RemoteEntry) -> str:
    if isinstance(call, RemoteEntry):
        return f"{call.url} [{call.path}]"
    attempt = f" attempt {call.attempt}" if call.attempt > 1 else ""
    return f"{call.stage_name or call.stage_id[:8]} [{call.path}]{attempt}"


def _stage_case(name: str, entry: StageEntry, *, recovered: bool) -> Case:
    verdict = None
    if entry.status != "Ok":
        message = entry.status.Failed.message
        verdict = Verdict(
            "skipped" if recovered else "failure",
            entry.error_class.value if entry.error_class else "failed",
            f"failed, and was not the end of it: {message}" if recovered else message,
            f"{message}\n\n{entry.error_traceback}" if entry.error_traceback else message,
        )
    warnings = "".join(f"warning: {text}\n" for text in entry.warnings)
    return Case(
        name,
        entry.duration_ms / 1000,
        verdict,
        entry.stdout_tail or "",
        warnings + (entry.stderr_tail or ""),
    )


def _remote_case(name: str, entry: RemoteEntry, *, recovered: bool) -> Case:
    verdict = None
    if not entry.ok:
        kind: Literal["skipped", "failure"] = "skipped" if recovered else "failure"
        message = entry.error or "the remote call failed"
        verdict = Verdict(kind, ErrorCode.REMOTE_CALL_FAILED.value, message)
    return Case(name, entry.duration_ms / 1000, verdict)


def _suite(
    graph_name: str, cases: list[Case], seconds: float, facts: dict[str, str | None]
) -> ET.Element:
    counted = Counter(case.verdict.kind for case in cases if case.verdict)
    suite = ET.Element("testsuite", name=_text(graph_name))
    suite.attrib |= {
        "tests": str(len(cases)),
        "failures": str(counted["failure"]),
        "errors": str(counted["error"]),
        "skipped": str(counted["skipped"]),
        "time": f"{seconds:.3f}",
    }
    known = {name: value for name, value in facts.items() if value is not None}
    if known:
        properties = ET.SubElement(suite, "properties")
        for name, value in known.items():
            ET.SubElement(properties, "property", name=name, value=_text(value))
    for case in cases:
        _add_case(suite, graph_name, case)
    return suite


def _add_case(suite: ET.Element, graph_name: str, case: Case) -> None:
    element = ET.SubElement(
        suite,
        "testcase",
        name=_text(case.name),
        classname=_text(graph_name),
        time=f"{case.seconds:.3f}",
    )
    verdict = case.verdict
    if verdict is not None:
        told = ET.SubElement(element, verdict.kind, message=_text(_first_line(verdict.message)))
        if verdict.kind != "skipped":
            told.set("type", verdict.reason)
        told.text = _text(verdict.text) or None
    for tag, text in (("system-out", case.system_out), ("system-err", case.system_err)):
        if text:
            ET.SubElement(element, tag).text = _text(text)


def _document(suite: ET.Element) -> bytes:
    counts = ("tests", "failures", "errors", "skipped", "time")
    suites = ET.Element("testsuites", {name: suite.attrib[name] for name in counts})
    suites.append(suite)
    ET.indent(suites)
    written: bytes = ET.tostring(suites, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _text(text: str) -> str:
    """The text with a visible sign for each character that XML cannot hold."""
    return _NOT_IN_XML.sub(lambda found: _sign_for(found.group()), text)


def _sign_for(character: str) -> str:
    """U+2400 and on picture the control characters; anything else is U+FFFD."""
    return chr(0x2400 + ord(character)) if ord(character) < 0x20 else "\ufffd"
