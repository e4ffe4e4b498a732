"""`status`, `history` and `show` over a real history, and over none."""

import asyncio
import contextlib
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from noether_contract.messages import ErrorRecord, Trace
from noether_contract.outcomes import ErrorCode, RunStatus
from noether_supervisor.cli import main
from noether_supervisor.history import ledger
from noether_supervisor.records import Fire, RunEnding
from noether_supervisor.storage.connection import DATABASE_NAME, Database

DUE = datetime(2026, 4, 14, 8, 30, tzinfo=UTC)
JOBS = [
    {"name": "tick", "cron": "* * * * *", "graph": "g.json"},
    {"name": "off", "cron": "* * * * *", "graph": "g.json", "enabled": False},
]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC")
    Path("scheduler.json").write_text(json.dumps({"state_dir": "state", "jobs": JOBS}))
    return tmp_path / "state"


def said(*words: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    return code, out.getvalue(), err.getvalue()


def listed(*words: str) -> Any:
    code, out, _ = said(*words, "--json")
    assert code == 0
    return json.loads(out)


async def open_database(state: Path) -> Database:
    return await asyncio.to_thread(Database.open, state / DATABASE_NAME)


def ending(status: RunStatus, **more: Any) -> RunEnding:
    trace = Trace(
        composition_id="c" * 64, started_at="2026-04-14T08:30:00Z", duration_ms=7, status="Ok"
    )
    return RunEnding(status=status, started_at=DUE, duration_ms=7, trace=trace, **more)


def some_history(database: Database) -> list[Any]:
    failure = ErrorRecord(code=ErrorCode.STAGE_FAILED, message="no such board", path="root")
    second, third = DUE + timedelta(minutes=1), DUE + timedelta(minutes=2)
    works = [
        lambda c: ledger.first_seen(c, "tick", DUE - timedelta(minutes=1)),
        lambda c: ledger.record_start(c, Fire("tick", DUE), DUE),
        lambda c: ledger.record_end(
            c, Fire("tick", DUE).run_id, ending(RunStatus.SUCCEEDED, output={"n": 1})
        ),
        lambda c: ledger.record_start(c, Fire("tick", second), second),
        lambda c: ledger.record_end(
            c, Fire("tick", second).run_id, ending(RunStatus.FAILED, error=failure)
        ),
        lambda c: ledger.record_start(c, Fire("tick", third), third),
        lambda c: ledger.record_refused(
            c, Fire("off", DUE, manual=True), ending(RunStatus.FAILED, error=failure)
        ),
    ]
    return [database.run(work) for work in works]


def with_history(state: Path) -> None:
    async def fill() -> None:
        with await open_database(state) as database:
            await asyncio.gather(*some_history(database))

    asyncio.run(fill())


def test_without_a_history_there_are_no_runs_yet(state: Path) -> None:
    assert said("history") == (0, "no runs yet\n", "")
    assert listed("history") == []
    assert listed("status")[0]["last"] is None
    code, out, _ = said("status")
    assert code == 0
    assert out.startswith("no runs yet\n")
    code, out, err = said("show", "tick@20260414T083000Z")
    assert (code, out) == (2, "")
    assert "no runs yet" in err
    assert not state.exists()


def test_status_shows_every_job_of_the_configuration(state: Path) -> None:
    with_history(state)
    tick, off = listed("status")
    assert (tick["job"], tick["enabled"], tick["running"]) == ("tick", True, 1)
    assert tick["last"]["status"] == "failed"
    assert tick["last"]["error"]["message"] == "no such board"
    assert tick["next_due"].endswith(":00Z")
    assert (off["enabled"], off["next_due"]) == (False, None)
    assert (off["last"]["manual"], off["last"]["status"]) == (True, "failed")
    code, out, _ = said("status")
    assert code == 0
    assert "failed" in out
    assert "running" in out


def test_history_lists_the_newest_first(state: Path) -> None:
    with_history(state)
    entries = listed("history", "--job", "tick")
    assert [entry["status"] for entry in entries] == ["running", "failed", "succeeded"]
    assert entries[2]["run_id"] == "tick@20260414T083000Z"
    assert entries[2]["started_at"] == "2026-04-14T08:30:00.000Z"
    assert [entry["job"] for entry in listed("history", "--failed")] == ["off", "tick"]
    assert len(listed("history", "-n", "1", "--job", "tick")) == 1
    assert [entry["job"] for entry in listed("history", "--job", "off")] == ["off"]
    code, out, _ = said("history")
    assert code == 0
    assert "no such board" in out
    assert len(out.splitlines()) == 5


def test_show_tells_everything_of_a_run(state: Path) -> None:
    with_history(state)
    shown = listed("show", "tick@20260414T083000Z")
    assert (shown["status"], shown["output"]) == ("succeeded", {"n": 1})
    assert shown["trace"]["composition_id"] == "c" * 64
    code, out, _ = said("show", "tick@20260414T083100Z")
    assert code == 0
    assert out.startswith("tick@20260414T083100Z\n")
    assert "no such board" in out


def test_show_of_an_unknown_run_names_similar_ones(state: Path) -> None:
    with_history(state)
    code, out, err = said("show", "tick@20260414T0830")
    assert (code, out) == (2, "")
    assert "did you mean tick@20260414T083000Z?" in err
    assert "`history` lists" in said("show", "nope")[2]


def test_the_history_is_readable_while_it_is_written(state: Path) -> None:
    async def check() -> None:
        with await open_database(state) as database:
            await asyncio.gather(*some_history(database))
            entries = await asyncio.to_thread(listed, "history")
            assert len(entries) == 4

    asyncio.run(check())
