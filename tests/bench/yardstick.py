"""Measuring side by side: the thing and the yardstick in turn, medians, one ratio.

The yardstick is `python3 -I -c pass`, started and waited for. These machines are shared and
noisy: figures are printed, never asserted.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

PYTHON = sys.executable
"""The interpreter that runs all of this; `python3` on a PATH may be a script that looks for one."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """Medians in milliseconds, and the median of the pairwise ratios."""

    what: str
    median_ms: float
    yardstick_ms: float
    ratio: float
    target: str

    def __str__(self) -> str:
        return (
            f"{self.what}: {self.median_ms:.1f} ms beside {self.yardstick_ms:.1f} ms of "
            f"`python3 -I -c pass`: ratio {self.ratio:.2f} (target {self.target})"
        )


def yardstick_ms() -> float:
    """Wall time of one bare interpreter."""
    began = time.perf_counter()
    subprocess.run([PYTHON, "-I", "-c", "pass"], check=True)
    return (time.perf_counter() - began) * 1000


def side_by_side(what: str, measure_ms: Callable[[], float], target: str, pairs: int = 30) -> Ratio:
    """Runs thing and yardstick in turn, after a warm-up of each."""
    for _ in range(3):
        measure_ms()
        yardstick_ms()
    times = [(measure_ms(), yardstick_ms()) for _ in range(pairs)]
    return Ratio(
        what,
        statistics.median(own for own, _ in times),
        statistics.median(bare for _, bare in times),
        statistics.median(own / bare for own, bare in times),
        target,
    )
