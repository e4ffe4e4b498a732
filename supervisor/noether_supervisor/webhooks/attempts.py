"""What becomes of a delivery after an attempt: delivered, tried again later, or given up.

With one attempt the answer is not inspected (`scheduler.md` §5.1): any answer is a delivery. With
more, an answer that is no 2xx and a call without an answer are tried again, each time after twice
the wait, until no attempt is left. A random part of the wait keeps receivers that come back from
being met by all at once; what the receiver asks for (`Retry-After`) is honoured up to a day.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from noether_supervisor.records import Attempt

FIRST_WAIT_SECONDS = 2.0
LONGEST_WAIT_SECONDS = 3600.0
LONGEST_ASKED_SECONDS = 86_400.0
"""How long `Retry-After` can put an attempt off."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The receiver answered with this HTTP status, and when it wants to be called again."""

    http_status: int
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No answer came; `problem` says why, without the URL. `is_final`: nor will one come."""

    problem: str
    is_final: bool = False


def attempt_of(
    outcome: Answered | Unanswered,
    number: int,
    most_attempts: int,
    now: datetime,
    chance: Callable[[], float],
) -> Attempt:
    """What the attempt of this number (from 1) leaves the delivery as.

    `chance` gives numbers from 0 to 1, for the random part of a wait.
    """
    match outcome:
        case Answered(status) if most_attempts == 1 or 200 <= status < 300:
            return Attempt("delivered", now, http_status=status)
        case Answered(status, asked_seconds):
            answer: int | None = status
            problem = f"answered {status}"
            is_final = False
        case Unanswered(problem, is_final):
            answer, asked_seconds = None, None
    if is_final or number >= most_attempts:
        return Attempt("failed", now, answer, problem)
    wait = wait_seconds(number, asked_seconds, chance)
    return Attempt("owed", now, answer, problem, now + timedelta(seconds=wait))


def wait_seconds(number: int, asked_seconds: float | None, chance: Callable[[], float]) -> float:
    """The wait after the attempt of this number: half of it fixed, half by chance."""
    doubled = FIRST_WAIT_SECONDS * 2.0 ** min(number - 1, 30)
    longest = min(doubled, LONGEST_WAIT_SECONDS)
    wait = longest * (0.5 + 0.5 * chance())
    return max(wait, min(asked_seconds or 0.0, LONGEST_ASKED_SECONDS))


def asked_wait(retry_after: str | None, now: datetime) -> float | None:
    """The seconds that a `Retry-After` asks for (RFC 9110 §10.2.3): a number of them, or a date.

    None when there is none or it cannot be read; a date that is past asks for nothing.
    """
    text = (retry_after or "").strip()
    if re.fullmatch(r"[0-9]+", text):
        return float(text.lstrip("0")[:9] or "0")  # nine digits are more than anybody waits
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    if date.tzinfo is None:  # `-0000`, or a form without a zone: a date of HTTP is in GMT
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())
