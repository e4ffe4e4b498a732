"""`RemoteStage`: one HTTP call to a composition that runs elsewhere (`graph.md` §4.7).

The request and the success form are the reference's; the HTTP status is not looked at, redirects
are not followed. The call is bounded by 30 seconds and the run's deadline, whatever the other
side does, name lookup included: it happens on a thread that is left behind when time is up.
"""

import os
import select
import threading
import time

from noether_contract.framing import MAX_OUTPUT_BYTES
from noether_contract.json_values import JsonTextError, JsonValue, compact_json, parse_json
from noether_runner.execution.errors import RemoteFailure
from noether_runner.sandbox.cancellation import Cancellation

TIMEOUT_SECONDS = 30.0
"""Longest remote call."""

_HEADERS = {"Content-Type": "application/json", "User-Agent": "noether-runner"}


def call_remote(url: str, argument: JsonValue, cancellation: Cancellation) -> JsonValue:
    """The output of the composition behind `url`; raises `RemoteFailure`."""
    try:
        body = compact_json({"input": argument})
    except TypeError:
        raise RemoteFailure("the input is nested too deeply to be sent") from None
    return output_of(_Exchange(url, body).reply(cancellation))


def output_of(reply: bytes) -> JsonValue:
    """The output inside a reply's body; raises `RemoteFailure`."""
    try:
        envelope = parse_json(reply)
    except JsonTextError as error:
        raise RemoteFailure(f"invalid JSON response: {error}") from None
    members = envelope if isinstance(envelope, dict) else {}
    if members.get("ok") is False:
        raise RemoteFailure(_error_text(members.get("error")))
    data = members.get("data")
    if not isinstance(data, dict) or "output" not in data:
        raise RemoteFailure("response missing data.output field")
    return data["output"]


def _error_text(error: JsonValue) -> str:
    if isinstance(error, dict):
        error = error.get("message")
    if isinstance(error, str):
        return error
    return "remote reported ok=false without error message"


class _Exchange:
    """One request and its reply, on a thread of its own."""

    def __init__(self, url: str, body: bytes) -> None:
        self._url = url
        self._body = body
        self._reply: bytes | None = None
        self._failure = "no reply"

    def reply(self, cancellation: Cancellation) -> bytes:
        """The body of the reply; raises `RemoteFailure`."""
        until = time.monotonic() + TIMEOUT_SECONDS
        if cancellation.deadline is not None:
            until = min(until, cancellation.deadline)
        # Each side closes its own end, so neither can ever touch a descriptor of someone else.
        finished, finish = os.pipe2(os.O_CLOEXEC)
        try:
            threading.Thread(target=self._perform, args=(finish, until), daemon=True).start()
            poll = select.poll()
            poll.register(finished, select.POLLIN)
            poll.register(cancellation.fileno(), select.POLLIN)
            ready = [fd for fd, _ in poll.poll(max(0.0, until - time.monotonic()) * 1000)]
            answered = finished in ready
        finally:
            os.close(finished)
        if not answered:
            raise RemoteFailure("the run was stopped" if ready else "no complete reply in time")
        if self._reply is None:
            raise RemoteFailure(self._failure)
        return self._reply

    def _perform(self, finish: int, until: float) -> None:
        try:
            self._reply = self._post(until)
        except Exception as error:
            self._failure = str(error) or type(error).__name__
        finally:
            os.close(finish)

    def _post(self, until: float) -> bytes:
        import httpx  # a tenth of a second that only graphs with remote stages pay

        timeout = max(0.001, until - time.monotonic())
        received = bytearray()
        with httpx.stream(
            "POST", self._url, content=self._body, headers=_HEADERS, timeout=timeout
        ) as response:
            for chunk in response.iter_bytes():
                received += chunk
                if len(received) > MAX_OUTPUT_BYTES:
                    raise RemoteFailure(f"the reply is longer than {MAX_OUTPUT_BYTES} bytes")
                if time.monotonic() > until:
                    raise RemoteFailure("no complete reply in time")
        return bytes(received)
