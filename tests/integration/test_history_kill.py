"""A service killed with SIGKILL in the middle of its writes loses nothing that it was promised."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from history_samples import DUE, in_one_transaction, minute, owed
from noether_contract.outcomes import RunStatus
from noether_contract.reading import TRACE
from noether_supervisor.errors import HistoryError
from noether_supervisor.history import ledger
from noether_supervisor.history.deliveries import pending_deliveries
from noether_supervisor.history.reading import recent, show
from noether_supervisor.history.recovery import close_interrupted, open_runs, waiting_fires
from noether_supervisor.records import LedgerEntry
from noether_supervisor.storage.connection import open_readonly
from noether_supervisor.storage.lock import StateLock

JOBS = 8

# Eight jobs whose fires start, wait, are missed and end as fast as the disk allows; a line is
# printed once the database has promised it.
SERVICE = f"""
import asyncio, sys
from pathlib import Path
from history_samples import fire, minute, owed, succeeded
from noether_supervisor.history import ledger
from noether_supervisor.records import RunnerProcess
from noether_supervisor.storage.connection import Database
from noether_supervisor.storage.lock import StateLock

async def job(database, name):
    number = 0
    while True:
        number += 1
        if number % 5 == 0:
            last = minute(number + 2)
            await database.run(
                lambda c: ledger.record_missed(c, name, minute(number), last, 3, "down")
            )
            number += 2
            continue
        of = fire(number, name)
        if number % 3 == 0:
            await database.run(lambda c: ledger.record_waiting(c, of))
            print("waiting", of.run_id)
        await database.run(lambda c: ledger.record_start(c, of, of.due))
        print("start", of.run_id)
        await database.run(lambda c: ledger.record_runner(c, of.run_id, RunnerProcess(1, number)))
        ending = succeeded("x" * 5000, at=of.due)
        await database.run(lambda c: ledger.record_end(c, of.run_id, ending, owed(of)))
        print("end", of.run_id)

async def main():
    state = Path(sys.argv[1])
    lock = StateLock.take(state)
    database = Database.open(state / "history.db")
    await database.run(
        lambda c: [ledger.first_seen(c, f"job-{{n}}", minute(0)) for n in range({JOBS})]
    )
    print("ready")
    await asyncio.gather(*(job(database, f"job-{{n}}") for n in range({JOBS})))

asyncio.run(main())
"""


@contextmanager
def service(state: Path) -> Iterator["subprocess.Popen[str]"]:
    """The service above as a process; killed at the end in any case."""
    child = subprocess.Popen(
        [sys.executable, "-u", "-c", SERVICE, str(state)],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    with child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            yield child
        finally:
            child.kill()


def killed_after(state: Path, lines: int) -> list[tuple[str, str]]:
    """What the service had promised when it was killed, after so many lines of it."""
    with service(state) as child:
        assert child.stdout is not None
        promised = [child.stdout.readline() for _ in range(lines)]
        child.send_signal(signal.SIGKILL)
        promised += child.stdout.readlines()
    if not promised[-1].endswith("\n"):
        promised.pop()  # cut off in mid-line
    return [(word, run_id) for word, run_id in (line.split() for line in promised)]


def covered_minutes(entries: list[LedgerEntry]) -> list[int]:
    return sorted(
        round((entry.due - DUE).total_seconds() / 60) + offset
        for entry in entries
        for offset in range(entry.due_count)
    )


@pytest.mark.parametrize("lines", [1, 2, 7, 60, 300])
def test_what_was_promised_is_there_and_nothing_is_half_done(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "history.db"
    promised = killed_after(tmp_path, lines)

    before = sorted(entry.name for entry in tmp_path.iterdir())
    with closing(open_readonly(path)) as reader:  # a command, while the service is down
        assert reader.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        for word, run_id in promised:
            details = show(reader, run_id)
            assert details is not None
            if word == "end":
                assert details.entry.status is RunStatus.SUCCEEDED
                assert details.entry.trace_text
                assert details.entry.output_text
                assert details.entry.delivery == "owed"
        positions = ledger.positions(reader)
        for number in range(JOBS):
            job = f"job-{number}"
            minutes = covered_minutes(recent(reader, job, limit=100_000))
            assert minutes == list(range(1, len(minutes) + 1))
            assert positions[job] == minute(len(minutes))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == before

    StateLock.take(tmp_path).release()  # the dead service does not hold it
    in_one_transaction(path, check_recovery)


def check_recovery(connection: sqlite3.Connection) -> None:
    were_open = open_runs(connection)
    waiting = waiting_fires(connection)
    closed = close_interrupted(connection, minute(10_000), lambda of, _: owed(of))
    assert closed == were_open
    assert open_runs(connection) == []
    assert waiting_fires(connection) == waiting
    for run in closed:
        details = show(connection, run.fire.run_id)
        assert details is not None
        assert details.entry.status is RunStatus.INTERRUPTED
        assert TRACE.validate_json(details.entry.trace_text or "").incomplete
    ended = [entry for entry in recent(connection, limit=100_000) if entry.ended_at is not None]
    assert len(pending_deliveries(connection)) == len(ended)


def test_the_next_service_goes_on_where_the_last_one_died(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    killed_after(tmp_path, 40)
    with closing(open_readonly(path)) as reader:
        before = ledger.positions(reader)
    in_one_transaction(path, lambda c: close_interrupted(c, minute(10_000), lambda *_: None))
    for job, position in before.items():
        number = round((position - DUE).total_seconds() / 60)
        again = partial(
            ledger.record_missed,
            job=job,
            first=minute(number),
            last=minute(number + 1),
            count=2,
            reason="service was down",
        )
        with pytest.raises(HistoryError, match="cannot be recorded again"):
            in_one_transaction(path, again)


def test_a_second_service_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    with service(tmp_path) as first:
        with pytest.raises(HistoryError, match=rf"pid {first.pid}\)"):
            StateLock.take(tmp_path)
        second = subprocess.run(
            [sys.executable, "-c", SERVICE, str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
            env={"PYTHONPATH": str(Path(__file__).parent.parent)},
        )
        assert second.returncode != 0
        assert f"pid {first.pid}" in second.stderr
