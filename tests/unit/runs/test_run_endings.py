"""The table of endings, row by row, without any process."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noether_contract.messages import (
    ErrorRecord,
    FileStoreRef,
    Limits,
    RunReport,
    RunRequest,
    StageStarted,
    Trace,
)
from noether_contract.outcomes import ErrorCode, RunStatus
from noether_supervisor.runs.endings import (
    Observed,
    Stopped,
    StopReason,
    exit_words,
    name_ending,
    never_started,
    seconds_words,
)
from noether_supervisor.runs.kept_events import Progress
from noether_supervisor.runs.stream import Told

STARTED_AT = datetime(2026, 4, 14, 8, 30, tzinfo=UTC)
REQUEST = RunRequest(
    run_id="job@20260414T083000Z",
    job="job",
    graph_text="{}",
    graph_path="/graph.json",
    store=FileStoreRef(path="/store.json"),
    cache_dir="/cache",
    work_dir="/work",
    limits=Limits(run_seconds=12.5),
)
OPEN = StageStarted(call=3, stage_id="a" * 64, path="root.stages[1]", start_ms=2.0)
OPEN_TWICE = Progress(composition_id="c" * 64, open=(OPEN, replace(OPEN, call=4)))


def report(status: RunStatus, code: ErrorCode | None = None) -> RunReport:
    return RunReport(
        run_id=REQUEST.run_id,
        status=status,
        composition_id="c" * 64,
        output=[1] if status is RunStatus.SUCCEEDED else None,
        error=None if code is None else ErrorRecord(code=code, message="why"),
        duration_ms=7,
        trace=Trace(composition_id=None, started_at="x", duration_ms=7, status="Ok"),
    )


def observed(
    exit_code: int | None,
    stopped: StopReason | None = None,
    told: Told | None = None,
    stderr_tail: str = "",
) -> Observed:
    return Observed(
        request=REQUEST,
        started_at=STARTED_AT,
        duration_ms=1234,
        exit_code=exit_code,
        stopped=None if stopped is None else Stopped(stopped),
        told=told or Told(progress=OPEN_TWICE),
        stderr_tail=stderr_tail,
    )


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [
        (RunStatus.SUCCEEDED, None, 0),
        (RunStatus.FAILED, ErrorCode.STAGE_FAILED, 1),
        (RunStatus.FAILED, ErrorCode.GRAPH_INVALID, 2),
        (RunStatus.TIMED_OUT, ErrorCode.RUN_TIMED_OUT, 124),
        (RunStatus.INTERRUPTED, ErrorCode.RUN_INTERRUPTED, 143),
    ],
)
def test_report_that_agrees(status: RunStatus, code: ErrorCode | None, exit_code: int) -> None:
    ending = name_ending(observed(exit_code, told=Told(report=report(status, code))))
    assert ending.status is status
    assert ending.notes == ()
    assert ending.duration_ms == 7
    assert ending.output == ([1] if status is RunStatus.SUCCEEDED else None)
    assert (ending.error is None) is (status is RunStatus.SUCCEEDED)


def test_report_without_an_exit_to_compare() -> None:
    told = Told(report=report(RunStatus.SUCCEEDED))
    assert name_ending(observed(None, told=told)).notes == ()


@pytest.mark.parametrize("stopped", [None, *StopReason])
def test_report_that_disagrees_counts_all_the_same(stopped: StopReason | None) -> None:
    told = Told(report=report(RunStatus.SUCCEEDED))
    ending = name_ending(observed(-9, stopped, told))
    assert ending.status is RunStatus.SUCCEEDED
    (note,) = ending.notes
    assert "signal 9 (SIGKILL)" in note
    assert ("sent by the service" in note) is (stopped is not None)


def test_failed_report_without_an_error_gets_one() -> None:
    ending = name_ending(observed(1, told=Told(report=report(RunStatus.FAILED))))
    assert ending.error is not None
    assert ending.error.code is ErrorCode.INTERNAL


@pytest.mark.parametrize(
    ("reason", "status", "code", "words"),
    [
        (StopReason.DEADLINE, RunStatus.TIMED_OUT, ErrorCode.RUN_TIMED_OUT, "within its 12.5 s"),
        (StopReason.MEMORY, RunStatus.OUT_OF_MEMORY, ErrorCode.RUN_OUT_OF_MEMORY, "more memory"),
        (StopReason.STOP, RunStatus.INTERRUPTED, ErrorCode.RUN_INTERRUPTED, "told to stop"),
        (StopReason.REPLACED, RunStatus.INTERRUPTED, ErrorCode.RUN_INTERRUPTED, "later fire"),
        (StopReason.FORCED, RunStatus.INTERRUPTED, ErrorCode.RUN_INTERRUPTED, "at once"),
        (StopReason.FLOOD, RunStatus.CRASHED, ErrorCode.RUNNER_CRASHED, "without end"),
        (StopReason.SWARM, RunStatus.CRASHED, ErrorCode.RUNNER_CRASHED, "forked without end"),
    ],
)
def test_killed_by_us(reason: StopReason, status: RunStatus, code: ErrorCode, words: str) -> None:
    ending = name_ending(observed(-9, reason))
    assert ending.status is status
    assert ending.error is not None
    assert ending.error.code is code
    assert words in ending.error.message
    assert ending.error.message.endswith(
        f"Still running: stage {'a' * 64} at root.stages[1] and 1 more."
    )
    assert ending.trace is not None
    assert ending.trace.incomplete
    assert ending.trace.open_stages == OPEN_TWICE.open
    assert ending.trace.started_at == "2026-04-14T08:30:00.000+00:00"
    assert ending.trace.ended_at == "2026-04-14T08:30:01.234+00:00"
    assert ending.trace.error == ending.error
    assert ending.composition_id == "c" * 64
    assert ending.duration_ms == 1234


@pytest.mark.parametrize("reason", [StopReason.DEADLINE, StopReason.MEMORY, StopReason.FORCED])
def test_own_death_just_before_our_kill_is_a_crash(reason: StopReason) -> None:
    assert name_ending(observed(-11, reason)).status is RunStatus.CRASHED
    assert name_ending(observed(1, reason)).status is RunStatus.CRASHED


@pytest.mark.parametrize("exit_code", [0, 1, 143, -15, -9, None])
def test_whoever_was_asked_to_end_was_interrupted(exit_code: int | None) -> None:
    assert name_ending(observed(exit_code, StopReason.STOP)).status is RunStatus.INTERRUPTED


def test_crash_tells_the_end_of_standard_error() -> None:
    ending = name_ending(observed(3, stderr_tail="a\nb\n"))
    assert ending.error is not None
    assert ending.error.message.endswith("The end of its standard error:\na\nb")
    assert "exit code 3" in ending.error.message


def test_crash_without_a_word_says_so() -> None:
    ending = name_ending(observed(-9))
    assert ending.error is not None
    assert "did not come from the service" in ending.error.message
    assert ending.error.message.endswith("It wrote nothing on standard error.")


def test_dropped_lines_are_noted() -> None:
    assert "1 line of" in name_ending(observed(0, told=Told(dropped=1))).notes[0]
    assert "2 lines of" in name_ending(observed(0, told=Told(dropped=2))).notes[0]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (ErrorCode.GRAPH_UNREADABLE, RunStatus.FAILED),
        (ErrorCode.RUNNER_CRASHED, RunStatus.CRASHED),
    ],
)
def test_never_started(code: ErrorCode, status: RunStatus) -> None:
    ending = never_started(ErrorRecord(code=code, message="why"), STARTED_AT)
    assert ending.status is status
    assert ending.started_at == STARTED_AT


@pytest.mark.parametrize(
    ("exit_code", "words"),
    [
        (0, "exit code 0"),
        (-11, "signal 11 (SIGSEGV)"),
        (-40, "signal 40"),
        (None, "an unknown status"),
    ],
)
def test_exit_words(exit_code: int | None, words: str) -> None:
    assert exit_words(exit_code) == words


def test_seconds_words() -> None:
    assert [seconds_words(value) for value in (300.0, 0.5, 1e7)] == ["300 s", "0.5 s", "10000000 s"]


@given(
    exit_code=st.none() | st.integers(-64, 255),
    stopped=st.none() | st.sampled_from(StopReason),
    reported=st.none() | st.sampled_from([RunStatus.SUCCEEDED, RunStatus.FAILED]),
)
def test_every_ending_is_terminal_and_explained(
    exit_code: int | None, stopped: StopReason | None, reported: RunStatus | None
) -> None:
    told = Told() if reported is None else Told(report=report(reported))
    ending = name_ending(observed(exit_code, stopped, told))
    assert ending.status.is_terminal
    assert (ending.error is None) is (ending.status is RunStatus.SUCCEEDED)
    assert ending.trace is not None
    assert ending.trace.incomplete is (reported is None)
