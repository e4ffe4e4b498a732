"""Stage-init when the runner is gone."""

import socket

import pytest

from noether_runner.sandbox.stage_init import StageInit


def test_a_report_that_nobody_waits_for_is_no_error(capfd: pytest.CaptureFixture[str]) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.close()
    stage_init = StageInit()
    with ours:
        stage_init._control = ours.fileno()
        stage_init._report(killed=0)
    assert capfd.readouterr().err == ""


def test_a_runner_that_died_without_reading_is_gone_like_any_other() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.send(b"unread")
    theirs.close()
    stage_init = StageInit()
    with ours:
        stage_init._control = ours.fileno()
        assert stage_init._obey() is False
