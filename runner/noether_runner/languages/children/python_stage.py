"""What runs inside the process of a Python stage: the code, its `execute`, and the way back.

Standard library only. The protocol (`runtimes.md` §1.3, §7.3, §7.4):

- The payload is a memory file: one line of JSON (`file`, `code_bytes`, `input_is_text`,
  `seconds`: what is left for the stage, or null), then the code, then the argument as JSON text.
  A process that was executed for the stage, not forked, finds `token` there as well.
- The answer is one frame on the result pipe: `R` with the result as JSON text, or `E` with JSON
  members `class`, `type`, `message`, `traceback`.

Everything needed after user code has run is bound to a name of this module before, and builtins
are a copy of its own, so that a stage may rebind what it likes without changing how it is
reported.
"""

import atexit
import builtins
import functools
import gc
import io
import json
import linecache
import os
import resource
import socket
import sys
import threading
import types
from typing import Any, NoReturn

from noether_runner.languages.children.python_failures import failure
from noether_runner.languages.children.python_results import (
    NotJsonError,
    encode,
    encode_members,
)
from noether_runner.languages.children.python_source import compile_stage
from noether_runner.sandbox import wire

globals()["__builtins__"] = dict(vars(builtins))
# functions defined below look names up here (CPython), whatever a stage does to `builtins`

MODULE = "__noether_stage__"
"""Name of the stage's module: not `__main__`, so a main guard does not run."""

_loads = json.JSONDecoder().decode
_write, _exit, _getpid = os.write, os._exit, os.getpid
_getrlimit, _setrlimit = resource.getrlimit, resource.setrlimit
_join_threads = threading._shutdown  # type: ignore[attr-defined]  # what the interpreter calls
_run_exit_functions = atexit._run_exitfuncs
_restore_builtins = functools.partial(vars(builtins).update, vars(builtins).copy())
_streams: list[io.TextIOWrapper] = []


def run(result: int, payload: int, token: str) -> NoReturn:
    """Run the stage whose request is in `payload`; answers on `result` and ends the process."""
    request = _read_payload(payload)
    os.close(payload)
    _live(result, token, *request)


def main() -> NoReturn:
    """The same in an interpreter that was executed for this one stage."""
    os.dup2(wire.EXEC_RESULT, wire.RESULT, inheritable=False)
    os.close(wire.EXEC_RESULT)
    request = _read_payload(wire.EXEC_PAYLOAD)
    os.close(wire.EXEC_PAYLOAD)
    _live(wire.RESULT, request[0]["token"], *request)


def _live(
    result: int, token: str, header: dict[str, Any], code: str, argument_text: str
) -> NoReturn:
    own_pid = _getpid()
    _fresh_interpreter(header["file"])
    if header["seconds"] is not None:
        socket.setdefaulttimeout(max(0.001, header["seconds"]))
    tag, answer, status = _answer(code, argument_text, header)
    if _getpid() != own_pid:
        # a child forked by the stage came back through here: the answer is its parent's
        _exit(0)
    _send(result, token, tag, answer)
    _leave(status)


def rehearse() -> None:
    """Goes the way of a call with a program of our own, before any is known.

    A forked process copies each memory page when it first touches it; whoever waits for its call
    has the time to do that beforehand.
    """
    execute = _load("def execute(value):\n    return value\n", "<rehearsal>")
    encode(execute(_argument('{"rehearsal": [1, 2.5, null]}', False)))
    _refusal("", "")
    for number in (1, 2):
        _log(number)
    del sys.modules[MODULE]
    linecache.cache.clear()


def _read_payload(payload: int) -> tuple[dict[str, Any], str, str]:
    with io.FileIO(payload, closefd=False) as file:
        file.seek(0)
        content = file.readall()
    line, _, rest = content.partition(b"\n")
    header = json.loads(line)
    code_bytes = header["code_bytes"]
    return header, rest[:code_bytes].decode("utf-8"), rest[code_bytes:].decode("utf-8")


def _fresh_interpreter(file: str) -> None:
    """Streams of its own, no trace of the process that forked us, garbage collection on."""
    empty = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")
    for name, stream in (("stdin", empty), ("stdout", _log(1)), ("stderr", _log(2))):
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
        _streams.append(stream)
    sys.modules["__main__"] = types.ModuleType("__main__")
    sys.argv = [file]
    gc.enable()


def _log(number: int) -> io.TextIOWrapper:
    """A text stream onto a log pipe, by lines: a stage that is killed has said what it was at."""
    return io.TextIOWrapper(
        io.BufferedWriter(io.FileIO(number, "w", closefd=False)),
        encoding="utf-8",
        errors="backslashreplace",
        line_buffering=True,
    )


def _answer(code: str, argument_text: str, header: dict[str, Any]) -> tuple[bytes, bytes, int]:
    """Tag and payload of the answer, and the exit status that goes with it."""
    file = header["file"]
    phase = "load_error"
    try:
        # before any user code: the library that decodes is a stage's to change as well
        argument = _argument(argument_text, header["input_is_text"])
        execute = _load(code, file)
        if execute is None:
            return _refusal("no_entry_point", "no function named execute at module level")
        if not callable(execute):
            kind = type(execute).__name__
            return _refusal("no_entry_point", f"execute is not callable: it is of type {kind}")
        phase = "raised"
        value = execute(argument)
        if hasattr(type(value), "__await__"):
            value = _await(value)
        try:
            return b"R", encode(value), 0
        except NotJsonError:
            # the library that encodes must not suffer from what a stage did to builtins
            _restore_builtins()
            return b"R", encode(value), 0
    except NotJsonError as problem:
        return _refusal("invalid_output", str(problem))
    except BaseException as error:
        # whatever user code throws is its answer
        _restore_builtins()
        _make_room()
        members = failure(error, phase)
        return b"E", encode_members(members), members["status"]


def _load(code: str, file: str) -> Any:
    """The value of `execute` after the module was executed; None when there is none."""
    module = types.ModuleType(MODULE)
    module.__file__ = file
    sys.modules[MODULE] = module
    linecache.cache[file] = (len(code), None, code.splitlines(keepends=True), file)
    exec(compile_stage(code, file), module.__dict__)  # noqa: S102 - running it is the purpose
    return module.__dict__.get("execute")


def _argument(text: str, input_is_text: bool) -> Any:
    """The argument: a string is decoded once more unless declared Text; null becomes `{}`."""
    value = _loads(text)
    if isinstance(value, str) and not input_is_text:
        try:
            value = _loads(value)
        except (ValueError, RecursionError):
            return value
    return {} if value is None else value


def _await(value: Any) -> Any:
    import asyncio

    async def wait() -> Any:
        return await value

    return asyncio.run(wait())


def _refusal(kind: str, message: str) -> tuple[bytes, bytes, int]:
    members = {"class": kind, "type": None, "message": message}
    return b"E", encode_members(members), 1


def _make_room() -> None:
    """Use the reserve below the hard memory limit, so that a MemoryError can be told."""
    _, hard = _getrlimit(resource.RLIMIT_DATA)
    _setrlimit(resource.RLIMIT_DATA, (hard, hard))


def _send(result: int, token: str, tag: bytes, payload: bytes) -> None:
    header = b"\n%s %s %d\n" % (token.encode("ascii"), tag, len(payload))
    for part in (header, payload):
        rest = memoryview(part)
        while rest:
            rest = rest[_write(result, rest) :]


def _leave(status: int) -> NoReturn:
    """End as an interpreter ends: threads joined, exit functions run, streams flushed.

    Whoever waits for us bounds the time; no exception gets out of here.
    """
    try:
        _join_threads()
        _run_exit_functions()
        for stream in (sys.stdout, sys.stderr, *_streams[1:]):
            stream.flush()
    except BaseException:  # noqa: S110 - the answer is sent; only the way out is left
        pass
    finally:
        _exit(status)
