"""Nobody reads what the service says, and receivers of webhooks that mean it harm."""

import contextlib
import fcntl
import os
import random
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from busy_place import Account, compare, configure, hook_at, no_traceback, prepare, settle
from chaos_arena import beside_others
from enclosed_place import state_of
from ledger_reading import assert_each_once, covered
from receivers import Call, Receiver, receiver
from running_service import HERE, PATIENCE_SECONDS, Place

pytestmark = pytest.mark.chaos

HUNDRED_MB = 100 * 1024 * 1024
MOST_OF_IT = 16 * 1024 * 1024
"""What the kernels' buffers on the way may take of an answer that nobody reads."""


def nobody_reads(command: list[str], place: Place) -> "tuple[subprocess.Popen[bytes], int]":
    """A service whose standard error is a pipe that is full already."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writing, bytes(4096))
    process = subprocess.Popen(
        command, cwd=place.folder, env=place.environment(), stdout=writing, stderr=writing
    )
    os.close(writing)
    return process, reading


def readers_are_gone(command: list[str], place: Place) -> "tuple[subprocess.Popen[bytes], int]":
    """A service whose standard output and error have lost their reader."""
    reading, writing = os.pipe()
    process = subprocess.Popen(
        command, cwd=place.folder, env=place.environment(), stdout=writing, stderr=writing
    )
    os.close(writing)
    os.close(reading)
    return process, os.open(os.devnull, os.O_RDONLY)


def all_closed(command: list[str], place: Place) -> "tuple[subprocess.Popen[bytes], int]":
    """A service without standard input, output and error."""
    closing = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command]
    process = subprocess.Popen(closing, cwd=place.folder, env=place.environment())
    return process, os.open(os.devnull, os.O_RDONLY)


@beside_others
def test_nobody_hears_the_service(place: Place, chance: random.Random) -> Account:
    """Its streams are full, without a reader, closed: runs start, end and are told as ever."""
    prepare(place)
    command = [sys.executable, str(HERE / "every_second_service.py")]
    starts = (nobody_reads, readers_are_gone, all_closed)
    with receiver() as hooks:
        configure(place, hooks.url, top={"shutdown_grace": 0.5})
        for start in starts:
            process, reading = start(command, place)
            try:
                enough = hooks.calls.qsize() + 8
                while hooks.calls.qsize() < enough:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(0.05)
                        pytest.fail(f"{start.__name__}: it ended with {process.returncode}")
                # a service hides from its peers
                if start is all_closed and os.geteuid() == 0:
                    for number in range(3):
                        assert Path(f"/proc/{process.pid}/fd/{number}").readlink() == Path(
                            os.devnull
                        )
                process.send_signal(signal.SIGTERM)
                assert process.wait(PATIENCE_SECONDS) == 0, start.__name__
            finally:
                process.kill()
                process.wait()
                os.close(reading)
        entries = settle(place, hooks.url)
        account = Account("standard error full, without a reader, closed")
        return compare(place, entries, hooks, account)


@dataclass
class Rude(Receiver):
    """A receiver without manners: `answer_with` does what it likes to each caller."""

    sent: list[int] = field(default_factory=list)
    leave: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def rude(answer_with: Callable[[socket.socket, Rude], None]) -> Iterator[Rude]:
    it = Rude()

    def serve(caller: socket.socket) -> None:
        with caller, contextlib.suppress(OSError):
            it.calls.put(call_from(caller))
            answer_with(caller, it)

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(64) as pool:
        it.url = f"http://127.0.0.1:{listener.getsockname()[1]}/hook"

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    pool.submit(serve, listener.accept()[0])

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield it
        finally:
            it.leave.set()
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()


def call_from(caller: socket.socket) -> Call:
    with caller.makefile("rb") as stream:
        path = stream.readline().split()[1].decode()
        headers: dict[str, str] = {}
        while line := stream.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return Call(path, headers, stream.read(int(headers["content-length"])))


def stall(_caller: socket.socket, it: Rude) -> None:
    it.leave.wait()


def stall_after_the_status(caller: socket.socket, it: Rude) -> None:
    caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
    it.leave.wait()


def reset(caller: socket.socket, _it: Rude) -> None:
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def flood(caller: socket.socket, it: Rude) -> None:
    caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % HUNDRED_MB)
    sent = 0
    try:
        while sent < HUNDRED_MB:
            caller.sendall(bytes(65536))
            sent += 65536
    finally:
        it.sent.append(sent)


@beside_others
def test_receivers_that_mean_harm(place: Place, chance: random.Random) -> Account:
    """While one stalls, the others are called; in the end each call has its outcome."""
    place.graph("constant", {"op": "Const", "value": 1})
    with contextlib.ExitStack() as opened:
        enter = opened.enter_context
        good = enter(receiver())
        stalling = enter(rude(stall))
        flooding = enter(rude(flood))
        elsewhere = {"Location": good.url.replace("/hook", "/elsewhere")}
        receivers: dict[str, tuple[Receiver, str]] = {
            "good": (good, "delivered, answered 200"),
            "stalls": (stalling, "failed: "),
            "half": (enter(rude(stall_after_the_status)), "delivered, answered 200"),
            "resets": (enter(rude(reset)), "failed: "),
            "redirects": (
                enter(receiver(status=302, headers=elsewhere)),
                "delivered, answered 302",
            ),
            "errs": (enter(receiver(status=500)), "delivered, answered 500"),
            "errs twice": (enter(receiver(status=500)), "failed after 2 attempts: "),
            "floods": (flooding, "delivered, answered 200"),
        }

        def configure_jobs(stalled_seconds: float, **more: Any) -> None:
            jobs = []
            for name, (there, _) in receivers.items():
                attempts = 2 if name == "errs twice" else 1
                hook = {**hook_at(there.url), "attempts": attempts}
                if name == "stalls":
                    hook["timeout"] = stalled_seconds
                job = {"name": name, "cron": "* * * * *", "graph": "constant.json"}
                jobs.append({**job, "overlap": "queue", "webhook": hook, **more})
            place.configure(*jobs)

        configure_jobs(60)
        with place.service(every_second=True) as service:
            heard = [good.next_call() for _ in range(6)]
            assert stalling.calls.qsize() >= 1
            assert "did not answer" not in service.log
            configure_jobs(60, enabled=False)
            service.send(signal.SIGHUP)
            service.wait_for("reloaded: ")
            service.send(signal.SIGKILL)
            assert service.ended() == -signal.SIGKILL
        for call in heard:
            good.calls.put(call)
        configure_jobs(2, enabled=False)
        with place.service(every_second=True) as service:
            while owed(place):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    service.process.wait(0.1)
            assert service.stop() == 0, service.log
            no_traceback(service.log)
        entries = place.history()
        account = Account("receivers stalled, reset, redirected, answered 500 and 100 MB", 1)
        for name, (there, delivered) in receivers.items():
            mine = [entry for entry in entries if entry["job"] == name]
            assert_each_once(covered(mine))
            assert {call.path for call in there.calls.queue} == {"/hook"}
            compare(place, mine, there, account, delivered=delivered)
        assert max(flooding.sent) < MOST_OF_IT
        return account


def owed(place: Place) -> int:
    """How many deliveries have not come to an end yet."""
    with contextlib.closing(sqlite3.connect(state_of(place) / "history.db", timeout=30)) as history:
        (count,) = history.execute("SELECT count(*) FROM delivery WHERE state = 'owed'").fetchone()
    return int(count)
