"""Measuring side by side: the thing and the yardstick in turn, medians, one ratio.

The yardstick is `python3 -I -c pass`, started and waited for. These machines are shared and
noisy: figures are printed, never asserted, and beside the medians stand the best of each, which
other people's load touches least, and the CPU time, which it touches little.
"""

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

PYTHON = sys.executable
"""The interpreter that runs all of this; `python3` on a PATH may be a script that looks for one."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one turn took, in milliseconds; CPU time is that of processes that were waited for."""

    wall_ms: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """A thing and the yardstick, turn by turn."""

    what: str
    own: tuple[Cost, ...]
    bare: tuple[Cost, ...]
    target: str

    def __str__(self) -> str:
        median = statistics.median(cost.wall_ms for cost in self.own)
        yardstick = statistics.median(cost.wall_ms for cost in self.bare)
        pairs = zip(self.own, self.bare, strict=True)
        ratio = statistics.median(own.wall_ms / bare.wall_ms for own, bare in pairs)
        best = min(cost.wall_ms for cost in self.own)
        best_bare = min(cost.wall_ms for cost in self.bare)
        told = (
            f"{self.what}: {median:.1f} ms beside {yardstick:.1f} ms of `python3 -I -c pass`: "
            f"ratio {ratio:.2f} (target {self.target}); best {best:.1f} beside {best_bare:.1f}: "
            f"{best / best_bare:.2f}"
        )
        cpu = min(cost.cpu_ms for cost in self.own)
        if cpu > 0:
            bare_cpu = min(cost.cpu_ms for cost in self.bare)
            told += f"; CPU {cpu:.1f} beside {bare_cpu:.1f}: {cpu / bare_cpu:.2f}"
        return told


def side_by_side(what: str, turn: Callable[[], float], target: str, pairs: int = 30) -> Ratio:
    """Runs thing and yardstick in turn, after a warm-up of each; `turn` gives its milliseconds."""
    for _ in range(3):
        turn()
        yardstick_ms()
    costs = [(_cost(turn), _cost(yardstick_ms)) for _ in range(pairs)]
    return Ratio(what, tuple(own for own, _ in costs), tuple(bare for _, bare in costs), target)


def yardstick_ms() -> float:
    """Wall time of one bare interpreter."""
    began = time.perf_counter()
    subprocess.run([PYTHON, "-I", "-c", "pass"], check=True)
    return (time.perf_counter() - began) * 1000


def _cost(turn: Callable[[], float]) -> Cost:
    before = _cpu_of_children_ms()
    wall_ms = turn()
    return Cost(wall_ms, _cpu_of_children_ms() - before)


def _cpu_of_children_ms() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (usage.ru_utime + usage.ru_stime) * 1000
