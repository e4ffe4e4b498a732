"""The questions of commands and pages."""

import sqlite3

import orjson

from history_samples import failed, fire, minute, owed, succeeded
from noether_contract.messages import Usage
from noether_contract.outcomes import ErrorCode, RunStatus
from noether_supervisor.history import ledger
from noether_supervisor.history.reading import recent, show, similar_run_ids, summaries


def ids(connection: sqlite3.Connection, job: str | None = None, limit: int = 20) -> list[str]:
    return [entry.run_id for entry in recent(connection, job, limit=limit)]


def test_the_newest_come_first(connection: sqlite3.Connection) -> None:
    for number in range(4):
        ledger.record_refused(connection, fire(number, "a"), succeeded())
        ledger.record_refused(connection, fire(number, "b"), succeeded())
    assert ids(connection, limit=3) == [
        "b@20260414T083300Z",
        "a@20260414T083300Z",
        "b@20260414T083200Z",
    ]
    assert ids(connection, job="a", limit=2) == ["a@20260414T083300Z", "a@20260414T083200Z"]
    assert ids(connection, job="c") == []


def test_failures_are_what_ran_and_did_not_succeed(connection: sqlite3.Connection) -> None:
    wrong = (
        RunStatus.FAILED,
        RunStatus.TIMED_OUT,
        RunStatus.OUT_OF_MEMORY,
        RunStatus.CRASHED,
        RunStatus.INTERRUPTED,
    )
    ledger.record_refused(connection, fire(1), succeeded())
    for number, status in enumerate(wrong):
        ledger.record_refused(connection, fire(2 + number), failed(status=status))
    ledger.record_skipped(connection, fire(10), "overlap")
    ledger.record_missed(connection, "digest", minute(11), minute(12), 2, "service was down")
    ledger.record_start(connection, fire(13), minute(13))
    ledger.record_waiting(connection, fire(14))
    found = recent(connection, failed=True)
    assert [entry.status for entry in found] == list(reversed(wrong))
    assert recent(connection, "digest", failed=True) == found


def test_lists_do_not_read_outputs_and_traces(connection: sqlite3.Connection) -> None:
    ledger.record_refused(connection, fire(), succeeded("x" * 100))
    (entry,) = recent(connection)
    assert entry.output_text is None
    assert entry.trace_text is None


def test_one_run_is_shown_with_everything(connection: sqlite3.Connection) -> None:
    ledger.record_refused(connection, fire(), succeeded({"text": "ünï"}), owed(fire()))
    details = show(connection, fire().run_id)
    assert details is not None
    assert details.entry.output_text == '{"text":"ünï"}'
    assert details.entry.delivery == "owed"
    assert details.usage == Usage()
    assert show(connection, "digest@20990101T000000Z") is None


def test_an_entry_without_a_run_is_shown_too(connection: sqlite3.Connection) -> None:
    ledger.record_skipped(connection, fire(), "overlap")
    details = show(connection, fire().run_id)
    assert details is not None
    assert details.entry.status is RunStatus.SKIPPED


def test_an_error_of_another_version_still_says_its_message(
    connection: sqlite3.Connection,
) -> None:
    ledger.record_refused(connection, fire(), failed())
    told = orjson.dumps({"code": "unheard_of", "message": "what it said"}).decode()
    connection.execute("UPDATE ledger SET error = ?", (told,))
    (entry,) = recent(connection)
    assert entry.error is not None
    assert (entry.error.code, entry.error.message) == (ErrorCode.INTERNAL, "what it said")


def test_similar_ids_are_offered(connection: sqlite3.Connection) -> None:
    for number in range(3):
        ledger.record_refused(connection, fire(number), succeeded())
    assert similar_run_ids(connection, "digest@20260414T0831") == ["digest@20260414T083100Z"]
    assert len(similar_run_ids(connection, "dig", limit=2)) == 2
    assert similar_run_ids(connection, "other") == []


def test_how_every_job_stands(connection: sqlite3.Connection) -> None:
    ledger.first_seen(connection, "new", minute(0))
    ledger.record_refused(connection, fire(1, "a"), succeeded())
    ledger.record_refused(connection, fire(2, "a"), failed())
    ledger.record_skipped(connection, fire(3, "a"), "overlap")
    ledger.record_start(connection, fire(4, "a"), minute(4))
    ledger.record_start(connection, fire(5, "a"), minute(5))
    ledger.record_waiting(connection, fire(6, "a"))
    ledger.record_missed(connection, "gone", minute(1), minute(9), 9, "service was down")
    a, gone, new = summaries(connection)
    assert (a.job, a.running, a.waiting, a.position) == ("a", 2, 1, minute(6))
    assert a.last is not None
    assert (a.last.due, a.last.status) == (minute(2), RunStatus.FAILED)
    assert (gone.job, gone.last, gone.running) == ("gone", None, 0)
    assert (new.job, new.last, new.position) == ("new", None, minute(0))
