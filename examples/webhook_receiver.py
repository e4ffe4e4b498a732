"""A small webhook receiver: prints every POST that it gets, and answers GET /health.

`python examples/webhook_receiver.py [PORT]`; port 0 takes a free one. The address that it
listens on is the first line that it prints.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver(BaseHTTPRequestHandler):
    """Prints one line per webhook: job, outcome, time taken, output or error."""

    def do_GET(self) -> None:
        self._answer(b'{"ok": true}\n')

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            told = json.loads(body)
            outcome = "ok" if told["ok"] else "FAILED"
            what = told["output"] if told["ok"] else told["error"]
            line = f"{told['job']} {outcome} in {told['duration_ms']} ms, due {told['fired_at']}"
            print(f"webhook: {line}\n  {json.dumps(what, ensure_ascii=False)[:300]}", flush=True)
        except (ValueError, KeyError, TypeError):
            print(f"webhook: {self.path} got something else: {body[:300]!r}", flush=True)
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Silence: what matters is printed above."""


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8765
    server = ThreadingHTTPServer(("127.0.0.1", port), Receiver)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()


if __name__ == "__main__":
    main()
