"""What a service finds that starts after another one died."""

import sqlite3
from datetime import timedelta

import orjson

from history_samples import failed, fire, minute, owed, succeeded
from noether_contract.outcomes import ErrorCode, RunStatus
from noether_contract.reading import TRACE
from noether_supervisor.history import ledger
from noether_supervisor.history.deliveries import owed_delivery, pending_deliveries
from noether_supervisor.history.reading import show
from noether_supervisor.history.recovery import close_interrupted, open_runs, waiting_fires
from noether_supervisor.records import Fire, OwedDelivery, RunEnding, RunnerProcess

RUNNER = RunnerProcess(pid=4711, start_ticks=99)
NOW = minute(60)


def nobody(of: Fire, ending: RunEnding) -> OwedDelivery | None:
    return None


def test_open_runs_are_ended_and_their_webhooks_are_owed(connection: sqlite3.Connection) -> None:
    ledger.record_start(connection, fire(0), minute(0))
    ledger.record_end(connection, fire(0).run_id, succeeded(), owed(fire(0)))
    ledger.record_start(connection, fire(1), minute(1))
    ledger.record_runner(connection, fire(1).run_id, RUNNER)
    ledger.record_composition(connection, fire(1).run_id, "d" * 64)
    ledger.record_start(connection, fire(2), minute(2))

    def body(of: Fire, ending: RunEnding) -> OwedDelivery:
        assert ending.error is not None
        said = {"job": of.job, "error": ending.error.message, "id": ending.composition_id}
        return owed(of, body=orjson.dumps(said))

    found = close_interrupted(connection, NOW, body)

    assert [run.fire for run in found] == [fire(1), fire(2)]
    assert [run.runner for run in found] == [RUNNER, None]
    assert open_runs(connection) == []
    details = show(connection, fire(1).run_id)
    assert details is not None
    entry = details.entry
    assert entry.status is RunStatus.INTERRUPTED
    assert entry.ended_at == NOW
    assert entry.duration_ms == 59 * 60 * 1000
    assert entry.composition_id == "d" * 64
    assert entry.error is not None
    assert entry.error.code is ErrorCode.RUN_INTERRUPTED
    assert entry.notes
    assert entry.trace_text is not None
    trace = TRACE.validate_json(entry.trace_text)
    assert trace.incomplete
    assert trace.status == "Failed"
    assert trace.composition_id == "d" * 64
    assert len(pending_deliveries(connection)) == 3
    delivery = owed_delivery(connection, pending_deliveries(connection)[1].id)
    assert delivery is not None
    assert orjson.loads(delivery.owed.body)["id"] == "d" * 64


def test_the_second_recovery_finds_nothing(connection: sqlite3.Connection) -> None:
    ledger.record_start(connection, fire(), minute(0))
    assert len(close_interrupted(connection, NOW, nobody)) == 1
    assert close_interrupted(connection, NOW, nobody) == []
    assert pending_deliveries(connection) == []


def test_a_clock_that_was_set_back_gives_no_negative_duration(
    connection: sqlite3.Connection,
) -> None:
    ledger.record_start(connection, fire(), minute(0))
    close_interrupted(connection, minute(-60), nobody)
    details = show(connection, fire().run_id)
    assert details is not None
    assert details.entry.duration_ms == 0


def test_waiting_fires_come_back_in_due_order(connection: sqlite3.Connection) -> None:
    ledger.record_waiting(connection, fire(2, "b"))
    ledger.record_waiting(connection, fire(1, "c"))
    ledger.record_waiting(connection, fire(2, "a"))
    ledger.record_start(connection, fire(0, "d"), minute(0))
    by_hand = Fire("e", minute(3) + timedelta(milliseconds=5), manual=True)
    ledger.record_waiting(connection, by_hand)
    assert waiting_fires(connection) == [fire(1, "c"), fire(2, "a"), fire(2, "b"), by_hand]


def test_what_a_restart_asks_does_not_read_the_history(connection: sqlite3.Connection) -> None:
    """The promise of a ready service within a second: none of the questions scans the ledger."""
    ledger.record_refused(connection, fire(), failed())
    questions: list[str] = []
    connection.set_trace_callback(questions.append)
    open_runs(connection)
    waiting_fires(connection)
    pending_deliveries(connection)
    connection.set_trace_callback(None)
    assert len(questions) == 3
    for question in questions:
        plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {question}"))
        assert any(
            index in plan for index in ("ledger_running", "ledger_waiting", "delivery_owed")
        ), plan
