"""HTTP servers on loopback that stand for others: routes, a language model, embeddings."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Seen:
    """One request as it arrived; header names in lower case, values in the order of arrival."""

    method: str
    path: str
    headers: dict[str, list[str]]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What a server says to one request."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass
class Server:
    """A running server: its base URL and what it has seen."""

    url: str = ""
    seen: list[Seen] = field(default_factory=list)


Respond = Callable[[Seen], Answer]


@contextmanager
def serving(respond: Respond) -> Iterator[Server]:
    """A server on a free port that answers with `respond`."""
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            headers: dict[str, list[str]] = {}
            for name, value in self.headers.items():
                headers.setdefault(name.lower(), []).append(value)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen = Seen(self.command, self.path, headers, body)
            server.seen.append(seen)
            answer = respond(seen)
            self.send_response_only(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value)
            if answer.status != 204:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_PUT(self) -> None:
            self._answer()

        def log_message(self, *arguments: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        server.url = f"http://127.0.0.1:{running.server_address[1]}"
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            running.shutdown()
            thread.join()


def routes(table: list[dict[str, Any]]) -> Respond:
    """Answers by method and path; anything else gets a 599. A header may have several values."""
    answers = {
        (row["method"], row["path"]): Answer(
            row.get("status", 200),
            tuple(_headers(row.get("headers", {}))),
            row.get("body", "").encode(),
        )
        for row in table
    }
    return lambda seen: answers.get((seen.method, seen.path), Answer(599))


def _headers(given: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in given.items():
        for each in value if isinstance(value, list) else [value]:
            # the server writes Latin-1: so it writes the bytes of UTF-8
            yield name, each.encode().decode("latin-1")


def json_answer(value: Any, status: int = 200) -> Answer:
    """An answer with a JSON body."""
    return Answer(status, (("Content-Type", "application/json"),), json.dumps(value).encode())


def chat_model(completion: str | None, error: str | None = None) -> Respond:
    """A service in the format of OpenAI's chat completions that always says the same."""
    if error is not None:
        return lambda _seen: json_answer({"error": {"message": error}}, 500)
    return lambda _seen: json_answer({"choices": [{"message": {"content": completion}}]})


def embedding_model(vector: list[float] | None, error: str | None = None) -> Respond:
    """A service in the format of OpenAI's embeddings that always gives the same vector."""
    if error is not None:
        return lambda _seen: json_answer({"error": {"message": error}}, 500)
    return lambda _seen: json_answer({"data": [{"index": 0, "embedding": vector}]})
