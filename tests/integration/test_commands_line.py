"""The command line of noether-scheduler; in a process of its own where streams matter."""

import contextlib
import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from noether_contract import __version__
from noether_supervisor.arguments import split_command
from noether_supervisor.cli import main
from noether_supervisor.config.schema import schema_text

JOBS = {"jobs": [{"name": "tick", "cron": "*/5 * * * *", "graph": "g.json"}]}
COMMANDS = ["service", "check", "next", "run", "status", "history", "show", "schema"]

Call = Callable[..., "subprocess.CompletedProcess[str]"]
Said = Callable[..., "Ending"]


@dataclass(frozen=True)
class Ending:
    returncode: int
    stdout: str
    stderr: str


def environment(**more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "TZ": "UTC", **more}


@pytest.fixture
def call(tmp_path: Path) -> Call:
    def run(
        *words: str, env: Mapping[str, str] = {}, **how: Any
    ) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "noether_supervisor.cli", *words]
        how = {"capture_output": True, "cwd": tmp_path, **how}
        return subprocess.run(command, env=environment(**env), text=True, check=False, **how)

    return run


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Said:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC")

    def run(*words: str) -> Ending:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main(words)
            except SystemExit as ended:
                code = int(str(ended.code))
        return Ending(code, out.getvalue(), err.getvalue())

    return run


def write(folder: Path, content: object, name: str = "scheduler.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ("service", [])),
        (["jobs.json"], ("service", ["jobs.json"])),
        (["--config", "check"], ("service", ["--config", "check"])),
        (["./check"], ("service", ["./check"])),
        (["--", "check"], ("service", ["--", "check"])),
        (["check", "jobs.json"], ("check", ["jobs.json"])),
        (["--config", "a.json", "check"], ("check", ["--config", "a.json"])),
        (["--config=a.json", "--json", "status"], ("status", ["--config=a.json", "--json"])),
        (["jobs.json", "check"], ("service", ["jobs.json", "check"])),
        (["run", "check"], ("run", ["check"])),
    ],
)
def test_the_first_plain_word_decides(words: list[str], expected: tuple[str, list[str]]) -> None:
    assert split_command(words) == expected


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_version(said: Said, command: str) -> None:
    help_text = said(command, "--help")
    assert help_text.returncode == 0
    assert help_text.stdout.startswith("usage: noether-scheduler")
    version = said(command, "--version")
    assert (version.returncode, version.stdout) == (0, f"noether-scheduler {__version__}\n")


def test_help_lists_the_commands_and_imports_nothing_heavy(call: Call, tmp_path: Path) -> None:
    help_text = call("--help").stdout
    assert all(f"\n  {command}" in help_text for command in COMMANDS)
    script = (
        "import sys\nfrom noether_supervisor.cli import main\n"
        "try: main(['next', '--help'])\nexcept SystemExit: pass\n"
        "print({'pydantic', 'croniter', 'loguru', 'asyncio', 'httpx'} & set(sys.modules))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert ended.stdout.splitlines()[-1] == "set()"


def test_the_schema_is_printed(said: Said) -> None:
    ended = said("schema")
    assert (ended.returncode, ended.stdout) == (0, schema_text())


def test_the_option_wins_over_the_positional_and_both_over_the_default(
    said: Said, tmp_path: Path
) -> None:
    for name in ("scheduler", "positional", "option"):
        write(tmp_path, {"jobs": [{**JOBS["jobs"][0], "name": name}]}, f"{name}.json")
    for words, expected in (
        ([], "scheduler"),
        (["positional.json"], "positional"),
        (["positional.json", "--config", "option.json"], "option"),
    ):
        (fire,) = json.loads(said("next", *words, "--json", "-n", "1").stdout)
        assert fire["job"] == expected


@pytest.mark.parametrize("command", ["next", "status", "history", "check"])
def test_a_missing_configuration_is_told_with_exit_code_2(
    said: Said, command: str, tmp_path: Path
) -> None:
    ended = said(command)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"Failed to read config from {tmp_path}/scheduler.json: No such")


def test_an_invalid_configuration_is_told_with_exit_code_2(said: Said, tmp_path: Path) -> None:
    path = write(tmp_path, {"jobs": []})
    for words in (["next"], ["run", "x"], ["show", "x"]):
        ended = said(*words)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith(f"Invalid scheduler config JSON: {path}: jobs: ")


def test_a_misspelt_command_is_not_taken_for_a_file(said: Said) -> None:
    ended = said("chekc")
    assert ended.returncode == 2
    assert "did you mean 'check'?" in ended.stderr
    assert said("next", "--n", "3").returncode == 2
    assert said("history", "-n", "0").returncode == 2
    assert said("next", "--after", "2026-01-01").returncode == 2


def test_an_unknown_job_is_told_with_the_nearest(said: Said, tmp_path: Path) -> None:
    write(tmp_path, JOBS)
    for words in (["run", "tikc"], ["next", "--job", "tikc"], ["history", "--job", "tikc"]):
        ended = said(*words)
        assert ended.returncode == 2
        assert "did you mean 'tick'?" in ended.stderr


def test_a_reader_that_goes_away_is_no_trouble(call: Call, tmp_path: Path) -> None:
    write(tmp_path, JOBS)
    for words in (["next", "-n", "20000"], ["next", "-n", "1"], ["--help"], ["schema"]):
        reading, writing = os.pipe()
        os.close(reading)
        ended = call(*words, capture_output=False, stdout=writing, stderr=subprocess.PIPE)
        os.close(writing)
        assert (ended.returncode, ended.stderr) == (141, "")


def test_a_full_disk_is_told(call: Call, tmp_path: Path) -> None:
    write(tmp_path, JOBS)
    for words in (["next", "-n", "1"], ["next", "-n", "5000"], ["schema"]):
        with Path("/dev/full").open("w") as full:
            ended = call(*words, capture_output=False, stdout=full, stderr=subprocess.PIPE)
        assert ended.returncode == 1
        assert ended.stderr == "cannot write the output: No space left on device\n"


def test_next_lists_fires_across_a_clock_change(said: Said, tmp_path: Path) -> None:
    job = {"name": "n", "cron": "30 2 * * *", "graph": "g", "timezone": "America/New_York"}
    off = {"name": "off", "cron": "* * * * *", "graph": "g", "enabled": False}
    write(tmp_path, {"jobs": [job, off]})
    words = ["next", "--after", "2026-03-07T12:00:00Z", "-n", "2"]
    ended = said(*words)
    assert ended.stdout.splitlines() == [
        "LOCAL                     UTC                   JOB",
        "Sun 2026-03-08 03:00 EDT  2026-03-08T07:00:00Z  n",
        "Mon 2026-03-09 02:30 EDT  2026-03-09T06:30:00Z  n",
    ]
    first, _ = json.loads(said(*words, "--json").stdout)
    assert first == {
        "job": "n",
        "due": "2026-03-08T07:00:00Z",
        "local": "2026-03-08T03:00-04:00",
        "timezone": "America/New_York",
        "enabled": True,
        "paused": False,
    }
    assert "off is disabled" in said(*words, "--job", "off").stdout


def test_fires_of_several_jobs_come_in_order_of_time(said: Said, tmp_path: Path) -> None:
    jobs = [
        {"name": "late", "cron": "0 3 * * *", "graph": "g"},
        {"name": "early", "cron": "0 1 * * *", "graph": "g"},
        {"name": "same", "cron": "0 3 * * *", "graph": "g"},
    ]
    write(tmp_path, {"jobs": jobs})
    ended = said("next", "--after", "2026-01-01T00:00:00Z", "-n", "4", "--json")
    assert [fire["job"] for fire in json.loads(ended.stdout)] == ["early", "late", "same", "early"]


def test_letters_that_the_locale_lacks_are_written_out(call: Call, tmp_path: Path) -> None:
    write(tmp_path, {"jobs": [{**JOBS["jobs"][0], "name": "mañana"}]})
    ended = call("next", "-n", "1", env={"PYTHONIOENCODING": "ascii"})
    assert ended.returncode == 0
    assert ended.stdout.rstrip().endswith("ma\\xf1ana")


@pytest.mark.parametrize(
    ("more", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colours_only_on_a_terminal_that_wants_them(
    call: Call, tmp_path: Path, more: dict[str, str], coloured: bool
) -> None:
    write(tmp_path, JOBS)
    ours, theirs = pty.openpty()
    try:
        call("next", "-n", "1", env={"TERM": "xterm", **more}, capture_output=False, stdout=theirs)
        assert (b"\x1b[" in os.read(ours, 4096)) is coloured
    finally:
        os.close(ours)
        os.close(theirs)
    assert "\x1b[" not in call("next", "-n", "1", env={"TERM": "xterm"}).stdout
