"""A trace as a tree that a person reads: which stage ran where in the graph, when, how it ended.

    ✓ root  1.24 s
    ├─ stages[0]        ✓ fetch (python)      at 0 ms    took 320 ms
    └─ stages[1]
       ├─ branches.a    ✓ summarise (python)  at 321 ms  took 12 ms
       └─ branches.b    ✗ translate (node)    at 321 ms  took 40 ms  attempt 1
                          raised ValueError: no such language

The nesting is that of the node paths (`root.stages[1].branches.b`); nodes without calls of their
own appear only where the tree forks. Everything of it is made harmless for a terminal.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from noether_contract.messages import FailedStatus, RemoteEntry, StageEntry, StageStarted, Trace
from noether_supervisor.history.text import duration_text, painted, visible

_TAIL_LINES = 20

# `.stages[2]`, `.branches.left`, `.branches["a b"]`, `.body`: the steps of `graph/walk.py`.
_STEP = re.compile(r'\.(?:(?:branches|bindings)\.[\w-]+|\w+(?:\[\d+\]|\["(?:[^"\\]|\\.)*"\])?)')


@dataclass(slots=True)
class _Place:
    """A node of the graph that has calls, or nodes below it that have."""

    label: str
    calls: list["_Call"] = field(default_factory=list)
    below: dict[str, "_Place"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Call:
    """One call in words; `details` are the lines below it."""

    mark: str
    colour: str
    name: str
    times: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the tree before alignment: what stands left of the call, and of its details."""

    label: str
    call: _Call | None
    below: str = ""


def trace_lines(trace: Trace, *, colour: bool = False) -> list[str]:
    """The lines of the tree, and below it what concerns the whole run."""
    root = _Place("root")
    for path, call in _calls(trace):
        _place(root, path).calls.append(call)
    mark, shade = ("✓", "green") if trace.status == "Ok" else ("✗", "red")
    head = f"{painted(mark, shade, on=colour)} root  {duration_text(trace.duration_ms)}"
    if trace.incomplete:
        head += painted("  (incomplete: the runner did not live to report)", "yellow", on=colour)
    rows = [_Row("", call) for call in root.calls]
    rows += _rows(root, "")
    lines = [head, *_aligned(rows, colour)]
    lines += [f"! {visible(warning)}" for warning in trace.warnings]
    if trace.memo_hits:
        lines.append(f"{trace.memo_hits} calls of pure stages were answered from memory")
    return lines


def _rows(place: _Place, indent: str) -> Iterator[_Row]:
    children = [_shortened(child) for child in place.below.values()]
    for number, child in enumerate(children):
        last = number == len(children) - 1
        branch, below = ("└─ ", "   ") if last else ("├─ ", "│  ")
        inner = indent + below
        calls = iter(child.calls)
        yield _Row(f"{indent}{branch}{visible(child.label)}", next(calls, None), inner)
        for call in calls:
            yield _Row(inner, call, inner)
        yield from _rows(child, inner)


def _shortened(place: _Place) -> _Place:
    """The place, or what it holds when that is one place and nothing happened in between."""
    while not place.calls and len(place.below) == 1:
        (only,) = place.below.values()
        place = _Place(f"{place.label}.{only.label}", only.calls, only.below)
    return place


def _aligned(rows: list[_Row], colour: bool) -> list[str]:
    left = max((len(row.label) for row in rows if row.call), default=0)
    names = max((len(row.call.name) for row in rows if row.call), default=0)
    lines = []
    for row in rows:
        call = row.call
        if call is None:
            lines.append(row.label)
            continue
        mark = painted(call.mark, call.colour, on=colour)
        lines.append(f"{row.label.ljust(left)}  {mark} {call.name.ljust(names)}  {call.times}")
        before = row.below.ljust(left)
        lines += [f"{before}    {painted(text, 'dim', on=colour)}" for text in call.details]
    return lines


def _calls(trace: Trace) -> Iterator[tuple[str, _Call]]:
    entries: list[tuple[float, str, _Call]] = [
        (entry.start_ms, entry.path, _ended(entry)) for entry in trace.stages
    ]
    entries += [(entry.start_ms, entry.path, _remote(entry)) for entry in trace.remote_calls]
    entries += [(entry.start_ms, entry.path, _open(entry)) for entry in trace.open_stages]
    # By start, so that the tree reads in the order in which things happened.
    for _, path, call in sorted(entries, key=lambda entry: entry[0]):
        yield path, call


def _ended(entry: StageEntry) -> _Call:
    failed = isinstance(entry.status, FailedStatus)
    times = [f"at {duration_text(entry.start_ms)}", f"took {duration_text(entry.duration_ms)}"]
    if entry.attempt > 1 or failed:
        times.append(f"attempt {entry.attempt}")
    if entry.memoized:
        times.append("from memory")
    details: list[str] = []
    if isinstance(entry.status, FailedStatus):
        kind = f"{entry.error_class.value}: " if entry.error_class else ""
        details += _lines(f"{kind}{entry.status.Failed.message}")
        details += _tail("traceback", entry.error_traceback)
    details += [f"! {text}" for warning in entry.warnings for text in _lines(warning)]
    details += _tail("stdout", entry.stdout_tail)
    details += _tail("stderr", entry.stderr_tail)
    if entry.log_truncated:
        details.append("(what it wrote was longer and was cut)")
    name = _stage_name(entry.stage_name, entry.stage_id)
    if entry.language:
        name += f" ({visible(entry.language)})"
    mark, shade = ("✗", "red") if failed else ("✓", "green")
    return _Call(mark, shade, name, "  ".join(times), tuple(details))


def _open(entry: StageStarted) -> _Call:
    times = f"at {duration_text(entry.start_ms)}  had not ended"
    if entry.attempt > 1:
        times += f"  attempt {entry.attempt}"
    return _Call("▸", "yellow", _stage_name(entry.stage_name, entry.stage_id), times)


def _remote(entry: RemoteEntry) -> _Call:
    mark, shade = ("✓", "green") if entry.ok else ("✗", "red")
    times = f"at {duration_text(entry.start_ms)}  took {duration_text(entry.duration_ms)}"
    # Only the host: a URL may carry credentials, in its path and query as well.
    host = urlsplit(entry.url).hostname or "?"
    return _Call(mark, shade, f"call to {visible(host)}", times, tuple(_lines(entry.error or "")))


def _stage_name(name: str | None, stage_id: str) -> str:
    return visible(name).replace("\n", " ") if name else stage_id[:8]


def _tail(name: str, text: str | None) -> list[str]:
    lines = _lines((text or "").rstrip())
    cut = len(lines) - _TAIL_LINES
    if cut > 0:
        lines = [f"… {cut} more lines", *lines[-_TAIL_LINES:]]
    return [f"{name} | {line}" for line in lines]


def _lines(text: str) -> list[str]:
    return visible(text).splitlines()


def _place(root: _Place, path: str) -> _Place:
    place = root
    for step in _steps(path):
        place = place.below.setdefault(step, _Place(step))
    return place


def _steps(path: str) -> list[str]:
    """`root.stages[1].branches.x` as `stages[1]`, `branches.x`."""
    rest = path.removeprefix("root")
    steps = [match.group() for match in _STEP.finditer(rest)]
    if "".join(steps) != rest:
        return [path]  # not a path of ours: shown as it is
    return [step.removeprefix(".") for step in steps]
