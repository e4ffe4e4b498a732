"""Processes that a run starts, and those it may not touch."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builtin_calls import Caller, calling
from harness_calls import no_process_left
from noether_contract.json_values import JsonValue
from noether_contract.messages import Limits
from noether_contract.outcomes import ErrorClass, ErrorCode


@pytest.fixture
def caller() -> Iterator[Caller]:
    with no_process_left(), calling() as it:
        yield it


def spawn(caller: Caller, *words: str, **more: Any) -> int:
    output = caller.output("spawn_process", {"cmd": words[0], "args": list(words[1:]), **more})
    assert isinstance(output, dict)
    pid = output["pid"]
    assert isinstance(pid, int)
    return pid


def wait(caller: Caller, pid: int, timeout_ms: int = 10_000) -> JsonValue:
    return caller.output("wait_process", {"pid": pid, "timeout_ms": timeout_ms})


def test_a_process_ends_with_the_run_and_everything_below_it() -> None:
    with no_process_left(), calling() as caller:
        pid = spawn(caller, "sh", "-c", "sleep 600 & sleep 600")
        assert Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{pid}").exists()


def test_a_process_leads_a_session_and_reads_nothing(caller: Caller, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pid = spawn(caller, "sh", "-c", f"cat > {out}; exec sleep 600")
    assert os.getsid(pid) == pid
    done = spawn(caller, "sh", "-c", f"while ! test -e {out}; do :; done")
    assert wait(caller, done) == {"exited": True, "timed_out": False}
    assert out.read_text() == ""


def test_environment_and_directory(caller: Caller, tmp_path: Path) -> None:
    pid = spawn(caller, "sh", "-c", "env > all", env={"OWN": "v é", "BAD": 5}, cwd=str(tmp_path))
    wait(caller, pid)
    lines = (tmp_path / "all").read_text("utf-8").splitlines()
    assert "OWN=v é" in lines
    assert not any(line.startswith(("BAD=", "HOME=")) for line in lines)


def test_arguments_that_are_no_text_are_left_out_with_a_warning(caller: Caller) -> None:
    outcome = caller.call("spawn_process", {"cmd": "true", "args": ["a", 1, None]})
    assert "2 arguments that are no text" in outcome.warnings[0]


@pytest.mark.parametrize(("command", "number"), [("no-such-program-here", 2), ("/", 13), ("", 2)])
def test_what_cannot_be_started_is_told_in_the_systems_words(
    caller: Caller, command: str, number: int
) -> None:
    message = caller.message("spawn_process", {"cmd": command})
    assert message == f"{os.strerror(number)} (os error {number})"


def test_a_process_of_our_own_that_has_ended_counts_as_exited(caller: Caller) -> None:
    pid = spawn(caller, "true")
    assert wait(caller, pid) == {"exited": True, "timed_out": False}
    assert caller.output("signal_process", {"pid": pid}) == {"sent": False}
    assert caller.output("kill_process", {"pid": pid}) == {"killed": False}


@pytest.mark.parametrize("name", ["KILL", "sigkill", "9", "SIGTERM"])
def test_signals_have_names_and_numbers(caller: Caller, name: str) -> None:
    pid = spawn(caller, "sleep", "600")
    assert caller.output("signal_process", {"pid": pid, "signal": name}) == {"sent": True}
    assert wait(caller, pid) == {"exited": True, "timed_out": False}


@pytest.mark.parametrize("name", ["NOSUCH", "", "99"])
def test_an_unknown_signal_is_not_sent(caller: Caller, name: str) -> None:
    pid = spawn(caller, "sleep", "600")
    assert caller.output("signal_process", {"pid": pid, "signal": name}) == {"sent": False}


@pytest.mark.parametrize("pid", [0, 1, -5, 0.9, 1.5, None, "5"])
def test_groups_and_nonsense_are_refused(caller: Caller, pid: JsonValue) -> None:
    for stage in ("kill_process", "signal_process", "wait_process"):
        message = caller.message(stage, {"pid": pid})
        assert message in ("pid must be an integer greater than 1", "missing field 'pid'")


def test_a_number_beyond_all_processes_is_none(caller: Caller) -> None:
    assert caller.output("kill_process", {"pid": 1e300}) == {"killed": False}
    assert wait(caller, 2**63) == {"exited": True, "timed_out": False}


def test_runner_and_whatever_is_above_it_are_out_of_reach(caller: Caller) -> None:
    for pid in (os.getpid(), os.getppid()):
        assert "belongs to the scheduler" in caller.message("signal_process", {"pid": pid})
        assert "belongs to the scheduler" in caller.message("kill_process", {"pid": pid})


@pytest.mark.parametrize(
    "words",
    [
        ["-c", "import time; time.sleep(600)", "-m", "noether_runner.nursery_process"],
        ["-c", "import time; time.sleep(600)"],
    ],
)
def test_other_processes_of_the_scheduler_are_known_by_their_command(
    caller: Caller, words: list[str]
) -> None:
    with subprocess.Popen([sys.executable, *words]) as other:
        try:
            if "-m" in words:
                assert "belongs" in caller.message("kill_process", {"pid": other.pid})
            else:
                assert caller.output("kill_process", {"pid": other.pid}) == {"killed": True}
        finally:
            other.kill()


def test_waiting_has_the_time_of_a_stage(caller: Caller) -> None:
    pid = spawn(caller, "sleep", "600")
    asked: JsonValue = {"pid": pid, "timeout_ms": 60_000}
    outcome = caller.call("wait_process", asked, limits=Limits(stage_seconds=0.1))
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.error_class) == (
        ErrorCode.STAGE_TIMED_OUT,
        ErrorClass.TIMEOUT,
    )


def test_waiting_ends_with_the_run(caller: Caller) -> None:
    pid = spawn(caller, "sleep", "600")
    stopper = threading.Timer(0.05, caller.switch.cancel, ("a test stops it",))
    stopper.start()
    outcome = caller.call("wait_process", {"pid": pid, "timeout_ms": 20_000})
    stopper.join()
    assert outcome.error is not None
    assert outcome.error.error_class is ErrorClass.CANCELLED


def test_a_signal_is_not_kept_from_a_process_that_a_stage_started(caller: Caller) -> None:
    words = ("-c", "import time; time.sleep(600)", "-m", "noether_runner.nursery_process")
    pid = spawn(caller, sys.executable, *words)
    assert caller.output("kill_process", {"pid": pid}) == {"killed": True}
