"""A small registry for tests and for trying things out: the public routes of `stages.md` §7.

In a test, `serving(Registry(...))` runs it on a free port of loopback; `asked` is its request log
and `trouble` may answer in its place, late, wrongly or not at all. As a script it serves a store
file as it is at each request:

    python tests/registry_server.py .noether/store.json --port 8900
"""

import argparse
import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Record = dict[str, Any]
DEFAULT_LIMIT, MOST_LIMIT = 50, 200


@dataclass(frozen=True)
class Asked:
    """One request as it arrived; header names in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]

    def __str__(self) -> str:
        shown = "&".join(f"{name}={value}" for name, value in self.query.items())
        return f"{self.path}?{shown}" if shown else self.path


@dataclass(frozen=True)
class Answer:
    """What goes back; a `body` that is no bytes is sent as JSON."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def found(result: Any) -> Answer:
    return Answer(200, {"ok": True, "result": result})


def refused(status: int, code: str, message: str, **headers: str) -> Answer:
    """A failure envelope; headers as `retry_after="1"`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    error = {"code": code, "message": message}
    return Answer(status, {"ok": False, "error": error}, named)


NOT_FOUND = refused(404, "NOT_FOUND", "no such stage")


@dataclass
class Registry:
    """A registry over `records`, in their order. `trouble` is asked first; None: no trouble.

    `url` is set while it is served. `page_cap` makes pages smaller than asked for, `headers` are
    sent with every answer, `etags` makes single stages conditional.
    """

    records: Callable[[], Sequence[Record]]
    trouble: Callable[[Asked], Answer | None] = lambda _asked: None
    page_cap: int = MOST_LIMIT
    etags: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""
    prefix: str = ""

    @property
    def log(self) -> list[str]:
        """The requests so far, each as path and query."""
        return [str(asked) for asked in self.asked]

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        given = self.trouble(asked) or self._by_route(asked)
        return Answer(given.status, given.body, {**self.headers, **given.headers})

    def _by_route(self, asked: Asked) -> Answer:
        if asked.method != "GET":
            return refused(401, "UNAUTHORIZED", "this registry is read-only")
        if not asked.path.startswith(self.prefix):
            return NOT_FOUND
        path = asked.path.removeprefix(self.prefix)
        if path == "/health":
            return found({"status": "ok", "store": {"total_stages": len(self.records())}})
        if path == "/stages":
            return self._listing(asked.query)
        if path.startswith("/stages/"):
            return self._stage(path.removeprefix("/stages/"), asked.headers)
        return NOT_FOUND

    def _stage(self, stage_id: str, headers: Mapping[str, str]) -> Answer:
        record = next((each for each in self.records() if each["id"] == stage_id), None)
        if record is None:
            return NOT_FOUND
        if not self.etags:
            return found(record)
        etag = f'"{hashlib.sha256(json.dumps(record).encode()).hexdigest()[:16]}"'
        if headers.get("if-none-match") == etag:
            return Answer(304, b"", {"ETag": etag})
        return Answer(200, {"ok": True, "result": record}, {"ETag": etag})

    def _listing(self, query: Mapping[str, str]) -> Answer:
        wanted = query.get("lifecycle", "active")
        if wanted not in ("active", "draft", "deprecated", "tombstone", "all"):
            return refused(400, "INVALID_PARAM", "lifecycle")
        try:
            limit = min(int(query.get("limit", DEFAULT_LIMIT)), MOST_LIMIT, self.page_cap)
            offset = int(query.get("offset", 0))
        except ValueError:
            return refused(400, "INVALID_PARAM", "limit and offset are whole numbers")
        matching = [
            each
            for each in self.records()
            if wanted in ("all", lifecycle_word(each))
            and query.get("tag") in (None, *each.get("tags", ()))
        ]
        page = matching[offset : offset + limit]
        return found({"stages": page, "total": len(matching), "limit": limit, "offset": offset})


def lifecycle_word(record: Record) -> str:
    lifecycle = record["lifecycle"]
    return str(next(iter(lifecycle)) if isinstance(lifecycle, dict) else lifecycle).lower()


class _Server(ThreadingHTTPServer):
    """Remembers its connections, so that it can end those that clients keep open."""

    daemon_threads = False
    request_queue_size = 64

    def __init__(self, port: int, registry: Registry) -> None:
        self.registry = registry
        self.open: list[socket.socket] = []
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.append(request)
        super().process_request(request, client_address)

    def end_connections(self) -> None:
        for connection in self.open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of the server."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body are written apart: with Nagle's algorithm the second waits for 40 ms.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._respond()

    def do_PATCH(self) -> None:
        self.do_POST()

    def do_DELETE(self) -> None:
        self.do_POST()

    def _respond(self) -> None:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, parts.path, dict(parse_qsl(parts.query)), headers)
        assert isinstance(self.server, _Server)
        answer = self.server.registry.answer(asked)
        content = answer.content()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if "Content-Length" not in answer.headers and answer.status != 304:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(registry: Registry, port: int = 0) -> Iterator[Registry]:
    """Serves it on a free port until the end of the block."""
    server = _Server(port, registry)
    registry.url = f"http://127.0.0.1:{server.server_address[1]}{registry.prefix}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.end_connections()
        server.server_close()
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description="Serves a store file as a read-only registry.")
    parser.add_argument("store", help="a store file, such as .noether/store.json")
    parser.add_argument("--port", type=int, default=8900)
    words = parser.parse_args()
    path = Path(words.store)
    registry = Registry(lambda: json.loads(path.read_bytes())["stages"])
    server = _Server(words.port, registry)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)  # noqa: T201 - a script's output
    with suppress(KeyboardInterrupt):
        server.serve_forever()
    server.end_connections()
    server.server_close()


if __name__ == "__main__":
    main()
