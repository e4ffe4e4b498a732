"""Trying a node again (`graph.md` §4.2)."""

from collections.abc import Callable

from noether_contract.json_values import JsonValue
from noether_runner.errors import RunnerError
from noether_runner.execution.errors import Stopped

_LONGEST_NAP = 3600.0
"""Seconds of one wait: a delay may be longer than the operating system's timers can hold."""


def first_success(
    attempt: Callable[[int], JsonValue], most: int, rest: Callable[[], None]
) -> JsonValue:
    """The result of the first attempt that succeeds, else the last one's own error.

    Attempts are numbered from 1; there is at least one, whatever `most` says. Every error is
    tried again but that of a run that must stop. `rest` is called between attempts.
    """
    number = 1
    while True:
        try:
            return attempt(number)
        except Stopped:
            raise
        except RunnerError:
            if number >= most:
                raise
        rest()
        number += 1


def rest_for(delay_ms: int, wait: Callable[[float], bool]) -> bool:
    """Waits; True as soon as `wait`, which takes seconds, says that the run must stop."""
    left = delay_ms / 1000
    while left > 0:
        nap = min(left, _LONGEST_NAP)
        if wait(nap):
            return True
        left -= nap
    return False
