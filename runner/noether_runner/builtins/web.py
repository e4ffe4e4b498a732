"""Standard stages that speak HTTP (`stdlib.md` §10.2); each in a process of its own.

Every status is a success, also 404 and 500: the graph decides what it means.
"""

from functools import partial
from typing import Final

from noether_contract.json_values import JsonValue
from noether_runner.builtins.builtin import Builtin, BuiltinError, Context, Place
from noether_runner.builtins.fields import counted, optional_text, record_of, text_or

_CONTENT_TYPE = "application/json"


def _request(method: str, value: JsonValue, context: Context) -> JsonValue:
    """One exchange: status, body and headers of the answer."""
    record = record_of(value)
    url = text_or(record, "url", "missing field 'url'")
    headers = {"Accept": "*/*"}
    body: bytes | None = None
    if method != "GET":
        body = text_or(record, "body", "missing field 'body'").encode("utf-8")
        headers["Content-Type"] = optional_text(record, "content_type", _CONTENT_TYPE)
    given = record_of(record.get("headers"))
    texts = {name: text for name, text in given.items() if isinstance(text, str)}
    if left_out := len(given) - len(texts):
        have = counted(left_out, "header whose value is", "headers whose values are")
        context.warn(f"{record_name(method)} left out {have} no text")
    return _exchanged(method, url, with_headers(headers, texts), body)


def record_name(method: str) -> str:
    """The stage of a method."""
    return f"http_{method.lower()}"


def with_headers(defaults: dict[str, str], given: dict[str, str]) -> dict[str, str]:
    """The given headers, and those defaults whose names are not among them in any spelling."""
    names = {name.lower() for name in given}
    return {name: text for name, text in defaults.items() if name.lower() not in names} | given


def _exchanged(method: str, url: str, headers: dict[str, str], body: bytes | None) -> JsonValue:
    from noether_runner.builtins.http_exchange import ExchangeError, Request, exchange

    try:
        answer = exchange(Request(method, url, headers, body))
    except ExchangeError as error:
        raise BuiltinError(f"error sending request for url ({url}): {error}") from None
    shown: dict[str, JsonValue] = dict(answer.headers)
    return {"status": answer.status, "body": answer.text, "headers": shown}


STAGES: Final = tuple(
    Builtin(record_name(method), partial(_request, method), Place.CHILD)
    for method in ("GET", "POST", "PUT")
)
