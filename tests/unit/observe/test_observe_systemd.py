"""What systemd is told, over real datagram sockets."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from noether_supervisor.observe.systemd import Notifier


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(tmp_path / "notify"))
        line.settimeout(10)
        yield line


def test_every_word_is_one_datagram(systemd: socket.socket) -> None:
    environ = {"NOTIFY_SOCKET": systemd.getsockname()}
    notifier = Notifier(environ)
    assert environ == {}
    notifier.ready("3 jobs")
    notifier.reloading()
    notifier.alive()
    notifier.stopping()
    heard = [systemd.recv(4096).decode() for _ in range(4)]
    assert heard[0] == "READY=1\nSTATUS=3 jobs"
    assert heard[1].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert heard[1].rpartition("=")[2].isdigit()
    assert heard[2:] == ["WATCHDOG=1", "STOPPING=1"]


def test_without_a_socket_nothing_is_said() -> None:
    notifier = Notifier({})
    notifier.ready("0 jobs")
    notifier.stopping()
    assert notifier.watchdog_seconds is None


def test_a_socket_that_is_gone_is_nobodys_trouble(tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "nowhere")})
    notifier.ready("0 jobs")


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_kept_twice_in_its_time(
    environ: dict[str, str], seconds: float | None
) -> None:
    assert Notifier(environ).watchdog_seconds == seconds
    assert environ == {}
