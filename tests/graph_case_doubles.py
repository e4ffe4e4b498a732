"""What a `run` case of `graph_vectors.json` runs against: mock stages, remotes, no waiting."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from noether_contract.json_values import JsonValue, parse_json
from noether_contract.outcomes import ErrorClass, ErrorCode
from noether_runner.errors import StageError
from noether_runner.execution.calls import CallOutcome, StageCall
from noether_runner.execution.errors import RemoteFailure
from noether_runner.execution.remote import call_remote
from noether_runner.sandbox.cancellation import Cancellation, CancelSwitch

Case = dict[str, Any]


@dataclass
class MockStages:
    """The `stages` table of a case, with the calls counted."""

    table: dict[str, Case]
    calls: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def call(self, call: StageCall) -> CallOutcome:
        with self.lock:
            self.calls[call.stage_id] += 1
            turn = self.calls[call.stage_id]
        behaviour = self.table.get(call.stage_id)
        if behaviour is None:
            missing = StageError(
                ErrorClass.RUNTIME_UNAVAILABLE, "no such stage", code=ErrorCode.STAGE_NOT_FOUND
            )
            return CallOutcome(None, error=missing)
        value = call.argument
        match behaviour.get("fn", "output"):
            case "output":
                return CallOutcome(behaviour["output"])
            case "identity":
                return CallOutcome(value)
            case "echo":
                return CallOutcome({"stage": call.stage_id, "input": value})
            case "type":
                return CallOutcome(_type_word(value))
            case "field":
                record = value if isinstance(value, dict) else {}
                return CallOutcome(record.get(behaviour["name"]))
            case "count":
                return CallOutcome(turn)
            case "fail_times" if turn > behaviour["times"]:
                return CallOutcome(behaviour.get("then", value))
            case "fail" | "fail_times":
                error = StageError(ErrorClass.RAISED, behaviour["message"])
                return CallOutcome(None, error=error)
            case unknown:
                raise AssertionError(f"unknown behaviour {unknown}")


def _type_word(value: JsonValue) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"


@dataclass
class Remotes:
    """A loopback server that plays every URL of `remotes`, and what was asked of it."""

    table: dict[str, Case]
    requests: list[JsonValue] = field(default_factory=list)
    port: int = 0

    def call(self, url: str, argument: JsonValue, cancellation: Cancellation) -> JsonValue:
        if url not in self.table:
            raise RemoteFailure("nobody answers there")
        number = list(self.table).index(url)
        loopback = f"http://127.0.0.1:{self.port}/{number}"
        return call_remote(loopback, argument, cancellation)


@contextmanager
def serving(table: dict[str, Case]) -> Iterator[Remotes]:
    remotes = Remotes(table)
    if not table:
        yield remotes
        return

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            url = list(table)[int(self.path.removeprefix("/"))]
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Type"] == "application/json"
            remotes.requests.append({"url": url, "body": parse_json(body)})
            reply = json.dumps(table[url]["body"]).encode()
            self.send_response(table[url]["status"])
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    remotes.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield remotes
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Impatient(CancelSwitch):
    """Never tells a run to stop, and lets no time pass: nothing in a case depends on a delay."""

    __slots__ = ()

    def wait(self, seconds: float) -> bool:
        return False
