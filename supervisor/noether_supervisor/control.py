"""How the commands speak to a running service: one JSON line each way on a private socket.

The socket is `control.sock` in the state directory (0700, so the user's own). A question is
`{"ask": "alive"}`, `{"ask": "run" | "pause" | "resume", "job": NAME}` or `{"ask": "redeliver",
"run_id": ID}`; the answers are lines too. A run is answered by `{"run_id": ID}` and, when it has
ended, by `{"status": STATUS}`; a pause by `{"changed": BOOL}`; a redelivery, once it was tried, by
`{"delivered": BOOL, "delivery": TEXT}`; what cannot be done by `{"error": TEXT}`.

A process of a run gets nothing but the latter: stages give no orders, and Landlock alone does not
keep one from a socket that has a path.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from noether_supervisor.errors import SupervisorError
from noether_supervisor.runs.process import is_below

SOCKET_NAME = "control.sock"
_MAX_LINE_BYTES = 64 * 1024
_ALIVE_SECONDS = 5.0
_CREDENTIALS = struct.Struct("3i")

Answers = AsyncIterator[dict[str, Any]]


class ControlServer:
    """Listens for questions; `answer` maps one question to a stream of answers."""

    def __init__(self, state_dir: Path, answer: Callable[[dict[str, Any]], Answers]) -> None:
        self._path = state_dir / SOCKET_NAME
        self._answer = answer
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Starts to listen; a socket file left by a dead service is replaced."""
        self._path.unlink(missing_ok=True)
        with _reachable(self._path) as address:
            self._server = await asyncio.start_unix_server(
                self._serve, address, limit=_MAX_LINE_BYTES
            )
        self._path.chmod(0o600)

    async def close(self) -> None:
        """Stops listening and removes the socket file."""
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ValueError):
            line = await reader.readline()
            is_refused = is_below(_asking(writer), os.getpid())
            async for answer in _refused() if is_refused else self._answers_to(line):
                writer.write(orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE))
                await writer.drain()
        writer.close()

    async def _answers_to(self, line: bytes) -> Answers:
        try:
            question = orjson.loads(line)
        except orjson.JSONDecodeError:
            question = None
        if not isinstance(question, dict):
            yield {"error": "expected one line with a JSON object"}
            return
        try:
            async for answer in self._answer(question):
                yield answer
        except SupervisorError as error:
            yield {"error": error.message}


def _asking(writer: asyncio.StreamWriter) -> int:
    """Who has connected (SO_PEERCRED, unix(7)); 0 for a process that cannot be seen from here."""
    line = writer.get_extra_info("socket")
    told = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, _, _ = _CREDENTIALS.unpack(told)
    return int(pid)


async def _refused() -> Answers:
    yield {"error": "a process of a run asks this; the service takes orders from outside only"}


def ask(
    state_dir: Path, question: dict[str, Any], patience_seconds: float | None = None
) -> Iterator[dict[str, Any]] | None:
    """The answers of the service on this state directory; None when none is running.

    With a patience an answer that is late raises `TimeoutError`; without, it is waited for.
    """
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    line.settimeout(patience_seconds)
    try:
        with _reachable(state_dir / SOCKET_NAME) as address:
            line.connect(address)
        line.sendall(orjson.dumps(question, option=orjson.OPT_APPEND_NEWLINE))
    except OSError:
        line.close()
        return None
    return _answers(line)


def is_alive(state_dir: Path) -> bool:
    """Whether a service answers on this state directory."""
    answers = ask(state_dir, {"ask": "alive"}, _ALIVE_SECONDS)
    try:
        return answers is not None and any(answer.get("alive") is True for answer in answers)
    except OSError:
        return False


def _answers(line: socket.socket) -> Iterator[dict[str, Any]]:
    with line, line.makefile("rb") as stream, contextlib.suppress(ConnectionError):
        for text in stream:
            try:
                answer = orjson.loads(text)
            except orjson.JSONDecodeError:
                return  # the service ended within a line, or it is no service
            if isinstance(answer, dict):
                yield answer


@contextlib.contextmanager
def _reachable(path: Path) -> Iterator[str]:
    """A short address for a socket: a path may be longer than the 107 bytes an address holds."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
