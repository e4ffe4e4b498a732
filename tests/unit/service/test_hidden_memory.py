"""The service keeps its memory and its environment from other processes of its user."""

import ctypes
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from noether_supervisor import service
from noether_supervisor.errors import SupervisorError
from noether_supervisor.runs.process import hide_from_peers

NOBODYS = 61_235
_PR_SET_DUMPABLE = 4


def as_nobody(behaviour: Callable[[], object]) -> int:
    """Forks a process of another user that does this and ends with what it returns; its id."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            os.setgroups([])
            os.setgid(NOBODYS)
            os.setuid(NOBODYS)
            # becoming somebody else has hidden it already
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
            code = int(str(behaviour()))
        finally:
            os._exit(code)
    return pid


def opened_by_a_peer(before: Callable[[], None]) -> int:
    """How many files that tell of its memory another process of its user can open."""
    ready_out, ready = os.pipe()

    def wait() -> int:
        before()
        os.write(ready, b"!")
        signal.pause()
        return 0

    watched = as_nobody(wait)
    os.read(ready_out, 1)

    def look() -> int:
        found = 0
        for name in ("environ", "mem", "maps"):
            try:
                os.close(os.open(f"/proc/{watched}/{name}", os.O_RDONLY))
                found += 1
            except PermissionError:
                pass
        return found

    try:
        return os.waitstatus_to_exitcode(os.waitpid(as_nobody(look), 0)[1])
    finally:
        os.kill(watched, signal.SIGKILL)
        os.waitpid(watched, 0)
        os.close(ready)
        os.close(ready_out)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two processes of another user")
def test_peers_are_refused() -> None:
    assert opened_by_a_peer(lambda: None) == 3
    assert opened_by_a_peer(hide_from_peers) == 0


def test_a_service_hides_before_it_reads_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden: list[bool] = []
    monkeypatch.setattr(service, "hide_from_peers", lambda: hidden.append(True))
    monkeypatch.setattr(service, "configure", lambda *_: None)
    with pytest.raises(SupervisorError):
        service.serve(tmp_path / "nowhere.json", log_format="text", log_level=None)
    assert hidden == [True]
