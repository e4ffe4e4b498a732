"""Standard error that nobody reads, or that is gone: lines wait or are lost, nobody is held up."""

import fcntl
import os
import signal
import sys
from collections.abc import Iterator

import pytest

from noether_supervisor.observe import patient_stream
from noether_supervisor.observe.patient_stream import PatientStream, say

PIPE_BYTES = 4096
PATIENCE_SECONDS = 30


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe of one page: its reading and its writing end."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    yield reading, writing
    for end in (reading, writing):
        if end != -1:
            os.close(end)


def read(reading: int, size: int) -> bytes:
    text = b""
    while len(text) < size:
        text += os.read(reading, size - len(text))
    return text


def test_lines_go_out_at_once_while_somebody_reads(pipe: tuple[int, int]) -> None:
    stream = PatientStream(pipe[1])
    for line in (b"one\n", b"two\n"):
        stream.write(line)
        assert stream.flush(0)
        assert read(pipe[0], 4) == line


def test_lines_wait_for_a_reader_that_is_late_in_their_order(pipe: tuple[int, int]) -> None:
    stream = PatientStream(pipe[1])
    lines = [f"{number:07d}\n".encode() for number in range(3 * PIPE_BYTES // 8)]
    for line in lines:
        stream.write(line)
    assert not stream.flush(0)
    assert read(pipe[0], 8 * len(lines)) == b"".join(lines)
    assert stream.flush(PATIENCE_SECONDS)
    stream.write(b"at once again\n")
    assert read(pipe[0], 14) == b"at once again\n"


def test_a_line_longer_than_the_pipe_arrives_whole(pipe: tuple[int, int]) -> None:
    stream = PatientStream(pipe[1])
    line = b"x" * (5 * PIPE_BYTES) + b"\n"
    stream.write(line)
    assert read(pipe[0], len(line)) == line


def test_what_nobody_reads_is_bounded_and_its_loss_is_told(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patient_stream, "MOST_WAITING_BYTES", 2 * PIPE_BYTES)
    stream = PatientStream(pipe[1])
    page = b"x" * (PIPE_BYTES - 1) + b"\n"
    for _ in range(9):
        stream.write(page)
    text = b""
    while b"lines of the log are lost" not in text or not text.endswith(b"\n"):
        text += os.read(pipe[0], PIPE_BYTES)
    kept = text.count(page)
    assert 3 <= kept <= 4
    assert f"{9 - kept} lines of the log are lost".encode() in text
    assert stream.flush(PATIENCE_SECONDS)


def test_a_reader_that_is_gone_and_a_closed_stream_hold_nobody_up(pipe: tuple[int, int]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = PatientStream(writing)
    assert signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN
    stream.write(b"one\n")
    os.close(writing)
    stream.write(b"two\n")
    assert stream.flush(0)


def test_without_standard_error_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    say("nobody hears this\n")
