"""Whatever is said on the control socket: an answer, or a line that is closed; the rest goes on."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bad_input import few, noise, spoilt_texts
from noether_supervisor.asked import answers_to
from noether_supervisor.control import SOCKET_NAME, ControlServer, ask
from noether_supervisor.errors import SupervisorError

QUESTIONS: list[dict[str, Any]] = [
    {"ask": "alive"},
    {"ask": "run", "job": "nobody"},
    {"ask": "pause", "job": "nobody"},
    {"ask": "redeliver", "run_id": "x@1"},
]
LOOP = cast("Any", SimpleNamespace(jobs={}, state=SimpleNamespace(stopping=None)))


async def _no_database(_work: object) -> None:
    raise SupervisorError("there is no run")


OPENED = cast(
    "Any",
    SimpleNamespace(
        loaded=SimpleNamespace(config=None),
        database=SimpleNamespace(run=_no_database),
    ),
)


def answer(question: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    return answers_to(question, OPENED, LOOP)


def spoken(folder: Path, texts: list[bytes]) -> list[bytes]:
    """What comes back for each of these texts, of one server; it still answers afterwards."""

    def speak(text: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(folder / SOCKET_NAME))
            try:
                caller.sendall(text)
                caller.shutdown(socket.SHUT_WR)
                return caller.makefile("rb").read()
            except ConnectionError:
                return b""  # too long a line: nobody listens to its end

    def speak_all() -> list[bytes]:
        said = [speak(text) for text in texts]
        answers = ask(folder, {"ask": "alive"})
        assert answers is not None
        assert next(answers)["alive"] is True
        return said

    async def serve() -> list[bytes]:
        server = ControlServer(folder, answer)
        await server.open()
        try:
            return await asyncio.to_thread(speak_all)
        finally:
            await server.close()

    return asyncio.run(serve())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@few
@given(
    st.lists(
        st.one_of(noise, *(spoilt_texts(question) for question in QUESTIONS)),
        min_size=1,
        max_size=4,
    )
)
def test_every_text_is_answered_or_refused(folder: Path, texts: list[bytes]) -> None:
    for said in spoken(folder, [text + b"\n" for text in texts]):
        for line in said.splitlines():
            told = orjson.loads(line)
            assert told.get("alive") is True or isinstance(told["error"], str)
            assert len(line) < 2000
