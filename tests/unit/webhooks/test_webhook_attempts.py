"""What becomes of a delivery after an attempt."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noether_supervisor.records import Attempt
from noether_supervisor.webhooks.attempts import (
    LONGEST_ASKED_SECONDS,
    LONGEST_WAIT_SECONDS,
    Answered,
    Unanswered,
    asked_wait,
    attempt_of,
    wait_seconds,
)

NOW = datetime(2026, 4, 14, 8, 30, tzinfo=UTC)
SILENT = Unanswered("it did not answer")


def after(
    outcome: Answered | Unanswered, number: int = 1, most: int = 3, chance: float = 1.0
) -> Attempt:
    return attempt_of(outcome, number, most, NOW, lambda: chance)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize("status", [200, 204, 301, 404, 500, 503])
def test_with_one_attempt_any_answer_is_a_delivery(status: int) -> None:
    outcome = Answered(status, retry_after_seconds=5)
    assert after(outcome, most=1) == Attempt("delivered", NOW, status)


def test_with_one_attempt_no_answer_is_the_end() -> None:
    assert after(SILENT, most=1) == Attempt("failed", NOW, problem=SILENT.problem)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_a_2xx_is_a_delivery(status: int) -> None:
    assert after(Answered(status), number=3) == Attempt("delivered", NOW, status)


@pytest.mark.parametrize("status", [199, 300, 307, 400, 410, 429, 500, 503])
def test_any_other_answer_is_tried_again_until_no_attempt_is_left(status: int) -> None:
    problem = f"answered {status}"
    assert after(Answered(status), 1) == Attempt("owed", NOW, status, problem, at(2))
    assert after(Answered(status), 2) == Attempt("owed", NOW, status, problem, at(4))
    assert after(Answered(status), 3) == Attempt("failed", NOW, status, problem)


def test_no_answer_is_tried_again_unless_it_never_comes() -> None:
    assert after(SILENT) == Attempt("owed", NOW, None, SILENT.problem, at(2))
    refused = Unanswered("it is no address for webhooks", is_final=True)
    assert after(refused) == Attempt("failed", NOW, None, refused.problem)


def test_fewer_attempts_than_were_made_end_it() -> None:
    assert after(Answered(500), number=7, most=2).state == "failed"


@given(st.integers(1, 100), st.floats(0, 1))
def test_waits_double_and_are_bounded(number: int, chance: float) -> None:
    wait = wait_seconds(number, None, lambda: chance)
    longest = min(2.0**number, LONGEST_WAIT_SECONDS)
    assert longest / 2 <= wait <= longest


@given(st.integers(1, 100), st.floats(0, 1e9), st.floats(0, 1))
def test_what_the_receiver_asks_for_is_honoured_up_to_a_day(
    number: int, asked: float, chance: float
) -> None:
    wait = wait_seconds(number, asked, lambda: chance)
    assert wait == max(
        wait_seconds(number, None, lambda: chance), min(asked, LONGEST_ASKED_SECONDS)
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", 0),
        ("000000000012", 12),
        ("9" * 5000, 999_999_999),
        ("-1", None),
        ("1.5", None),
        ("١٢", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("Tue, 14 Apr 2026 08:31:30 GMT", 90),
        ("Tuesday, 14-Apr-26 08:31:30 GMT", 90),
        ("Tue Apr 14 08:31:30 2026", 90),
        ("Tue, 14 Apr 2026 08:29:00 GMT", 0),
        ("Tue, 99 Apr 2026 08:29:00 GMT", None),
    ],
)
def test_retry_after_is_a_number_of_seconds_or_a_date(
    text: str | None, seconds: float | None
) -> None:
    assert asked_wait(text, NOW) == seconds


@given(st.integers(-(2**29), 2**37))
def test_any_http_date_is_read(seconds: int) -> None:
    date = NOW + timedelta(seconds=seconds)
    expected = max(0.0, (date - NOW).total_seconds())
    assert asked_wait(format_datetime(date, usegmt=True), NOW) == expected


@given(st.text())
def test_whatever_it_says_nothing_breaks(text: str) -> None:
    wait = asked_wait(text, NOW)
    assert wait is None or wait >= 0
