import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from noether_runner.sandbox import wire
from noether_runner.sandbox.calls import ChildCall, EndedFor
from noether_runner.sandbox.cancellation import CancelSwitch
from noether_runner.sandbox.limits import StageLimits
from noether_runner.sandbox.watch import Watch

TOKEN = "0123456789abcdef"


class QuickStage:
    """A zygote whose stage has answered before anybody listens, and stays until it is ended."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._thread: threading.Thread | None = None

    def start_stage(self, descriptors: list[int]) -> None:
        control = socket.socket(fileno=os.dup(descriptors[wire.START_CONTROL]))
        control.send(b"%s %d" % (wire.STARTED, self._pid))
        wire.write_whole(descriptors[-1], b"\n%s R 1\n7" % TOKEN.encode())
        self._thread = threading.Thread(target=self._end_when_told, args=(control,))
        self._thread.start()

    def _end_when_told(self, control: socket.socket) -> None:
        with control:
            control.recv(wire.MAX_PACKET)
            control.send(b"%s 9 0 0 0" % wire.ENDED)

    def nudge(self) -> None:
        """Nobody has stopped it."""

    def join(self) -> None:
        assert self._thread is not None
        self._thread.join(30)


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """Whoever goes for the stage-init: signals of the watch must meet somebody."""
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_an_answer_that_is_read_before_the_start_does_not_wait_for_the_deadline(
    process: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    limits = StageLimits(wall_seconds=1, linger_ms=0)
    call = ChildCall(TOKEN, tmp_path, {}, limits, payload=b"", entry="nobody:nothing")
    stage = QuickStage(process.pid)
    with closing(CancelSwitch()) as switch, closing(Watch(call, switch, stage)) as watch:
        result = watch.run()
    stage.join()
    assert (result.ended_for, result.result) == (EndedFor.LINGERED, b"7")
