"""`run`: one fire now, in a process of its own, recorded; the exit code tells how it ended."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

JOBS = [
    {"name": "good", "cron": "0 0 1 1 *", "graph": "good.json"},
    {"name": "bad", "cron": "0 0 1 1 *", "graph": "missing.json", "enabled": False},
]
GOOD = {"description": "a constant", "version": "0.1.0", "root": {"op": "Const", "value": 1}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "good.json").write_text(json.dumps(GOOD))
    (tmp_path / "scheduler.json").write_text(json.dumps({"jobs": JOBS}))
    return tmp_path


def call(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "noether_supervisor.cli", *words]
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        command, cwd=folder, env=kept, capture_output=True, text=True, check=False
    )


def entries(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(call(folder, "history", "--json").stdout)
    return found


def test_a_run_that_succeeds(folder: Path) -> None:
    ended = call(folder, "run", "good", "--log-format", "json")
    assert (ended.returncode, ended.stdout) == (0, "good: succeeded\n")
    assert all(json.loads(line)["job"] == "good" for line in ended.stderr.splitlines())
    (entry,) = entries(folder)
    assert (entry["job"], entry["manual"], entry["status"]) == ("good", True, "succeeded")
    shown = json.loads(call(folder, "show", entry["run_id"], "--json").stdout)
    assert shown["output"] == 1


def test_a_run_that_fails_of_a_disabled_job(folder: Path) -> None:
    ended = call(folder, "run", "bad")
    assert (ended.returncode, ended.stdout) == (1, "bad: failed\n")
    assert f"{folder}/missing.json" in ended.stderr
    (entry,) = entries(folder)
    assert (entry["status"], entry["error"]["code"]) == ("failed", "graph_unreadable")


def test_a_log_level_that_is_none_is_told(folder: Path) -> None:
    ended = call(folder, "run", "good", "--log-level", "loud")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "--log-level" in ended.stderr
