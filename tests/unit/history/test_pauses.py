"""Pauses are kept with the jobs."""

import sqlite3

import pytest

from history_samples import fire, minute
from noether_supervisor.history import ledger
from noether_supervisor.history.pauses import paused_jobs, record_pause, record_resume
from noether_supervisor.history.reading import summaries


def test_a_job_is_paused_once_and_resumed_once(connection: sqlite3.Connection) -> None:
    ledger.first_seen(connection, "digest", minute(0))
    assert record_pause(connection, "digest", minute(1))
    assert not record_pause(connection, "digest", minute(2))
    assert paused_jobs(connection) == {"digest"}
    (summary,) = summaries(connection)
    assert summary.paused_since == minute(1)
    assert record_resume(connection, "digest")
    assert not record_resume(connection, "digest")
    assert paused_jobs(connection) == frozenset()


def test_a_pause_leaves_the_position_to_the_ledger(connection: sqlite3.Connection) -> None:
    ledger.record_waiting(connection, fire(3))
    record_pause(connection, "digest", minute(5))
    assert ledger.positions(connection) == {"digest": minute(3)}


@pytest.mark.parametrize("job", ["never seen", "ünï"])
def test_a_job_that_never_was_in_a_service_can_be_paused(
    connection: sqlite3.Connection, job: str
) -> None:
    assert not record_resume(connection, job)
    assert record_pause(connection, job, minute(1))
    assert paused_jobs(connection) == {job}
    assert ledger.positions(connection) == {}
    ledger.record_position(connection, job, minute(2))
    assert ledger.positions(connection) == {job: minute(2)}
    assert paused_jobs(connection) == {job}
