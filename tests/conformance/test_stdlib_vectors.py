"""The standard stages of `stdlib.json`, and what they do on the cases of `stdlib_behaviour.json`.

Cases go through the runner's routing, as from a graph. Schema: `stdlib.md` §13.
"""

import base64
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from builtin_calls import Caller, calling, started_children
from http_doubles import Server, chat_model, embedding_model, routes, serving
from noether_contract.json_values import compact_json
from noether_runner.builtins.lookup import is_unbuilt
from noether_runner.execution.calls import CallOutcome
from noether_runner.sandbox.child import Children
from noether_runner.stages.effects import read_effect_set
from noether_runner.stages.identity import (
    StageSignature,
    signature_id,
    stage_id,
    stage_id_v0,
    stage_id_v1,
    stdlib_implementation_hash,
)
from noether_runner.stores.builtin import builtin_stage
from noether_runner.types.terms import read_type
from vector_files import load_vectors

pytestmark = pytest.mark.vectors

STAGES: list[dict[str, Any]] = load_vectors("stdlib.json")
CASES: list[dict[str, Any]] = load_vectors("stdlib_behaviour.json")["cases"]
ID_OF = {row["name"]: row["id"] for row in STAGES}
PATIENCE_SECONDS = 3


@pytest.mark.parametrize("row", STAGES, ids=[row["name"] for row in STAGES])
def test_identity(row: dict[str, Any]) -> None:
    def signed(effects: Any) -> StageSignature:
        shape = (read_type(row["input"]), read_type(row["output"]))
        return StageSignature(row["name"], *shape, read_effect_set(effects))

    now = signed(row["effects"])
    code = row["implementation_hash"]
    assert stdlib_implementation_hash(row["name"]) == code
    assert signature_id(now) == row["signature_id"]
    assert stage_id(now, code) == row["id"]
    schemes = {"v0": stage_id_v0, "v1": stage_id_v1}
    for legacy in row["legacy_ids"]:
        names = legacy.get("effects_then")
        then = signed({"effects": [{"effect": name} for name in names]}) if names else now
        assert schemes[legacy["scheme"]](then, code) == legacy["id"]
    stage = builtin_stage(row["id"])
    assert (stage.name, stage.signature_id) == (row["name"], row["signature_id"])
    assert stage.input == read_type(row["input"])
    assert stage.output == read_type(row["output"])


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with started_children() as started:
        yield started


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_behaviour(case: dict[str, Any], children: Children, tmp_path: Path) -> None:
    assert not is_unbuilt(ID_OF[case["stage"]])
    if "arrow" in case["stage"]:
        pytest.importorskip("pyarrow", reason="the arrow extra is not installed")
    with ExitStack() as stack:
        scene = Scene(case.get("fixture", {}), tmp_path, stack)
        case = scene.filled_in(case)
        caller = stack.enter_context(calling(children))
        outcome = caller.call(ID_OF[case["stage"]], case["input"], environment=scene.environment)
        check_outcome(case, outcome, caller)
        scene.check(case.get("after", {}), outcome)


class Scene:
    """The preconditions of one case, and what must hold after it."""

    def __init__(self, fixture: dict[str, Any], folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.environment: dict[str, str] = {"HOME": str(folder / "home"), **fixture.get("env", {})}
        self.server: Server | None = None
        self.model: Server | None = None
        self.process: subprocess.Popen[bytes] | None = None
        for name, text in fixture.get("files", {}).items():
            (folder / name).write_bytes(text.encode())
        for name, text in fixture.get("files_base64", {}).items():
            (folder / name).write_bytes(base64.b64decode(text))
        if "kv" in fixture:
            self._fill_kv(fixture["kv"])
        if "http" in fixture:
            self.server = stack.enter_context(serving(routes(fixture["http"])))
        if fixture.get("llm"):
            self._offer_chat(fixture["llm"], stack)
        if fixture.get("embedding"):
            self._offer_embeddings(fixture["embedding"], stack)
        if "process" in fixture:
            self._run(fixture["process"], stack)

    def _fill_kv(self, rows: list[list[str]]) -> None:
        path = self.folder / "kv.db"
        self.environment["NOETHER_KV_PATH"] = str(path)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(
                "CREATE TABLE kv (namespace TEXT NOT NULL DEFAULT '', key TEXT NOT NULL, "
                "value TEXT NOT NULL, PRIMARY KEY (namespace, key))"
            )
            connection.executemany("INSERT INTO kv VALUES (?, ?, ?)", rows)

    def _offer_chat(self, about: dict[str, Any], stack: ExitStack) -> None:
        respond = chat_model(about.get("completion"), about.get("error"))
        self.model = stack.enter_context(serving(respond))
        self.environment |= {
            "OPENAI_API_KEY": "key-of-the-double",
            "OPENAI_API_BASE": f"{self.model.url}/v1",
            "OPENAI_MODEL": about["default_model"],
        }

    def _offer_embeddings(self, about: dict[str, Any], stack: ExitStack) -> None:
        respond = embedding_model(about.get("vector"), about.get("error"))
        self.model = stack.enter_context(serving(respond))
        self.environment |= {
            "OPENAI_API_KEY": "key-of-the-double",
            "OPENAI_API_BASE": f"{self.model.url}/v1",
            "OPENAI_EMBEDDING_MODEL": about.get("model", "none"),
        }

    def _run(self, kind: str, stack: ExitStack) -> None:
        command = ["sleep", "600"] if kind == "sleep" else ["true"]
        self.process = stack.enter_context(subprocess.Popen(command))
        stack.callback(self.process.kill)
        if kind == "exited":
            self.process.wait()

    def filled_in(self, value: Any) -> Any:
        """The value with its placeholders replaced."""
        match value:
            case dict():
                return {name: self.filled_in(each) for name, each in value.items()}
            case list():
                return [self.filled_in(each) for each in value]
            case "{pid:sleep}" | "{pid:exited}":
                assert self.process is not None
                return self.process.pid
            case str():
                url = self.server.url if self.server else "{http}"
                return value.replace("{tmp}", str(self.folder)).replace("{http}", url)
            case _:
                return value

    def check(self, after: dict[str, Any], outcome: CallOutcome) -> None:
        """The postconditions."""
        for name, text in after.get("files", {}).items():
            assert (self.folder / name).read_bytes().decode() == text
        for name, text in after.get("files_eventually", {}).items():
            assert eventually(lambda name=name: (self.folder / name).read_text("utf-8"), text)
        for name in after.get("absent", []):
            assert not (self.folder / name).exists()
        if "kv" in after:
            with closing(sqlite3.connect(self.folder / "kv.db")) as connection:
                rows = connection.execute("SELECT namespace, key, value FROM kv").fetchall()
            assert sorted(rows) == sorted(map(tuple, after["kv"]))
        if "http_requests" in after:
            assert self.server is not None
            check_requests(after["http_requests"], self.server)
        if "llm_request" in after:
            assert self.model is not None
            assert fits(after["llm_request"], self.model.seen[-1].json)
        for text in after.get("run_log", []):
            assert text in (outcome.stdout_tail or "")
        if after.get("process_ended"):
            assert self.process is not None
            self.process.wait(PATIENCE_SECONDS)


def check_outcome(case: dict[str, Any], outcome: CallOutcome, caller: Caller) -> None:
    expected = case["expect"]
    if "error" in expected:
        assert outcome.error is not None, outcome.output
        message = outcome.error.message
        match expected["error"]:
            case {"match": "exact", "message": text}:
                assert message == text
            case {"match": "prefix", "message": text}:
                assert message.startswith(text)
            case _:
                assert message
        return
    assert outcome.error is None, outcome.error.message
    output = outcome.output
    match case["compare"]:
        case "subset":
            assert fits(expected["output"], output)
        case "arrow_decoded":
            decoded = caller.output(ID_OF["records_to_arrow"], output)
            assert same(expected["output"], decoded)
        case _:
            assert same(expected["output"], output)


def same(expected: Any, found: Any) -> bool:
    """Equality in which integers, doubles and booleans differ, and 0.0 is -0.0."""
    return compact_json(without_minus_zero(expected)) == compact_json(without_minus_zero(found))


def without_minus_zero(value: Any) -> Any:
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
    """Whether what is expected is there; other members are free."""
    match expected:
        case {"$match": "positive_int"}:
            return isinstance(found, int) and not isinstance(found, bool) and found > 0
        case {"$match": "unix_now"}:
            return isinstance(found, int) and abs(found - time.time()) <= 5
        case {"$contains": list(wanted)}:
            return all(any(fits(each, item) for item in found) for each in wanted)
        case {"$length": int(length)}:
            return len(found) == length
        case dict():
            return isinstance(found, dict) and all(
                name in found and fits(each, found[name]) for name, each in expected.items()
            )
        case _:
            return same(expected, found)


def check_requests(expected: list[dict[str, Any]], server: Server) -> None:
    assert len(server.seen) == len(expected)
    for wanted, seen in zip(expected, server.seen, strict=True):
        assert (seen.method, seen.path) == (wanted["method"], wanted["path"])
        if "body" in wanted:
            assert seen.body.decode() == wanted["body"]
        for name, value in wanted.get("headers", {}).items():
            assert value in seen.headers.get(name, [])
        for name in wanted.get("single", []):
            assert len(seen.headers[name]) == 1
        for name in wanted.get("absent", []):
            assert name not in seen.headers


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
