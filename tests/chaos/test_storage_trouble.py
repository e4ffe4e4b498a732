"""A history that cannot be written, for a while or for good: nothing is lost, and it is told."""

import contextlib
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from busy_place import (
    PEACEFUL,
    Account,
    compare,
    configure,
    finish,
    no_traceback,
    prepare,
    settle,
    wait_for_all,
)
from chaos_arena import KILLS, beside_others
from enclosed_place import enclosed, state_of
from receivers import receiver
from running_service import HERE, PATIENCE_SECONDS, Place, Service

pytestmark = pytest.mark.chaos

EVERY_SECOND = [sys.executable, str(HERE / "every_second_service.py")]
STARVED = PEACEFUL | {"failed"}
"""Without space there is none for the private directory of a run either, and the run says so."""


def pauses(chance: random.Random, service: Service, most: float = 1.0) -> None:
    """Lets the service run for a while; it has not ended by itself."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        service.process.wait(chance.uniform(0, most))
    assert service.process.returncode is None, service.log


@beside_others
def test_the_disk_is_full(place: Place, chance: random.Random) -> Account:
    times = max(2, KILLS // 5)
    prepare(place)
    with enclosed(place, kilobytes=4096) as inside, receiver() as hooks:
        configure(inside, hooks.url)
        kills = 0
        for number in range(times):
            with inside.service(every_second=True) as service:
                wait_for_all(service)
                inside.fill()
                service.wait_for("history cannot be written, trying again", "no space is left")
                pauses(chance, service)
                if number % 2:
                    kills += 1
                    service.send(signal.SIGKILL)
                    assert service.ended() == -signal.SIGKILL
                    refused = inside.call("noether-scheduler")
                    assert refused.returncode == 1, refused.stderr
                    assert "no space is left" in refused.stderr
                    no_traceback(refused.stderr)
                    inside.free()
                    continue
                inside.free()
                service.wait_for("history is written again; nothing was lost")
                assert service.log.count("history cannot be written") == 1, service.log
                no_traceback(service.log)
        entries = settle(inside, hooks.url)
        what = f"the disk was full {times} times, with {kills} kills"
        account = Account(what, kills)
        return compare(inside, entries, hooks, account, allowed=STARVED, state=inside.state)


@beside_others
def test_nothing_can_be_written_at_all(place: Place, chance: random.Random) -> Account:
    """As on a disk that fails, or was made read-only: each write of the service is refused."""
    prepare(place)
    with receiver() as hooks:
        configure(place, hooks.url)
        with place.service(every_second=True) as service:
            wait_for_all(service)
            try:
                limits = resource.prlimit(service.pid, resource.RLIMIT_FSIZE)
            except PermissionError:
                pytest.skip("only root may change the limits of a service, which hides from peers")
            resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (0, limits[1]))
            service.wait_for("history cannot be written, trying again")
            pauses(chance, service)
            resource.prlimit(service.pid, resource.RLIMIT_FSIZE, limits)
            service.wait_for("history is written again; nothing was lost")
            entries = finish(place, service, hooks.url)
        account = Account("no write was possible for a while")
        return compare(place, entries, hooks, account, allowed=STARVED)


@beside_others
def test_the_state_directory_is_read_only(place: Place, chance: random.Random) -> Account:
    """First at the start, then under the feet of a service; nobody here may write all the same."""
    prepare(place)
    state = state_of(place)
    plain = PlainPlace(place.folder)
    with enclosed_read_only(place) as inside:
        refused = inside.call("noether-scheduler")
        assert refused.returncode == 1, refused.stderr
        assert "cannot be written" in refused.stderr
        assert str(state) in refused.stderr
        no_traceback(refused.stderr)
    with receiver() as hooks:
        configure(plain, hooks.url)
        with plain.service(every_second=True) as service:
            wait_for_all(service)
            state.chmod(0o500)
            pauses(chance, service)
            service.send(signal.SIGKILL)
            assert service.ended() == -signal.SIGKILL
        for file in state.iterdir():
            if file.is_file():
                file.chmod(0o400)
        refused = plain.call("noether-scheduler")
        assert refused.returncode == 1, refused.stderr
        no_traceback(refused.stderr)
        state.chmod(0o700)
        for file in state.iterdir():
            if file.is_file():
                file.chmod(0o600)
        entries = settle(plain, hooks.url)
        account = Account("the state directory was read-only, at the start and later", 1)
        return compare(plain, entries, hooks, account, allowed=STARVED)


class PlainPlace(Place):
    """A place whose commands obey the modes of files, as root does not by itself."""

    def within(self, *words: str) -> list[str]:
        if os.geteuid() != 0:
            return list(words)
        return ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *words]


@contextlib.contextmanager
def enclosed_read_only(place: Place) -> Iterator[Place]:
    """The place with a state directory on a file system that is mounted read-only."""
    with enclosed(place, kilobytes=1024) as inside, receiver() as hooks:
        configure(inside, hooks.url)
        inside.do("mount", "-o", "remount,ro", str(state_of(place)))
        yield inside


@beside_others
def test_another_process_locks_the_database(place: Place, chance: random.Random) -> Account:
    """For moments, and for longer than a writer waits; a stop comes through in the meantime."""
    prepare(place)
    with receiver() as hooks:
        configure(place, hooks.url, top={"shutdown_grace": 0.2})
        with place.service(every_second=True) as service:
            wait_for_all(service)
            for _ in range(max(2, KILLS // 5)):
                with locked(place):
                    pauses(chance, service)
                pauses(chance, service, 0.3)
            with locked(place):
                service.wait_for("history cannot be written, trying again", "locked for too long")
                pauses(chance, service)
            service.wait_for("history is written again; nothing was lost")
            assert service.log.count("history cannot be written") == 1, service.log
            with locked(place):
                service.wait_for("history cannot be written, trying again", count=2)
                service.send(signal.SIGTERM)
                service.send(signal.SIGTERM)
                assert service.ended() == 0, service.log
            no_traceback(service.log)
        entries = settle(place, hooks.url)
        return compare(place, entries, hooks, Account("the database was locked by another process"))


@contextlib.contextmanager
def locked(place: Place) -> Iterator[None]:
    database = state_of(place) / "history.db"
    with closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@beside_others
def test_two_services_on_one_state_directory(place: Place, chance: random.Random) -> Account:
    """Late ones, and some that start in the same instant: one of them lives, the others name it."""
    prepare(place)
    refusals = 0
    with receiver() as hooks:
        configure(place, hooks.url)
        with place.service(every_second=True) as service:
            for _ in range(max(1, KILLS // 10)):
                refused = place.call("noether-scheduler")
                assert refused.returncode == 1, refused.stderr
                assert f"pid {service.pid})" in refused.stderr
                refusals += 1
            wait_for_all(service)
            assert service.stop() == 0
        with contextlib.ExitStack() as racing:
            rivals = [racing.enter_context(place.started(EVERY_SECOND)) for _ in range(3)]
            first = first_to_start(rivals)
            for rival in rivals:
                if rival is not first:
                    assert rival.ended() == 1, rival.log
                    assert f"pid {first.pid})" in rival.log
                    refusals += 1
            entries = finish(place, first, hooks.url)
        account = Account(f"{refusals} services were refused a state directory in use")
        return compare(place, entries, hooks, account)


def first_to_start(rivals: list[Service]) -> Service:
    """The one that has not ended when the others have."""
    left = list(rivals)
    while len(left) > 1:
        ended = [rival for rival in left if rival.process.poll() is not None]
        left = [rival for rival in left if rival not in ended]
        if not ended:
            with contextlib.suppress(subprocess.TimeoutExpired):
                left[0].process.wait(0.05)
    left[0].wait_for("started: ")
    return left[0]


@beside_others
def test_the_database_is_damaged(place: Place, chance: random.Random) -> Account:
    """One clear error, and the service ends; with the file out of the way a new history begins."""
    prepare(place)
    damage = chance.choice([lose_a_table, scribble])
    database = state_of(place) / "history.db"
    with receiver() as hooks:
        configure(place, hooks.url)
        with place.service(every_second=True) as service:
            wait_for_all(service)
            damage(database)
            assert service.ended() == 1, service.log
        said = [line for line in service.log.splitlines() if "history cannot be written" in line]
        assert len(said) == 1, service.log
        assert "a new history begins" in said[0]
        no_traceback(service.log)
        refused = place.call("noether-scheduler")
        assert refused.returncode == 1, refused.stderr
        assert "a new history begins" in refused.stderr
        no_traceback(refused.stderr)
        for name in ("history.db", "history.db-wal", "history.db-shm"):
            (state_of(place) / name).unlink(missing_ok=True)
        for marks in place.folder.glob("*.ran"):
            marks.unlink()
        while not hooks.calls.empty():
            hooks.calls.get_nowait()
        entries = settle(place, hooks.url)
        return compare(
            place, entries, hooks, Account(f"the database was damaged ({damage.__name__})")
        )


def lose_a_table(database: Path) -> None:
    with closing(sqlite3.connect(database, timeout=PATIENCE_SECONDS)) as other:
        other.execute("PRAGMA foreign_keys = OFF")
        other.execute("DROP TABLE ledger")
        other.commit()


def scribble(database: Path) -> None:
    with closing(
        sqlite3.connect(database, timeout=PATIENCE_SECONDS, isolation_level=None)
    ) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with database.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(4096)
        file.write(os.urandom(size - 4096))
