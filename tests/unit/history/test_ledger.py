"""Writing the ledger: one entry a fire, positions, the end of a run in one transaction."""

import sqlite3
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from history_samples import DUE, failed, fire, minute, owed, succeeded
from noether_contract.outcomes import RunStatus
from noether_contract.reading import TRACE
from noether_supervisor.errors import HistoryError
from noether_supervisor.history import ledger
from noether_supervisor.history.deliveries import owed_delivery, pending_deliveries
from noether_supervisor.history.reading import recent, show
from noether_supervisor.history.recovery import open_runs, waiting_fires
from noether_supervisor.records import Fire, LedgerEntry, PendingDelivery, RunnerProcess
from noether_supervisor.storage.opening import open_for_writing

RUNNER = RunnerProcess(pid=4711, start_ticks=99)


def only_entry(connection: sqlite3.Connection) -> LedgerEntry:
    (entry,) = recent(connection)
    return entry


def entry_of(connection: sqlite3.Connection, run_id: str) -> LedgerEntry:
    details = show(connection, run_id)
    assert details is not None
    return details.entry


def test_a_job_begins_when_it_is_first_seen(connection: sqlite3.Connection) -> None:
    assert ledger.first_seen(connection, "digest", minute(0)) == minute(0)
    assert ledger.first_seen(connection, "digest", minute(9)) == minute(0)
    assert ledger.positions(connection) == {"digest": minute(0)}


def test_a_disabled_job_keeps_a_position_that_lies_ahead(connection: sqlite3.Connection) -> None:
    ledger.first_seen(connection, "digest", minute(5))
    ledger.record_position(connection, "digest", None)
    assert ledger.positions(connection, minute(4)) == {"digest": minute(5)}
    assert ledger.positions(connection, minute(5)) == {}


def test_instants_are_kept_to_the_microsecond(connection: sqlite3.Connection) -> None:
    now = DUE + timedelta(microseconds=123_457)
    assert ledger.first_seen(connection, "digest", now) == now


def test_a_run_from_its_start_to_its_end(connection: sqlite3.Connection) -> None:
    started = minute(0) + timedelta(milliseconds=3)
    ledger.record_start(connection, fire(), started)
    ledger.record_runner(connection, fire().run_id, RUNNER)
    running = only_entry(connection)
    assert (running.status, running.started_at, running.runner) == (
        RunStatus.RUNNING,
        started,
        RUNNER,
    )
    ending = succeeded({"n": 1, "x": 1.0, "big": 2**63}, at=started)
    assert ledger.record_end(connection, fire().run_id, ending) is None
    entry = entry_of(connection, fire().run_id)
    assert entry.status is RunStatus.SUCCEEDED
    assert entry.ended_at == started + timedelta(milliseconds=1240)
    assert entry.duration_ms == 1240
    assert entry.composition_id == "c" * 64
    assert entry.output_text == '{"n":1,"x":1.0,"big":9223372036854775808}'
    assert entry.trace_text is not None
    assert TRACE.validate_json(entry.trace_text) == ending.trace
    assert entry.delivery is None


def test_a_failed_run_keeps_everything_but_an_output(connection: sqlite3.Connection) -> None:
    ledger.record_start(connection, fire(), minute(0))
    ledger.record_end(connection, fire().run_id, failed("it\nfailed"))
    details = show(connection, fire().run_id)
    assert details is not None
    assert details.entry.error == failed("it\nfailed").error
    assert details.entry.notes == ("the report and the exit code disagreed",)
    assert details.entry.output_text is None
    assert details.stderr_tail == "Traceback: …"


def test_a_successful_run_may_answer_null(connection: sqlite3.Connection) -> None:
    ledger.record_start(connection, fire(), minute(0))
    ledger.record_end(connection, fire().run_id, succeeded(None))
    assert entry_of(connection, fire().run_id).output_text == "null"


def test_the_end_and_the_webhook_it_owes_are_one(connection: sqlite3.Connection) -> None:
    ledger.record_start(connection, fire(), minute(0))
    call = owed(fire(), body=b'{"ok":true}')
    number = ledger.record_end(connection, fire().run_id, succeeded(), call)
    assert number is not None
    assert pending_deliveries(connection) == [PendingDelivery(number, call.receiver)]
    delivery = owed_delivery(connection, number)
    assert delivery is not None
    assert delivery.owed == call
    assert entry_of(connection, fire().run_id).delivery == "owed"


def test_a_run_ends_once(connection: sqlite3.Connection) -> None:
    ledger.record_start(connection, fire(), minute(0))
    first = ledger.record_end(connection, fire().run_id, succeeded(1), owed(fire()))
    before = entry_of(connection, fire().run_id)
    again = ledger.record_end(connection, fire().run_id, failed(), owed(fire(), "http://other/"))
    assert again == first
    assert entry_of(connection, fire().run_id) == before
    assert len(pending_deliveries(connection)) == 1


def test_notes_of_a_run_come_before_those_of_its_end(connection: sqlite3.Connection) -> None:
    ledger.record_start(connection, fire(), minute(0))
    ledger.record_note(connection, fire().run_id, 'attempt 1 failed: "ü"')
    ledger.record_note(connection, fire().run_id, "attempt 2 failed")
    assert entry_of(connection, fire().run_id).notes == (
        'attempt 1 failed: "ü"',
        "attempt 2 failed",
    )
    ledger.record_end(connection, fire().run_id, failed())
    ledger.record_note(connection, fire().run_id, "too late")
    assert entry_of(connection, fire().run_id).notes == (
        'attempt 1 failed: "ü"',
        "attempt 2 failed",
        *failed().notes,
    )


def test_a_run_that_never_started_cannot_end(connection: sqlite3.Connection) -> None:
    with pytest.raises(HistoryError, match="not in the ledger"):
        ledger.record_end(connection, fire().run_id, succeeded())
    ledger.record_waiting(connection, fire())
    with pytest.raises(HistoryError, match="only waits"):
        ledger.record_end(connection, fire().run_id, succeeded())


def test_a_waiting_fire_starts_later(connection: sqlite3.Connection) -> None:
    ledger.record_waiting(connection, fire())
    assert only_entry(connection).status is RunStatus.WAITING
    ledger.record_start(connection, fire(), minute(5))
    entry = only_entry(connection)
    assert (entry.status, entry.started_at) == (RunStatus.RUNNING, minute(5))


@pytest.mark.parametrize("waits", [True, False])
def test_a_fire_that_is_skipped_says_why(connection: sqlite3.Connection, waits: bool) -> None:
    if waits:
        ledger.record_waiting(connection, fire(1))
    ledger.record_skipped(connection, fire(1), "overlap", fire(0).run_id)
    entry = only_entry(connection)
    assert entry.status is RunStatus.SKIPPED
    assert entry.reason == "overlap, in favour of digest@20260414T083000Z"
    assert ledger.positions(connection) == {"digest": minute(1)}


@pytest.mark.parametrize("waits", [True, False])
def test_a_fire_that_is_refused_ends_at_once(connection: sqlite3.Connection, waits: bool) -> None:
    if waits:
        ledger.record_waiting(connection, fire())
    number = ledger.record_refused(connection, fire(), failed("no such graph"), owed(fire()))
    assert number is not None
    entry = only_entry(connection)
    assert entry.status is RunStatus.FAILED
    assert entry.error is not None
    assert entry.error.message == "no such graph"


def test_an_outage_is_one_entry(connection: sqlite3.Connection) -> None:
    ledger.record_missed(connection, "digest", minute(1), minute(7), 7, "service was down")
    entry = only_entry(connection)
    assert entry.status is RunStatus.MISSED
    assert (entry.due, entry.due_last, entry.due_count) == (minute(1), minute(7), 7)
    assert ledger.positions(connection) == {"digest": minute(7)}


def test_no_instant_is_covered_twice(connection: sqlite3.Connection) -> None:
    ledger.record_missed(connection, "digest", minute(1), minute(7), 7, "service was down")
    for number in (1, 4, 7):
        with pytest.raises(HistoryError, match="cannot be recorded again"):
            ledger.record_start(connection, fire(number), minute(9))
    with pytest.raises(HistoryError, match="cannot be recorded again"):
        ledger.record_missed(connection, "digest", minute(7), minute(8), 2, "clock jumped")


def test_a_started_fire_does_not_start_again(connection: sqlite3.Connection) -> None:
    ledger.record_start(connection, fire(), minute(0))
    with pytest.raises(HistoryError):
        ledger.record_start(connection, fire(), minute(1))


def test_runs_by_hand_do_not_touch_the_position(connection: sqlite3.Connection) -> None:
    ledger.first_seen(connection, "digest", minute(5))
    by_hand = Fire("digest", minute(2) + timedelta(milliseconds=417), manual=True)
    ledger.record_start(connection, by_hand, by_hand.due)
    entry = only_entry(connection)
    assert entry.run_id == "digest@20260414T083200417Z-manual"
    assert entry.manual
    assert ledger.positions(connection) == {"digest": minute(5)}
    with pytest.raises(HistoryError, match="in the ledger already"):
        ledger.record_start(connection, by_hand, by_hand.due)


def test_a_disabled_job_has_no_position_until_it_counts_again(
    connection: sqlite3.Connection,
) -> None:
    ledger.record_position(connection, "digest", minute(0))
    ledger.record_position(connection, "digest", None)
    assert ledger.positions(connection) == {}
    ledger.record_position(connection, "digest", minute(9))
    assert ledger.positions(connection) == {"digest": minute(9)}


def test_a_position_never_moves_back(connection: sqlite3.Connection) -> None:
    ledger.record_position(connection, "digest", minute(9))
    ledger.record_position(connection, "digest", minute(3))
    assert ledger.positions(connection) == {"digest": minute(9)}


def test_a_composition_id_told_early_outlives_an_ending_without_one(
    connection: sqlite3.Connection,
) -> None:
    ledger.record_start(connection, fire(), minute(0))
    ledger.record_composition(connection, fire().run_id, "d" * 64)
    assert only_entry(connection).composition_id == "d" * 64


class LedgerLaw(RuleBasedStateMachine):
    """Whatever is recorded in whatever order: no gap, no overlap, each run ends once."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        self.connection = open_for_writing(Path(self._folder.name) / "history.db")
        ledger.first_seen(self.connection, "digest", minute(0))
        self.covered = 0
        self.ended: dict[str, RunStatus] = {}

    def teardown(self) -> None:
        self.connection.close()
        self._folder.cleanup()

    def next_fire(self) -> Fire:
        self.covered += 1
        return fire(self.covered)

    @rule()
    def start(self) -> None:
        ledger.record_start(self.connection, self.next_fire(), minute(self.covered))

    @rule()
    def wait(self) -> None:
        ledger.record_waiting(self.connection, self.next_fire())

    @rule()
    def skip(self) -> None:
        ledger.record_skipped(self.connection, self.next_fire(), "overlap")

    @rule()
    def refuse(self) -> None:
        of = self.next_fire()
        ledger.record_refused(self.connection, of, failed())
        self.ended[of.run_id] = RunStatus.FAILED

    @rule(count=st.integers(min_value=1, max_value=5))
    def miss(self, count: int) -> None:
        first, last = minute(self.covered + 1), minute(self.covered + count)
        ledger.record_missed(self.connection, "digest", first, last, count, "service was down")
        self.covered += count

    @rule(count=st.integers(min_value=1, max_value=5))
    def run_by_hand(self, count: int) -> None:
        due = minute(0) + timedelta(milliseconds=len(self.ended), minutes=count)
        by_hand = Fire("digest", due, manual=True)
        if by_hand.run_id not in self.ended:
            ledger.record_refused(self.connection, by_hand, failed())
            self.ended[by_hand.run_id] = RunStatus.FAILED

    @rule()
    def start_what_waits(self) -> None:
        for of in waiting_fires(self.connection):
            ledger.record_start(self.connection, of, minute(self.covered))

    @rule()
    def end_what_runs(self) -> None:
        for run in open_runs(self.connection):
            ledger.record_end(self.connection, run.fire.run_id, succeeded())
            self.ended[run.fire.run_id] = RunStatus.SUCCEEDED

    @rule()
    def end_again_what_has_ended(self) -> None:
        for run_id in self.ended:
            ledger.record_end(self.connection, run_id, failed(status=RunStatus.CRASHED))

    @precondition(lambda self: self.covered)
    @rule(data=st.data())
    def cover_again(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(min_value=1, max_value=self.covered))
        with pytest.raises(HistoryError):
            ledger.record_missed(
                self.connection, "digest", minute(number), minute(self.covered + 1), 2, "again"
            )

    @invariant()
    def every_due_instant_is_covered_by_exactly_one_entry(self) -> None:
        entries = recent(self.connection, "digest", limit=10_000)
        minutes = [
            round((entry.due - DUE).total_seconds() / 60) + offset
            for entry in entries
            if not entry.manual
            for offset in range(entry.due_count)
        ]
        assert sorted(minutes) == list(range(1, self.covered + 1))
        assert ledger.positions(self.connection) == {"digest": minute(self.covered)}

    @invariant()
    def every_run_has_ended_once(self) -> None:
        entries = recent(self.connection, "digest", limit=10_000)
        assert {e.run_id: e.status for e in entries if e.ended_at} == self.ended
        outcomes = self.connection.execute("SELECT count(*) FROM outcome").fetchone()
        assert outcomes == (len(self.ended),)


TestLedgerLaw = LedgerLaw.TestCase
TestLedgerLaw.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
