"""Whatever a runner prints: one terminal ending, which can be recorded, told and shown."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bad_input import fewer, noise, spoilt_texts
from history_samples import fire, stage_entry, trace
from noether_contract.messages import (
    ErrorRecord,
    FileStoreRef,
    GraphRead,
    RunReport,
    RunRequest,
    StageEnded,
    StageStarted,
    members_of,
)
from noether_contract.outcomes import ErrorCode, RunStatus
from noether_supervisor.history import ledger
from noether_supervisor.history.reading import show
from noether_supervisor.history.tables import show_lines
from noether_supervisor.runs.endings import Observed, Stopped, StopReason, name_ending
from noether_supervisor.runs.stream import EventStream, Tail
from noether_supervisor.storage.opening import open_for_writing
from noether_supervisor.webhooks.payload import body_of

FIRE = fire()
REQUEST = RunRequest(
    run_id=FIRE.run_id,
    job=FIRE.job,
    graph_text="{}",
    graph_path="/graph.json",
    store=FileStoreRef(path="/store.json"),
    cache_dir="/cache",
    work_dir="/work",
)
ERROR = ErrorRecord(code=ErrorCode.STAGE_FAILED, message="it broke", path="root")
MESSAGES = (
    GraphRead(composition_id="c" * 64),
    StageStarted(call=0, stage_id="b" * 64, path="root", start_ms=0.5),
    StageEnded(call=0, entry=stage_entry(stdout_tail="said", cpu_ms=1.5)),
    RunReport(
        run_id=FIRE.run_id, status=RunStatus.SUCCEEDED, output={"a": [1, 1.5]}, trace=trace()
    ),
    RunReport(
        run_id=FIRE.run_id,
        status=RunStatus.FAILED,
        error=ERROR,
        trace=trace(stage_entry(), status="Failed", error=ERROR),
    ),
)
lines = st.one_of(
    st.sampled_from([orjson.dumps(members_of(message)) for message in MESSAGES]),
    *(spoilt_texts(members_of(message)) for message in MESSAGES),
    noise,
)
TERMINAL = frozenset(status for status in RunStatus if status.is_terminal)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    path: Path = tmp_path_factory.mktemp("lines") / "history.db"
    with closing(open_for_writing(path)) as connection:
        yield connection


@fewer
@given(
    printed=st.lists(st.tuples(lines, st.sampled_from([b"\n", b"\n", b"\r\n", b""])), max_size=4),
    stderr=st.lists(noise, max_size=2),
    cut=st.integers(1, 5000),
    exit_code=st.sampled_from([0, 1, 2, 124, -9, -11, -64, 255, None]),
    reason=st.none() | st.sampled_from(list(StopReason)),
)
def test_whatever_is_printed_ends_in_one_record(
    history: sqlite3.Connection,
    printed: list[tuple[bytes, bytes]],
    stderr: list[bytes],
    cut: int,
    exit_code: int | None,
    reason: StopReason | None,
) -> None:
    stream, tail = EventStream(FIRE.run_id), Tail()
    text = b"".join(line + end for line, end in printed)
    for start in range(0, len(text), cut):
        stream.feed(text[start : start + cut])
    for chunk in stderr:
        tail.feed(chunk)
    ending = name_ending(
        Observed(
            request=REQUEST,
            started_at=datetime(2026, 4, 14, 8, 30, tzinfo=UTC),
            duration_ms=12,
            exit_code=exit_code,
            stopped=None if reason is None else Stopped(reason),
            told=stream.told(),
            stderr_tail=tail.text(),
        )
    )
    assert ending.status in TERMINAL
    assert (ending.error is None) == (ending.status is RunStatus.SUCCEEDED)
    body: dict[str, Any] = orjson.loads(body_of(FIRE, ending, with_trace=True))
    assert body["ok"] is (ending.status is RunStatus.SUCCEEDED)
    recorded(history, replace(ending, duration_ms=12))


def recorded(history: sqlite3.Connection, ending: Any) -> None:
    """Writes the end of a run as the service does, shows it as a command does, and forgets it."""
    history.execute("BEGIN IMMEDIATE")
    try:
        ledger.record_start(history, FIRE, ending.started_at)
        ledger.record_end(history, FIRE.run_id, ending, None)
        details = show(history, FIRE.run_id)
        assert details is not None
        assert details.entry.status is ending.status
        shown = "\n".join(show_lines(details, zone=UTC, colour=False))
        assert "\x1b" not in shown
    finally:
        history.execute("ROLLBACK")
