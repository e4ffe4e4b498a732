"""`RemoteStage` against a real server on loopback (`graph.md` §4.7)."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from graph_samples import Ran, run_graph
from noether_contract.json_values import JsonValue
from noether_contract.outcomes import ErrorCode
from noether_runner.execution import remote
from noether_runner.execution.errors import RemoteFailure, Stopped
from noether_runner.execution.remote import call_remote, output_of
from noether_runner.graph.nodes import (
    ParallelNode,
    RemoteStageNode,
    RetryNode,
    SequentialNode,
    StageNode,
)
from noether_runner.sandbox.cancellation import CancelSwitch
from noether_runner.types.terms import ANY

Answer = Callable[[BaseHTTPRequestHandler, bytes], None]


class Server:
    """Answers every POST with `answer`, and keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self.answer: Answer = reply(b"{}")
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.asked.append((self.path, headers, body))
                outer.answer(self, body)

            def log_message(self, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))

    def url(self, path: str = "/run") -> str:
        return f"http://127.0.0.1:{self.http.server_port}{path}"


def reply(body: bytes, status: int = 200, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    server.thread.start()
    yield server
    server.http.shutdown()
    server.thread.join()
    server.http.server_close()


def run_remote(url: str, argument: JsonValue = None) -> Ran:
    return run_graph(RemoteStageNode(url, ANY, ANY), argument)


def reason(reply: bytes) -> str:
    with pytest.raises(RemoteFailure) as caught:
        output_of(reply)
    return caught.value.reason


def test_the_request_is_exactly_the_envelope(server: Server) -> None:
    server.answer = reply(b'{"ok":true,"data":{"output":{"y":2.0},"spent_cents":0}}')
    argument: JsonValue = {"b": 1.0, "a": "é", "n": 2**63}
    ran = run_remote(server.url("/run?x=1"), argument)
    assert repr(ran.output) == "{'y': 2.0}"
    ((path, headers, body),) = server.asked
    assert path == "/run?x=1"
    assert body == '{"input":{"a":"é","b":1.0,"n":9223372036854775808}}'.encode()
    assert headers["content-type"] == "application/json"
    assert "authorization" not in headers


def test_each_call_is_noted_beside_the_stages(server: Server) -> None:
    server.answer = reply(b'{"data":{"output":null}}', status=503)
    node = RemoteStageNode(server.url(), ANY, ANY)
    root = SequentialNode((StageNode("identity"), ParallelNode({"b": node, "a": node})))
    ran = run_graph(root)
    assert ran.output == {"a": None, "b": None}
    assert [entry.path for entry in ran.entries] == ["root.stages[0]"]
    calls = ran.recorder.remote_calls()
    assert [call.path for call in calls] == [
        "root.stages[1].branches.a",
        "root.stages[1].branches.b",
    ]
    assert all(call.ok and call.error is None and call.url == server.url() for call in calls)


def test_a_failed_call_names_url_and_reason(server: Server) -> None:
    server.answer = reply(b'{"ok":false,"error":{"code":"X","message":"no such graph"}}')
    root = RetryNode(RemoteStageNode(server.url(), ANY, ANY), 2)
    ran = run_graph(root)
    failure = ran.failure()
    assert failure.code is ErrorCode.REMOTE_CALL_FAILED
    assert failure.message == f"remote call to {server.url()} failed: no such graph"
    assert failure.path == "root.stage"
    assert [call.error for call in ran.recorder.remote_calls()] == ["no such graph"] * 2


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"ok":false,"error":"text"}', "text"),
        (b'{"ok":false,"error":{"message":"text"},"data":{"output":1}}', "text"),
        (b'{"ok":false,"error":7}', "remote reported ok=false without error message"),
        (b'{"ok":false,"error":{"code":"X"}}', "remote reported ok=false without error message"),
        (b'{"ok":false}', "remote reported ok=false without error message"),
        (b'{"ok":true,"output":1}', "response missing data.output field"),
        (b'{"ok":true,"data":[1]}', "response missing data.output field"),
        (b'{"ok":true,"data":{}}', "response missing data.output field"),
        (b"[1]", "response missing data.output field"),
        (b"null", "response missing data.output field"),
    ],
)
def test_replies_that_are_failures(body: bytes, expected: str) -> None:
    assert reason(body) == expected


@pytest.mark.parametrize("body", [b"", b"<html>", b"{} x", b"\xff", b"NaN"])
def test_replies_that_are_no_json(body: bytes) -> None:
    assert reason(body).startswith("invalid JSON response: ")


@pytest.mark.parametrize("ok", [b"true", b"0", b"null", b'"false"'])
def test_only_the_boolean_false_is_a_failure(ok: bytes) -> None:
    assert output_of(b'{"ok":' + ok + b',"data":{"output":5}}') == 5


def test_redirects_are_not_followed(server: Server) -> None:
    server.answer = reply(b"moved", status=307, Location="/elsewhere")
    failure = run_remote(server.url()).failure()
    assert "invalid JSON response" in failure.message
    assert [path for path, _, _ in server.asked] == ["/run"]


def test_nobody_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        failure = run_remote(f"http://127.0.0.1:{port}/").failure()
    assert failure.code is ErrorCode.REMOTE_CALL_FAILED
    assert failure.message.startswith(f"remote call to http://127.0.0.1:{port}/ failed: ")
    assert "refused" in failure.message.lower()


@pytest.mark.parametrize("url", ["", "no url", "ftp://127.0.0.1/x", "http://"])
def test_urls_that_cannot_be_called(url: str) -> None:
    failure = run_remote(url).failure()
    assert failure.code is ErrorCode.REMOTE_CALL_FAILED
    assert failure.message.startswith(f"remote call to {url} failed: ")


def test_an_input_too_deep_to_be_sent() -> None:
    value: JsonValue = None
    for _ in range(300):
        value = [value]
    assert "nested too deeply" in run_remote("http://127.0.0.1:9/", value).failure().message


def test_a_stop_ends_the_wait_for_a_reply(server: Server) -> None:
    switch = CancelSwitch()
    release = threading.Event()

    def never(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        switch.cancel("interrupted")
        release.wait(30)
        reply(b"{}")(handler, body)

    server.answer = never
    root = RetryNode(RemoteStageNode(server.url(), ANY, ANY), 3)
    ran = run_graph(root, cancellation=switch)
    assert isinstance(ran.failure(), Stopped)
    assert ran.failure().code is ErrorCode.RUN_INTERRUPTED
    assert [call.error for call in ran.recorder.remote_calls()] == ["the run was stopped"]
    release.set()
    switch.close()


def test_a_deadline_that_has_passed_ends_the_call_at_once(server: Server) -> None:
    switch = CancelSwitch(deadline=time.monotonic())
    with pytest.raises(RemoteFailure, match="no complete reply in time"):
        call_remote(server.url(), None, switch)
    switch.close()


def test_reply_is_read_in_full(server: Server) -> None:
    text = "x" * 1_000_000
    server.answer = reply(json.dumps({"data": {"output": text}}).encode())
    assert run_remote(server.url()).output == text


def test_a_reply_longer_than_any_output_is_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "MAX_OUTPUT_BYTES", 1000)
    server.answer = reply(json.dumps({"data": {"output": "x" * 2000}}).encode())
    assert "the reply is longer than 1000 bytes" in run_remote(server.url()).failure().message
