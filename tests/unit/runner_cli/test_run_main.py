"""The outermost edge of `noether-run`."""

import sys

import pytest

from noether_runner import arguments, cli


def interrupted(_words: object) -> None:
    raise KeyboardInterrupt


def test_control_c_before_anything_runs_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["noether-run", "graph.json"])
    monkeypatch.setattr(arguments, "parse", interrupted)
    assert cli.main() == 130
