"""Opening the database: private files, versions, reading with and without a service."""

import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from history_samples import fire, minute
from noether_supervisor.errors import HistoryError
from noether_supervisor.history import ledger
from noether_supervisor.history.deliveries import owed_delivery
from noether_supervisor.history.pauses import paused_jobs
from noether_supervisor.storage.migrations import all_steps, bring_up_to_date, version_of
from noether_supervisor.storage.opening import open_for_writing, open_readonly, reading
from noether_supervisor.storage.trouble import database_trouble, file_trouble


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_files_belong_to_their_owner_alone(path: Path) -> None:
    before = os.umask(0)
    try:
        with closing(open_for_writing(path)):
            modes = {entry.name: mode_of(entry) for entry in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert mode_of(path.parent) == 0o700
    assert modes == {"history.db": 0o600, "history.db-wal": 0o600, "history.db-shm": 0o600}


def test_it_is_a_log_that_survives_a_power_cut(connection: sqlite3.Connection) -> None:
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_second_opening_finds_what_the_first_wrote(path: Path) -> None:
    with closing(open_for_writing(path)) as connection:
        ledger.record_waiting(connection, fire())
    with closing(open_for_writing(path)) as connection:
        assert ledger.positions(connection) == {"digest": minute(0)}


def test_an_older_database_takes_the_steps_it_has_not_taken(path: Path) -> None:
    next_step = "-- a new column\nALTER TABLE job ADD COLUMN colour TEXT;\nCREATE TABLE more (x);\n"
    steps = (*all_steps(), next_step)
    with closing(open_for_writing(path)) as connection:
        bring_up_to_date(connection, path, steps)
        assert version_of(connection, path, known=len(steps)) == len(steps)
        assert connection.execute("SELECT colour FROM job").fetchall() == []


def test_what_the_first_version_wrote_is_owed_by_the_next(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        bring_up_to_date(connection, path, all_steps()[:1])
        connection.execute("INSERT INTO job (name, first_seen_us, covered_us) VALUES ('a', 1, 1)")
        connection.execute(
            "INSERT INTO ledger (entry, run_id, job, manual, due_us, due_last_us, due_count, "
            "status) VALUES (1, 'a@19700101T000000Z', 'a', 0, 1, 1, 1, 'failed')"
        )
        connection.execute(
            "INSERT INTO delivery (entry, url, body) VALUES (1, 'https://u:p@h:8/x', '{}')"
        )
    with closing(open_for_writing(path)) as connection:
        delivery = owed_delivery(connection, 1)
        assert delivery is not None
        assert delivery.owed.most_attempts == 1
        # what may be shown of the receiver; more was never needed
        assert delivery.owed.receiver == "https://…"
        assert paused_jobs(connection) == frozenset()


def test_a_step_that_fails_leaves_the_database_as_it_was(path: Path) -> None:
    steps = (*all_steps(), "CREATE TABLE more (x);\nCREATE TABLE job (y);\n")
    with closing(open_for_writing(path)) as connection:
        with pytest.raises(sqlite3.OperationalError):
            bring_up_to_date(connection, path, steps)
        assert version_of(connection, path) == len(all_steps())
        assert (
            connection.execute("SELECT name FROM sqlite_master WHERE name = 'more'").fetchall()
            == []
        )


@pytest.mark.parametrize("opening", [open_for_writing, open_readonly])
def test_a_newer_database_is_refused(
    path: Path, opening: Callable[[Path], sqlite3.Connection]
) -> None:
    with closing(open_for_writing(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(HistoryError, match=r"version 99, .* newer noether-scheduler"):
        opening(path)


def test_an_older_database_is_not_read_before_the_service_has_brought_it_up_to_date(
    path: Path,
) -> None:
    with closing(open_for_writing(path)) as connection:
        connection.execute("PRAGMA user_version = 0")
    with pytest.raises(HistoryError, match="start the service once"):
        open_readonly(path)


@pytest.mark.parametrize("opening", [open_for_writing, open_readonly])
def test_the_database_of_another_program_is_refused(
    tmp_path: Path, opening: Callable[[Path], sqlite3.Connection]
) -> None:
    path = tmp_path / "contacts.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE contact (name)")
    with pytest.raises(HistoryError, match="another program"):
        opening(path)


@pytest.mark.parametrize("opening", [open_for_writing, open_readonly])
def test_a_file_that_is_no_database_is_refused(
    tmp_path: Path, opening: Callable[[Path], sqlite3.Connection]
) -> None:
    path = tmp_path / "history.db"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(HistoryError, match=r"is not a run history .* move it away"):
        opening(path)


def test_a_directory_in_place_of_the_file_is_refused(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(HistoryError, match=r"history\.db"):
        open_for_writing(path)


def test_a_file_in_place_of_the_directory_is_refused(path: Path) -> None:
    path.parent.write_text("")
    with pytest.raises(HistoryError, match=r"cannot be made \(a file stands there\): give"):
        open_for_writing(path)


def test_reading_beside_the_writer_sees_what_is_committed(
    path: Path, connection: sqlite3.Connection
) -> None:
    with closing(open_readonly(path)) as reader:
        assert ledger.positions(reader) == {}
        ledger.record_waiting(connection, fire())
        assert ledger.positions(reader) == {"digest": minute(0)}


def test_reading_after_a_clean_stop_creates_no_file(path: Path) -> None:
    with closing(open_for_writing(path)) as connection:
        ledger.record_waiting(connection, fire())
    assert [entry.name for entry in path.parent.iterdir()] == ["history.db"]
    with closing(open_readonly(path)) as reader:
        assert ledger.positions(reader) == {"digest": minute(0)}
        assert [entry.name for entry in path.parent.iterdir()] == ["history.db"]


def test_a_reader_cannot_write(path: Path, connection: sqlite3.Connection) -> None:
    with closing(open_readonly(path)) as reader, pytest.raises(sqlite3.OperationalError) as met:
        ledger.record_waiting(reader, fire())
    told = database_trouble(met.value, path)
    assert "cannot be written" in told.message
    assert told.__cause__ is met.value


@pytest.mark.parametrize("exists", [True, False])
def test_without_a_history_there_is_nothing_to_read_and_nothing_is_created(
    path: Path, exists: bool
) -> None:
    if exists:  # a service that was killed as it began
        path.parent.mkdir()
        path.touch()
    with pytest.raises(HistoryError, match=r"no run history at .* yet"):
        open_readonly(path)
    assert path.exists() == exists


def test_a_path_with_odd_characters_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "100% of #1?x=ü" / "history.db"
    with closing(open_for_writing(path)), closing(open_readonly(path)) as reader:
        assert ledger.positions(reader) == {}


def test_damage_inside_the_file_says_what_to_do(path: Path) -> None:
    with closing(open_for_writing(path)) as connection:
        ledger.record_waiting(connection, fire())
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(HistoryError, match="is damaged"), reading(path) as connection:
        connection.execute("SELECT * FROM job").fetchall()


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (28, "no space is left"),
        (30, "cannot be written"),
        (13, "cannot be opened"),
        (5, "could not be used"),
    ],
)
def test_errors_of_the_operating_system_become_sentences(number: int, expected: str) -> None:
    told = file_trouble(OSError(number, os.strerror(number)), Path("/x/history.db"))
    assert expected in told.message
    assert "/x/history.db" in told.message


def test_a_reader_meets_a_service_that_stops_in_between(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index is there when the reader looks and gone when it opens: it looks once more."""
    with closing(open_for_writing(path)) as connection:
        ledger.record_waiting(connection, fire())
    looks: list[Path] = []
    exists = Path.exists

    def stale_look(self: Path) -> bool:
        looks.append(self)
        return True if len(looks) == 1 else exists(self)

    monkeypatch.setattr(Path, "exists", stale_look)
    for _ in range(2):  # the first attempt leaves an empty log, which must not disturb the next
        with closing(open_readonly(path)) as reader:
            assert ledger.positions(reader) == {"digest": minute(0)}


def test_a_copy_without_its_index_is_not_read_as_if_it_were_whole(
    path: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "history.db"
    with closing(open_for_writing(path)) as connection:
        ledger.record_waiting(connection, fire())
        for suffix in ("", "-wal"):
            Path(f"{copy}{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
    with pytest.raises(HistoryError, match="start the service once"):
        open_readonly(copy)
    with closing(open_for_writing(copy)) as connection:
        assert ledger.positions(connection) == {"digest": minute(0)}
