"""What a soak looks at while it lasts, and what it takes for growth.

A line is laid through the samples after the warm-up by the median of all pairwise slopes (Theil
and Sen), which a few outliers do not move. What it climbs between first and last sample counts.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path

from noether_supervisor.runs.process import descendants_of, facts_of
from process_watch import command_of

MB = 1024 * 1024
NURSERY = "noether_runner.nursery_process"


@dataclass(frozen=True)
class Looks:
    """What one process holds: resident bytes, open descriptors, threads."""

    resident: int
    descriptors: int
    threads: int


@dataclass(frozen=True)
class Sample:
    """One look at a service and everything that it has, `at` seconds after its start."""

    at: float
    service: Looks
    nursery: Looks | None
    nursery_pid: int
    processes: int
    zombies: frozenset[int]
    database: int
    log: int
    work: int
    temporary: int


def sample(at: float, pid: int, state: Path, temporary: Path) -> Sample:
    """Looks at the service of this pid, its state directory and the folder of temporary files."""
    below = descendants_of(pid)
    found = {each: facts for each in below if (facts := facts_of(each)) is not None}
    nursery = next(
        (
            each
            for each, facts in found.items()
            if facts.parent == pid and NURSERY in command_of(each)
        ),
        0,
    )
    service = looks(pid)
    assert service is not None, "the service is gone"
    return Sample(
        at,
        service,
        looks(nursery) if nursery else None,
        nursery,
        len(found),
        frozenset(each for each, facts in found.items() if facts.state == "Z"),
        _size(state / "history.db"),
        _size(state / "history.db-wal"),
        _entries(state / "work"),
        _entries(temporary),
    )


def looks(pid: int) -> Looks | None:
    """What a process holds; None when it has gone meanwhile."""
    proc = Path(f"/proc/{pid}")
    try:
        status = dict(
            line.split(":", 1) for line in (proc / "status").read_text().splitlines() if ":" in line
        )
        descriptors = _entries(proc / "fd")
        return Looks(int(status["VmRSS"].split()[0]) * 1024, descriptors, int(status["Threads"]))
    except (OSError, KeyError):
        return None


@dataclass(frozen=True)
class Growth:
    """How a figure went after the warm-up: least, most, and what it grew by in that time."""

    what: str
    first: float
    least: float
    most: float
    last: float
    grown: float
    allowed: float | None

    @property
    def is_too_much(self) -> bool:
        """Whether it grew by more than is allowed; some figures may grow as they like."""
        return self.allowed is not None and self.grown > self.allowed

    def __str__(self) -> str:
        allowed = "–" if self.allowed is None else f"{self.allowed:.1f}"
        figures = (self.first, self.least, self.most, self.last, self.grown)
        return f"{self.what:28}" + "".join(f"{each:10.1f}" for each in figures) + f"{allowed:>10}"


HEADING = f"{'':28}" + "".join(
    f"{word:>10}" for word in ("first", "least", "most", "last", "grown", "allowed")
)


def growths(samples: Sequence[Sample], warm_up: float) -> list[Growth]:
    """The growth of everything after `warm_up` seconds; sizes in MB."""
    later = [each for each in samples if each.at >= warm_up]
    nurseries = [each for each in later if each.nursery is not None]
    return [
        _growth("service resident, MB", later, lambda it: it.service.resident / MB, 2.0),
        _growth("service descriptors", later, lambda it: it.service.descriptors, 1.0),
        _growth("service threads", later, lambda it: it.service.threads, 1.0),
        _growth("nursery resident, MB", nurseries, lambda it: _of(it.nursery).resident / MB, 1.0),
        _growth("nursery descriptors", nurseries, lambda it: _of(it.nursery).descriptors, 1.0),
        _growth("processes below", later, lambda it: it.processes, 3.0),
        _growth("write-ahead log, MB", later, lambda it: it.log / MB, 8.0),
        _growth("private directories", later, lambda it: it.work, 2.0),
        _growth("temporary files", later, lambda it: it.temporary, 2.0),
        _growth("database, MB", later, lambda it: it.database / MB, None),
    ]


def lasting_zombies(samples: Sequence[Sample]) -> set[int]:
    """The processes that were dead and unreaped in two samples one after another."""
    found: set[int] = set()
    for earlier, later in pairwise(samples):
        found |= earlier.zombies & later.zombies
    return found


def _growth(
    what: str,
    samples: Sequence[Sample],
    figure: Callable[[Sample], float],
    allowed: float | None,
) -> Growth:
    points = [(each.at, float(figure(each))) for each in samples]
    values = [value for _, value in points]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2) if b[0] > a[0]]
    slope = statistics.median(slopes) if slopes else 0.0
    grown = slope * (points[-1][0] - points[0][0])
    return Growth(what, values[0], min(values), max(values), values[-1], grown, allowed)


def _of(looked: Looks | None) -> Looks:
    assert looked is not None
    return looked


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _entries(folder: Path) -> int:
    try:
        return sum(1 for _ in folder.iterdir())
    except FileNotFoundError:
        return 0
