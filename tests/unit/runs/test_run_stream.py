"""What a runner writes, in any slices, is read the same, and never kept without bound."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noether_contract.json_values import compact_json
from noether_contract.messages import (
    GraphRead,
    RunReport,
    StageEnded,
    StageEntry,
    StageStarted,
    Trace,
    members_of,
    write_message,
)
from noether_contract.outcomes import RunStatus
from noether_supervisor.runs import kept_events
from noether_supervisor.runs.stream import EventStream, Tail, Told

ENTRY = StageEntry(
    stage_id="b" * 64,
    step_index=0,
    status="Ok",
    duration_ms=1,
    input_hash=None,
    output_hash=None,
    path="root",
)
STARTED = [StageStarted(call=call, stage_id="b" * 64, path="root", start_ms=0) for call in range(3)]
EVENTS = [
    GraphRead(composition_id="c" * 64),
    *STARTED,
    StageEnded(call=1, entry=ENTRY),
]
REPORT = RunReport(
    run_id="run",
    status=RunStatus.SUCCEEDED,
    output={"a": [1, 1.5, None]},
    trace=Trace(composition_id=None, started_at="x", duration_ms=0, status="Ok"),
)
LINES = b"".join(write_message(event) + b"\n" for event in EVENTS)
WHOLE = LINES + b"noise\n" + write_message(REPORT) + b"\n"


def read(*slices: bytes) -> Told:
    events = EventStream("run")
    for piece in slices:
        events.feed(piece)
    return events.told()


def test_events_without_a_report() -> None:
    told = read(LINES)
    assert told.report is None
    assert told.dropped == 0
    assert told.progress.composition_id == "c" * 64
    assert told.progress.ended == (ENTRY,)
    assert [started.call for started in told.progress.open] == [0, 2]


@given(cuts=st.lists(st.integers(0, len(WHOLE)), max_size=20))
def test_slices_do_not_matter(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(WHOLE)]
    told = read(*(WHOLE[start:end] for start, end in pairwise(edges)))
    assert told == Told(report=REPORT, dropped=1)


@given(noise=st.binary(max_size=200))
def test_noise_never_becomes_an_ending(noise: bytes) -> None:
    told = read(noise + b"\n")
    assert told.report is None
    assert told.progress.ended == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"run_id": "another"},
        {"status": "running"},
        {"status": "waiting"},
        {"status": "skipped"},
        {"status": "no such"},
        {"unknown": 1},
    ],
)
def test_report_that_cannot_be_ours(changed: dict[str, object]) -> None:
    message: dict[str, Any] = {**members_of(REPORT), **changed}
    events = EventStream("run")
    events.feed(compact_json(message) + b"\n")
    assert events.told() == Told(dropped=1)


def ended(call: int) -> bytes:
    return write_message(StageEnded(call=call, entry=ENTRY)) + b"\n"


def test_kept_events_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest ends go first, then the oldest starts."""
    room = 3 * (len(ended(1)) + kept_events.EVENT_BYTES)
    monkeypatch.setattr(kept_events, "MAX_KEPT_BYTES", room)
    told = read(LINES, *(ended(call) for call in range(10, 15)))
    assert told.progress.composition_id == "c" * 64
    assert [started.call for started in told.progress.open] == [0, 2]
    assert len(told.progress.ended) == 1
    assert (told.progress.forgotten, told.dropped) == (5, 0)
    starts = [write_message(started) + b"\n" for started in STARTED]
    monkeypatch.setattr(kept_events, "MAX_KEPT_BYTES", len(starts[0]) + kept_events.EVENT_BYTES)
    assert [started.call for started in read(*starts).progress.open] == [2]


@given(chunks=st.lists(st.binary(max_size=30)), limit=st.integers(1, 40))
def test_tail_is_the_end_of_the_whole(chunks: list[bytes], limit: int) -> None:
    tail = Tail(limit)
    for chunk in chunks:
        tail.feed(chunk)
    assert tail.text() == b"".join(chunks)[-limit:].decode("utf-8", errors="replace")
