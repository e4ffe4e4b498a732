"""What a case of `stdlib_behaviour.json` asks for around the call (`stdlib.md` §13.2).

A `Scene` makes the preconditions of one case and checks what must hold after it: files, variables,
a key-value database, servers that stand for the web and for language models, a process, standard
input. All of it is real, and gone when the test ends.
"""

import base64
import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from builtin_calls import Caller
from http_doubles import Respond, Seen, Server, chat_model, embedding_model, routes, serving
from noether_contract.json_values import compact_json
from noether_runner.execution.calls import CallOutcome

PATIENCE_SECONDS = 3
NO_PROVIDER = "mistral"
"""A provider that no scene offers: naming it stands for there being none."""


class Scene:
    """The preconditions of one case, filled into it: `case` has no placeholder left."""

    def __init__(self, case: dict[str, Any], folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._respond = routes([])
        self._process: subprocess.Popen[bytes] | None = None
        self._model: Server | None = None
        self._server: Server | None = None
        if _needs_web(case):
            self._server = stack.enter_context(serving(lambda seen: self._respond(seen)))
        if process := (case.get("fixture") or {}).get("process"):
            self._start(process, stack)
        self.case: dict[str, Any] = self._filled_in(case)
        fixture = self.case.get("fixture") or {}
        self._respond = routes(fixture.get("http", []))
        self.environment = self._variables(fixture, stack)
        self._write_files(fixture)
        if "kv" in fixture:
            self._fill_kv(fixture["kv"])
        self._offer_models(fixture.get("llm"), fixture.get("embedding"), stack)
        waiting = fixture.get("stdin")
        self._stdin = None if waiting is None else waiting.encode()
        if self._stdin is not None:
            stack.enter_context(on_standard_input(self._stdin))

    def check(self, caller: Caller, outcome: CallOutcome, printed: Callable[[], Any]) -> None:
        """The postconditions; `printed` gives what came to this process's own streams."""
        after = self.case.get("after") or {}
        for name, text in after.get("files", {}).items():
            assert (self.folder / name).read_bytes().decode() == text
        for name, text in after.get("files_eventually", {}).items():
            assert eventually(lambda name=name: (self.folder / name).read_text("utf-8"), text)
        for name in after.get("absent", []):
            assert not (self.folder / name).exists()
        if "kv" in after:
            with closing(sqlite3.connect(self._kv_path())) as connection:
                rows = connection.execute("SELECT namespace, key, value FROM kv").fetchall()
            assert sorted(rows) == sorted(map(tuple, after["kv"]))
        if "http_requests" in after:
            assert self._server is not None
            check_requests(after["http_requests"], self._server)
        if "llm_request" in after:
            assert self._model is not None
            asked = [each for each in self._model.seen if not _is_embedding(each)]
            wanted = json.loads(json.dumps(after["llm_request"]), parse_int=float)
            assert fits(wanted, json.loads(asked[-1].body, parse_int=float))
        if "run_log" in after or after.get("stdout_clean"):
            self._check_streams(after, caller, outcome, printed)
        if after.get("process_ended"):
            assert self._process is not None
            self._process.wait(PATIENCE_SECONDS)
        if self._stdin is not None:
            assert os.read(0, len(self._stdin) + 1) == self._stdin

    def _start(self, kind: str, stack: ExitStack) -> None:
        command = ["sleep", "600"] if kind == "sleep" else ["true"]
        self._process = stack.enter_context(subprocess.Popen(command))
        stack.callback(self._process.kill)
        if kind == "exited":
            self._process.wait()

    def _filled_in(self, value: Any) -> Any:
        match value:
            case dict():
                return {self._written(name): self._filled_in(each) for name, each in value.items()}
            case list():
                return [self._filled_in(each) for each in value]
            case "{pid:sleep}" | "{pid:exited}":
                assert self._process is not None
                return self._process.pid
            case str():
                return self._written(value)
            case _:
                return value

    def _written(self, text: str) -> str:
        url = self._server.url if self._server else "{http}"
        return text.replace("{tmp}", str(self.folder)).replace("{http}", url)

    def _variables(self, fixture: dict[str, Any], stack: ExitStack) -> dict[str, str]:
        """Those of the stages; those of the case are the runner's own as well (§12.3)."""
        own, unset = fixture.get("env", {}), fixture.get("env_unset", [])
        stack.enter_context(patch.dict(os.environ, own))
        for name in unset:
            os.environ.pop(name, None)
        granted = {"HOME": str(self.folder / "home"), **own}
        if "kv" in fixture:
            granted.setdefault("NOETHER_KV_PATH", str(self.folder / "kv.db"))
        return {name: text for name, text in granted.items() if name not in unset}

    def _write_files(self, fixture: dict[str, Any]) -> None:
        contents = {name: text.encode() for name, text in fixture.get("files", {}).items()}
        for name, text in fixture.get("files_base64", {}).items():
            contents[name] = base64.b64decode(text)
        for name, content in contents.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def _kv_path(self) -> Path:
        named = self.environment.get("NOETHER_KV_PATH")
        return Path(named) if named else Path(self.environment["HOME"], ".noether", "kv.db")

    def _fill_kv(self, rows: list[list[str]]) -> None:
        path = self._kv_path()
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(
                "CREATE TABLE kv (namespace TEXT NOT NULL DEFAULT '', key TEXT NOT NULL, "
                "value TEXT NOT NULL, PRIMARY KEY (namespace, key))"
            )
            connection.executemany("INSERT INTO kv VALUES (?, ?, ?)", rows)

    def _offer_models(
        self, chat: dict[str, Any] | None, embedding: dict[str, Any] | None, stack: ExitStack
    ) -> None:
        """One service in the format of OpenAI for both; what is not offered is ruled out."""
        if not chat and not embedding:
            return
        respond = _models(chat or {}, embedding or {})
        self._model = stack.enter_context(serving(respond))
        offered = {
            "OPENAI_API_KEY": "key-of-the-double",
            "OPENAI_API_BASE": f"{self._model.url}/v1",
            "OPENAI_MODEL": (chat or {}).get("default_model", "none"),
            "OPENAI_EMBEDDING_MODEL": (embedding or {}).get("model", "none"),
        }
        if not chat:
            offered["NOETHER_LLM_PROVIDER"] = NO_PROVIDER
        if not embedding:
            offered["NOETHER_EMBEDDING_PROVIDER"] = NO_PROVIDER
        self.environment = {**offered, **self.environment}

    def _check_streams(
        self,
        after: dict[str, Any],
        caller: Caller,
        outcome: CallOutcome,
        printed: Callable[[], Any],
    ) -> None:
        if isinstance(outcome.output, dict) and "pid" in outcome.output:
            # what a process prints is all there when it has ended
            caller.output("wait_process", {"pid": outcome.output["pid"]})
        streams = printed()
        tails = [outcome.stdout_tail, *(each.stdout_tail for each in outcome.nested)]
        logs = [*(tail or "" for tail in tails), streams.err]
        for text in after.get("run_log", []):
            assert any(text in log for log in logs)
        if after.get("stdout_clean"):
            assert streams.out == ""


def _needs_web(case: dict[str, Any]) -> bool:
    return "http" in (case.get("fixture") or {}) or "{http}" in json.dumps(case)


def _is_embedding(seen: Seen) -> bool:
    return seen.path.endswith("/embeddings")


def _models(chat: dict[str, Any], embedding: dict[str, Any]) -> Respond:
    talk = chat_model(chat.get("completion"), chat.get("error"))
    embed = embedding_model(embedding.get("vector"), embedding.get("error"))
    return lambda seen: embed(seen) if _is_embedding(seen) else talk(seen)


@contextmanager
def on_standard_input(content: bytes) -> Iterator[None]:
    """Puts bytes before this process, as they wait before a runner."""
    reading, writing = os.pipe()
    before = os.dup(0)
    os.write(writing, content)
    os.close(writing)
    os.dup2(reading, 0)
    os.close(reading)
    try:
        yield
    finally:
        os.dup2(before, 0)
        os.close(before)


def same(expected: Any, found: Any) -> bool:
    """Equality in which integers, doubles and booleans differ, and 0.0 is -0.0."""
    return compact_json(without_minus_zero(expected)) == compact_json(without_minus_zero(found))


def without_minus_zero(value: Any) -> Any:
    """The value with 0.0 wherever there was -0.0."""
    match value:
        case dict():
            return {name: without_minus_zero(each) for name, each in value.items()}
        case list():
            return [without_minus_zero(each) for each in value]
        case float():
            return value + 0.0
        case _:
            return value


def fits(expected: Any, found: Any) -> bool:
    """Whether what is expected is there; other members of objects are free."""
    match expected:
        case {"$match": "positive_int"}:
            return isinstance(found, int) and not isinstance(found, bool) and found > 0
        case {"$match": "unix_now"}:
            return isinstance(found, int) and abs(found - time.time()) <= 5
        case {"$match": kind}:
            raise AssertionError(f"no matcher of this kind is known: {kind}")
        case {"$contains": list(wanted)}:
            return isinstance(found, list) and all(
                any(fits(each, item) for item in found) for each in wanted
            )
        case {"$length": int(length)}:
            return isinstance(found, (list, dict, str)) and len(found) == length
        case dict():
            return isinstance(found, dict) and all(
                name in found and fits(each, found[name]) for name, each in expected.items()
            )
        case list():
            return (
                isinstance(found, list)
                and len(found) == len(expected)
                and all(map(fits, expected, found))
            )
        case _:
            return same(expected, found)


def check_requests(expected: list[dict[str, Any]], server: Server) -> None:
    """Whether a server has seen exactly these requests."""
    assert len(server.seen) == len(expected)
    for wanted, seen in zip(expected, server.seen, strict=True):
        assert (seen.method, seen.path) == (wanted["method"], wanted["path"])
        if "body" in wanted:
            assert seen.body.decode() == wanted["body"]
        for name, value in wanted.get("headers", {}).items():
            assert value in seen.headers.get(name.lower(), [])
        for name in wanted.get("single", []):
            assert len(seen.headers[name.lower()]) == 1
        for name in wanted.get("absent", []):
            assert name.lower() not in seen.headers


def eventually(read: Any, expected: str) -> bool:
    """Whether a file comes to hold a text; the writer is a process that nothing tells us of."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        try:
            if read() == expected:
                return True
        except FileNotFoundError:
            pass
        time.sleep(0.01)
    return False
