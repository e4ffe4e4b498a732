"""A backup as docs/operations.md has it: taken while the service writes, put back, gone on with."""

import asyncio
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

from history_samples import fire, minute, owed, succeeded
from noether_supervisor.history import ledger
from noether_supervisor.history.deliveries import pending_deliveries
from noether_supervisor.history.reading import recent
from noether_supervisor.storage.connection import Database
from noether_supervisor.storage.opening import open_for_writing, open_readonly


def ended_run(number: int, history: sqlite3.Connection) -> int | None:
    run = fire(number)
    return ledger.record_refused(history, run, succeeded(), owed(run))


def test_a_copy_that_is_made_while_the_service_writes_is_whole(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"

    async def scenario() -> None:
        with Database.open(path) as database:
            for number in range(20):
                assert await database.run(partial(ended_run, number)) is not None
                if number == 9:
                    with closing(open_readonly(path)) as beside:
                        beside.execute("VACUUM INTO ?", (str(copy),))

    asyncio.run(scenario())
    with closing(sqlite3.connect(copy)) as found:
        assert found.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with closing(open_for_writing(copy)) as restored:
        assert len(recent(restored, limit=100)) == 10
        assert len(pending_deliveries(restored)) == 10
        # the instants after the copy are not covered: the next start finds them missed
        assert ledger.positions(restored) == {"digest": minute(9)}
        ledger.record_missed(restored, "digest", minute(10), minute(19), 10, "service was down")
