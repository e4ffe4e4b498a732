"""However long the history is, no question of the service walks through all of it.

SQLite itself says how it would answer (`EXPLAIN QUERY PLAN`); a walk over a whole table of entries
is a line that begins with SCAN. The tables of entries are `ledger`, `outcome` and `delivery`.
"""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from history_samples import fire, minute, owed, succeeded
from noether_supervisor.history import deliveries, ledger, pauses, reading, recovery, retention
from noether_supervisor.records import Attempt, RunnerProcess
from noether_supervisor.storage.opening import open_for_writing

RUN = fire().run_id
SMALL_INDEXES = (
    r"USING (COVERING )?INDEX (ledger_running|ledger_waiting|ledger_failed|delivery_owed)"
)
"""Partial indexes, which hold only what is open, owed or failed."""


class Explaining(sqlite3.Connection):
    """Notes the plan of every statement before it carries it out."""

    def __init__(self, *words: Any, **more: Any) -> None:
        super().__init__(*words, **more)
        self.plan: list[str] = []

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        rows = super().execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
        self.plan += [str(row[3]) for row in rows]
        return super().execute(sql, parameters)


@pytest.fixture
def explaining(path: Path) -> Iterator[Explaining]:
    with closing(open_for_writing(path)):
        pass
    with closing(sqlite3.connect(path, isolation_level=None, factory=Explaining)) as connection:
        yield connection


def walks(plan: list[str]) -> list[str]:
    """The lines of a plan that read a whole table of entries, or a whole index of it."""
    return [
        line
        for line in plan
        if re.match(r"SCAN (ledger|l|outcome|delivery|d)\b", line)
        and not re.search(SMALL_INDEXES, line)
    ]


QUESTIONS: dict[str, Callable[[sqlite3.Connection], object]] = {
    "positions": lambda history: ledger.positions(history, minute(0)),
    "paused jobs": pauses.paused_jobs,
    "open runs": recovery.open_runs,
    "waiting fires": recovery.waiting_fires,
    "owed deliveries": deliveries.pending_deliveries,
    "one delivery": lambda history: deliveries.pending_delivery(history, 1),
    "its body": lambda history: deliveries.owed_delivery(history, 1),
    "an attempt": lambda history: deliveries.record_attempt(
        history, 1, Attempt("delivered", minute(1), 200)
    ),
    "a start": lambda history: ledger.record_start(history, fire(), minute(0)),
    "a wait": lambda history: ledger.record_waiting(history, fire(1)),
    "a skip": lambda history: ledger.record_skipped(history, fire(2), "overlap"),
    "an outage": lambda history: ledger.record_missed(
        history, "digest", minute(3), minute(9), 7, "service was down"
    ),
    "an end": lambda history: ledger.record_refused(history, fire(), succeeded(), owed(fire())),
    "a runner": lambda history: ledger.record_runner(history, RUN, RunnerProcess(1, 1)),
    "a graph": lambda history: ledger.record_composition(history, RUN, "c" * 64),
    "a note": lambda history: ledger.record_note(history, RUN, "a note"),
    "recovery": lambda history: recovery.close_interrupted(history, minute(1), lambda *_: None),
    "a job's entries": lambda history: reading.recent(history, "digest"),
    "a job's failures": lambda history: reading.recent(history, "digest", failed=True),
    "all failures": lambda history: reading.recent(history, failed=True),
    "one run": lambda history: reading.show(history, RUN),
    "similar ids": lambda history: reading.similar_run_ids(history, "dig"),
    "how jobs stand": reading.summaries,
    "pruning": lambda history: retention.prune(
        history, "digest", retention.Retention(10, 90, minute(0))
    ),
    "jobs since": lambda history: retention.jobs_since(history, 100),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_question_walks_through_the_history(explaining: Explaining, question: str) -> None:
    QUESTIONS[question](explaining)
    assert explaining.plan != []
    assert walks(explaining.plan) == []


def test_the_newest_entries_are_read_from_the_end(explaining: Explaining) -> None:
    reading.recent(explaining)
    # in the order of the table itself, so that the limit ends the walk
    assert walks(explaining.plan) == ["SCAN l"]
    assert [line for line in explaining.plan if "TEMP B-TREE" in line] == []
