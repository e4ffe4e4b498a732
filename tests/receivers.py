"""Receivers of webhooks on loopback: real HTTP servers that remember what they were sent."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue


@dataclass(frozen=True)
class Call:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """An HTTP server: `calls` holds what arrived, `status` and `answer` are what it says.

    While `hold` is not set it keeps its callers waiting for their answers. `earlier` are the
    statuses of its first answers.
    """

    url: str = ""
    status: int = 200
    earlier: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    answer: bytes = b"ok"
    calls: "Queue[Call]" = field(default_factory=Queue)
    hold: threading.Event = field(default_factory=threading.Event)

    def next_call(self) -> Call:
        """The next request; waits for it, and fails the test when none comes."""
        return self.calls.get(timeout=30)


@contextmanager
def receiver(
    *,
    slow: bool = False,
    wrapped: Callable[[socket.socket], socket.socket] | None = None,
    **answers: object,
) -> Iterator[Receiver]:
    """A receiver on a free port; `slow`: it answers only once its `hold` is set.

    `wrapped` gives the listening socket another coat: TLS.
    """
    it = Receiver()
    for name, value in answers.items():
        setattr(it, name, value)
    if not slow:
        it.hold.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            it.calls.put(Call(self.path, dict(self.headers), body))
            it.hold.wait()
            try:
                self.send_response(it.earlier.pop(0) if it.earlier else it.status)
                for name, value in it.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(it.answer)))
                self.end_headers()
                self.wfile.write(it.answer)
            except ConnectionError:
                self.close_connection = True  # the caller did not wait

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128  # callers come many at a time

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    if wrapped is not None:
        server.socket = wrapped(server.socket)
    it.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield it
    finally:
        it.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def raw_receiver(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """The URL of a receiver that treats its one caller as `serve` says: for bad manners."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            with caller:
                try:
                    serve(caller)
                except OSError:
                    return

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def unused_url() -> str:
    """A URL at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
