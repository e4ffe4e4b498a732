"""Commands and a service on one socket: questions, streams of answers, and who is not there."""

import asyncio
import json
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from noether_supervisor.control import SOCKET_NAME, ControlServer, ask, is_alive


async def answer(question: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    if question == {"ask": "alive"}:
        yield {"alive": True}
        return
    yield {"first": question}
    yield {"second": True}


def asked(folder: Path, question: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The answers to one question, of a server that is open for it."""

    async def serve() -> list[dict[str, Any]] | None:
        server = ControlServer(folder, answer)
        await server.open()
        try:
            return await asyncio.to_thread(take)
        finally:
            await server.close()

    def take() -> list[dict[str, Any]] | None:
        answers = ask(folder, question)
        return None if answers is None else list(answers)

    return asyncio.run(serve())


def test_every_answer_is_a_line(tmp_path: Path) -> None:
    assert asked(tmp_path, {"ask": "run", "job": "grüße"}) == [
        {"first": {"ask": "run", "job": "grüße"}},
        {"second": True},
    ]


def test_processes_below_the_service_give_no_orders(tmp_path: Path) -> None:
    """As stages are: this process is the service here, so a child of it is refused."""
    program = (
        "import socket, sys\n"
        "line = socket.socket(socket.AF_UNIX)\n"
        "line.connect(sys.argv[1])\n"
        "line.sendall(b'{}\\n')\n"
        "print(line.makefile().read())\n"
    )
    command = [sys.executable, "-I", "-c", program, SOCKET_NAME]

    async def serve() -> str:
        server = ControlServer(tmp_path, answer)
        await server.open()
        try:
            asking = await asyncio.to_thread(
                subprocess.run, command, cwd=tmp_path, capture_output=True, text=True, check=True
            )
            return asking.stdout
        finally:
            await server.close()

    assert json.loads(asyncio.run(serve())).keys() == {"error"}


def test_the_socket_is_private_and_goes_with_its_server(tmp_path: Path) -> None:
    async def look() -> int:
        server = ControlServer(tmp_path, answer)
        await server.open()
        mode = (tmp_path / SOCKET_NAME).stat().st_mode
        await server.close()
        return mode

    mode = asyncio.run(look())
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    assert not (tmp_path / SOCKET_NAME).exists()


def test_a_path_longer_than_an_address_may_be(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120) / ("y" * 120)
    deep.mkdir(parents=True)
    assert asked(deep, {"ask": "alive"}) == [{"alive": True}]


def test_nobody_there(tmp_path: Path) -> None:
    assert ask(tmp_path / "nowhere", {"ask": "alive"}) is None
    assert ask(tmp_path, {"ask": "alive"}) is None
    assert not is_alive(tmp_path)


def test_what_a_dead_service_left_is_nobody_and_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / SOCKET_NAME))
    assert ask(tmp_path, {"ask": "alive"}) is None
    assert asked(tmp_path, {"ask": "alive"}) == [{"alive": True}]


@pytest.mark.parametrize("line", [b"\n", b"nonsense\n", b"[1]\n", b'"alive"\n'])
def test_a_line_that_is_no_question_is_told(tmp_path: Path, line: bytes) -> None:
    def speak() -> bytes:
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(tmp_path / SOCKET_NAME))
            caller.sendall(line)
            return caller.makefile("rb").read()

    async def serve() -> bytes:
        server = ControlServer(tmp_path, answer)
        await server.open()
        try:
            return await asyncio.to_thread(speak)
        finally:
            await server.close()

    told = json.loads(asyncio.run(serve()))
    assert "JSON object" in told["error"]


def test_a_caller_that_leaves_or_floods_disturbs_nobody(tmp_path: Path) -> None:
    def misbehave() -> list[dict[str, Any]]:
        for text in (b"", b'{"ask": ', b"x" * 200_000):
            with socket.socket(socket.AF_UNIX) as caller:
                caller.connect(str(tmp_path / SOCKET_NAME))
                caller.sendall(text)
        answers = ask(tmp_path, {"ask": "alive"})
        assert answers is not None
        return list(answers)

    async def serve() -> list[dict[str, Any]]:
        server = ControlServer(tmp_path, answer)
        await server.open()
        try:
            return await asyncio.to_thread(misbehave)
        finally:
            await server.close()

    assert asyncio.run(serve()) == [{"alive": True}]
