"""What a registry answer means (`stages.md` §7.1): from status and body to one of three values."""

from typing import TypeAlias

from noether_contract.json_values import JsonTextError, JsonValue, parse_json
from noether_contract.lean_dataclass import dataclass

UNKNOWN = "UNKNOWN"
"""The code of a failure that names none."""

_LONGEST_QUOTE = 200
_SHOWN_BYTES = 60


@dataclass(frozen=True, slots=True)
class Result:
    """The registry did as asked; `value` is the payload."""

    value: JsonValue


@dataclass(frozen=True, slots=True)
class NotFound:
    """There is no such thing in the registry."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The registry did not do it. `code` is its own word, None when the body is not JSON;
    `retryable` when asking again may help; `message` completes "it answered 503: …"."""

    code: str | None
    message: str
    retryable: bool


Answer: TypeAlias = Result | NotFound | Failure


def read_envelope(status: int, body: bytes) -> Answer:
    """The meaning of an answer that is no redirection.

    As in the reference, an envelope with `ok: true` counts whatever the status says, except for
    404. The payload is `result`, or `data` as other programs of the ecosystem write it.
    """
    if status == 404:
        return NotFound()
    server_trouble = status >= 500 or status == 429
    try:
        envelope = parse_json(body)
    except JsonTextError as error:
        return Failure(None, _not_json(body, error), server_trouble or status < 400)
    if not isinstance(envelope, dict):
        return Failure(UNKNOWN, "JSON that is no envelope with the member ok", server_trouble)
    if envelope.get("ok") is True:
        return Result(envelope["result"] if "result" in envelope else envelope.get("data"))
    error_object = envelope.get("error")
    members = error_object if isinstance(error_object, dict) else {}
    code = members.get("code")
    message = members.get("message")
    word = code if isinstance(code, str) else UNKNOWN
    if word == "NOT_FOUND":
        return NotFound()
    told = f"{word}: {message}" if isinstance(message, str) and message else word
    return Failure(word, one_line(told), server_trouble)


def _not_json(body: bytes, error: JsonTextError) -> str:
    """What stood in the place of an envelope; its beginning tells a login page from an outage."""
    if not body.strip():
        return "an empty body"
    start = one_line(body[:_SHOWN_BYTES].decode("utf-8", "replace"))
    return f"a body that is not JSON ({error}) and begins with {start!r}"


def one_line(text: str) -> str:
    """A foreign text fit for our messages: printable, on one line, not endless."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return shown if len(shown) <= _LONGEST_QUOTE else f"{shown[: _LONGEST_QUOTE - 1]}…"
