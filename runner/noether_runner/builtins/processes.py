"""Standard stages for processes beside the run (`stdlib.md` §10.4).

A process that a stage starts outlives the stage and ends with the run. Stages may signal any
process of their user, but none of the scheduler's own.
"""

import errno
import signal
import time
from collections.abc import Callable
from typing import Final

from noether_contract.json_values import JsonValue
from noether_runner.builtins.builtin import Builtin, BuiltinError, Context
from noether_runner.builtins.fields import (
    counted,
    number_of,
    optional_text,
    record_of,
    text_or,
    whole_number,
)
from noether_runner.builtins.files import os_error_text
from noether_runner.builtins.surroundings import NotYoursError, Program

_DEFAULT_WAIT_MS = 30_000
_LARGEST_PID = 2**31 - 1
"""Of 32 bits; no process has it, nor any that would be larger."""


def spawn_process(value: JsonValue, context: Context) -> JsonValue:
    """Starts a program, looked up in PATH, without a shell; gives its process id at once."""
    record = record_of(value)
    command = text_or(record, "cmd", "missing field 'cmd'")
    given = record.get("args")
    arguments = given if isinstance(given, list) else []
    texts = tuple(argument for argument in arguments if isinstance(argument, str))
    if left_out := len(arguments) - len(texts):
        are = counted(left_out, "argument that is", "arguments that are")
        context.warn(f"spawn_process left out {are} no text")
    variables = record_of(record.get("env"))
    added = {name: text for name, text in variables.items() if isinstance(text, str)}
    directory = record.get("cwd")
    if not command:
        raise BuiltinError(os_error_text(FileNotFoundError(errno.ENOENT, "")))
    program = Program(
        command,
        texts,
        {**context.environment, **added},
        directory if isinstance(directory, str) else None,
    )
    try:
        pid = context.reach.processes.start(program)
    except OSError as error:
        raise BuiltinError(os_error_text(error)) from None
    except ValueError as error:
        raise BuiltinError(f"the program cannot be started: {error}") from None
    return {"pid": pid, "started_at": int(time.time())}


def wait_process(value: JsonValue, context: Context) -> JsonValue:
    """Whether the process ends in time; one that is not there has ended."""
    record = record_of(value)
    pid = _pid(record)
    seconds = whole_number(record, "timeout_ms", _DEFAULT_WAIT_MS) / 1000
    ended = context.reach.processes.wait(pid, seconds)
    return {"exited": ended, "timed_out": not ended}


def signal_process(value: JsonValue, context: Context) -> JsonValue:
    """Whether a signal, given by name or number, could be sent."""
    record = record_of(value)
    pid = _pid(record)
    name = optional_text(record, "signal", "TERM")
    if not (name.isascii() and (name.isalnum() or not name)):
        raise BuiltinError(
            f"invalid signal name '{name}'; must be alphanumeric (e.g. TERM, HUP, INT)"
        )
    number = _signal_number(name)
    return {"sent": number is not None and _sent(context.reach.processes.send, pid, number)}


def kill_process(value: JsonValue, context: Context) -> JsonValue:
    """Whether SIGKILL could be sent."""
    pid = _pid(record_of(value))
    return {"killed": _sent(context.reach.processes.send, pid, signal.SIGKILL)}


def _pid(record: dict[str, JsonValue]) -> int:
    """A process id; never 0 or less, which would mean a group of processes."""
    number = number_of(record.get("pid"))
    if number is None:
        raise BuiltinError("missing field 'pid'")
    if number != int(number) or number <= 1:
        raise BuiltinError("pid must be an integer greater than 1")
    return min(int(number), _LARGEST_PID)


def _signal_number(name: str) -> int | None:
    if name.isdigit():
        number = int(name[:9])
        return number if number <= signal.SIGRTMAX else None
    known = signal.Signals.__members__
    upper = name.upper()
    found = known.get(upper if upper.startswith("SIG") else f"SIG{upper}")
    return None if found is None else int(found)


def _sent(send: Callable[[int, int], bool], pid: int, number: int) -> bool:
    try:
        return send(pid, number)
    except NotYoursError:
        raise BuiltinError(
            f"process {pid} belongs to the scheduler; a stage may signal only other processes"
        ) from None


STAGES: Final = (
    Builtin("spawn_process", spawn_process),
    Builtin("wait_process", wait_process),
    Builtin("signal_process", signal_process),
    Builtin("kill_process", kill_process),
)
