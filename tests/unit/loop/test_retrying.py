"""The account of one fire's attempts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noether_contract.messages import ErrorRecord, FileStoreRef, RunRequest, Usage
from noether_contract.outcomes import ErrorCode, RunStatus
from noether_supervisor.config import RetrySettings
from noether_supervisor.records import RunEnding
from noether_supervisor.retrying import Attempts
from noether_supervisor.runs.endings import StopReason

EIGHT = datetime(2026, 4, 14, 8, tzinfo=UTC)
REQUEST = RunRequest(
    run_id="digest@20260414T080000Z",
    graph_text="{}",
    graph_path="/g.json",
    store=FileStoreRef(path="/s.json"),
    cache_dir="/c",
    work_dir="/w/abc",
)


def ending(
    status: RunStatus = RunStatus.FAILED,
    code: ErrorCode | None = ErrorCode.STAGE_FAILED,
    after_seconds: float = 0,
    **members: Any,
) -> RunEnding:
    error = None if code is None else ErrorRecord(code=code, message="no such luck")
    usage = Usage(cpu_ms=10, peak_memory_bytes=100, stage_calls=2)
    return RunEnding(
        status,
        EIGHT + timedelta(seconds=after_seconds),
        1500,
        error=error,
        usage=usage,
        **members,
    )


def retry(attempts: int = 3, delay: float = 10, backoff: float = 2) -> RetrySettings:
    return RetrySettings(attempts=attempts, delay=delay, backoff=backoff)


def test_without_retry_there_is_one_attempt_and_nothing_is_added() -> None:
    attempts = Attempts(None)
    assert attempts.request(REQUEST) is REQUEST
    one = ending(notes=("a remark",))
    assert attempts.ended(one) is None
    assert attempts.outcome() is one


def test_each_wait_grows_by_the_factor_until_no_attempt_is_left() -> None:
    attempts = Attempts(retry(attempts=4))
    assert [attempts.ended(ending()) for _ in range(4)] == [10, 20, 40, None]


def test_a_wait_is_never_longer_than_a_day() -> None:
    attempts = Attempts(retry(attempts=100, delay=86_400, backoff=100))
    assert {attempts.ended(ending()) for _ in range(99)} == {86_400}


def test_every_attempt_has_a_private_directory_of_its_own() -> None:
    attempts = Attempts(retry())
    folders = []
    for _ in range(3):
        folders.append(attempts.request(REQUEST).work_dir)
        attempts.ended(ending())
    assert folders == ["/w/abc", "/w/abc-2", "/w/abc-3"]


@pytest.mark.parametrize(
    ("status", "code", "again"),
    [
        (RunStatus.SUCCEEDED, None, False),
        (RunStatus.FAILED, ErrorCode.STAGE_FAILED, True),
        (RunStatus.FAILED, ErrorCode.REMOTE_CALL_FAILED, True),
        (RunStatus.FAILED, None, True),
        (RunStatus.TIMED_OUT, ErrorCode.RUN_TIMED_OUT, True),
        (RunStatus.OUT_OF_MEMORY, ErrorCode.RUN_OUT_OF_MEMORY, True),
        (RunStatus.CRASHED, ErrorCode.RUNNER_CRASHED, True),
        (RunStatus.INTERRUPTED, ErrorCode.RUN_INTERRUPTED, False),
        (RunStatus.FAILED, ErrorCode.STORE_UNREADABLE, True),
        (RunStatus.FAILED, ErrorCode.GRAPH_INVALID, False),
        (RunStatus.FAILED, ErrorCode.TYPE_CHECK_FAILED, False),
        (RunStatus.FAILED, ErrorCode.POLICY_VIOLATED, False),
        (RunStatus.FAILED, ErrorCode.BAD_REQUEST, False),
    ],
)
def test_what_may_end_otherwise_is_tried_again(
    status: RunStatus, code: ErrorCode | None, again: bool
) -> None:
    delay = Attempts(retry()).ended(ending(status, code))
    assert (delay is not None) == again


def test_the_outcome_is_that_of_the_last_attempt_over_the_time_of_all() -> None:
    attempts = Attempts(retry())
    attempts.ended(ending())
    assert attempts.note == "attempt 1 of 3 failed: no such luck"
    last = ending(RunStatus.SUCCEEDED, None, after_seconds=11.5, output={"n": 1}, notes=("x",))
    assert attempts.ended(last) is None
    whole = attempts.outcome()
    assert (whole.status, whole.output, whole.error) == (RunStatus.SUCCEEDED, {"n": 1}, None)
    assert (whole.started_at, whole.duration_ms) == (EIGHT, 13_000)
    assert whole.usage == Usage(cpu_ms=20, peak_memory_bytes=100, stage_calls=4)
    assert whole.notes[0] == "x"
    assert whole.notes[1].startswith("this is the end of attempt 2 of 3")


def test_a_clock_that_was_set_back_does_not_shorten_it() -> None:
    attempts = Attempts(retry())
    attempts.ended(ending())
    attempts.ended(ending(RunStatus.SUCCEEDED, None, after_seconds=-3600))
    assert attempts.outcome().duration_ms == 3000


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (StopReason.STOP, "the service was told to stop"),
        (StopReason.REPLACED, "a later fire of its job took its place"),
        (StopReason.FORCED, "the service had to stop at once"),
    ],
)
def test_a_fire_that_is_ended_between_two_attempts_is_interrupted(
    reason: StopReason, words: str
) -> None:
    attempts = Attempts(retry())
    attempts.ended(ending(stderr_tail="the last words"))
    cut = attempts.interrupted(reason, EIGHT + timedelta(seconds=7))
    assert (cut.status, cut.started_at, cut.duration_ms) == (RunStatus.INTERRUPTED, EIGHT, 7000)
    assert cut.error is not None
    assert cut.error.code is ErrorCode.RUN_INTERRUPTED
    assert words in cut.error.message
    assert "Attempt 2 of 3 was not made; attempt 1 of 3 failed: no such luck" in cut.error.message
    assert cut.stderr_tail == "the last words"


@given(st.integers(1, 100), st.floats(0, 86_400), st.floats(1, 100))
def test_whatever_is_configured_there_are_so_many_attempts(
    most: int, delay: float, backoff: float
) -> None:
    attempts = Attempts(retry(most, delay, backoff))
    waits = [attempts.ended(ending()) for _ in range(most)]
    assert waits[-1] is None
    assert all(wait is not None and 0 <= wait <= 86_400 for wait in waits[:-1])
    assert waits[:-1] == sorted(wait for wait in waits[:-1] if wait is not None)
