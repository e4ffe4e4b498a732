"""One HTTP exchange for the standard stages: redirects as the reference follows them, one time
limit for the whole, and no way to the metadata services of clouds (`stdlib.md` §10.2).

The only user of httpx among the standard stages; import it where it is needed.
"""

import ssl
import threading
from collections.abc import Mapping
from dataclasses import replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx

import noether_contract
from noether_contract.lean_dataclass import dataclass
from noether_runner.builtins.http_hosts import refusal

SECONDS: Final = 30.0
"""Longest time for connection, redirects and body together."""

MOST_REDIRECTS: Final = 10

_USER_AGENT = f"noether-scheduler/{noether_contract.__version__}"
_AROUND_URLS = "".join(map(chr, range(0x21)))
"""Control characters and blanks: no part of a URL when they stand around it (WHATWG URL §4.4)."""

_REDIRECTS = (301, 302, 303, 307, 308)
_OF_A_BODY = ("content-type", "content-length", "content-encoding", "transfer-encoding")
_SECRET = ("authorization", "cookie", "proxy-authorization")


class ExchangeError(Exception):
    """No answer; the text says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to send. `headers` are complete but for those that describe the connection."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None
    any_host: bool = False
    """Whether the host is one of our own choice, which no list of hosts concerns."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: names of headers in lower case, repeated ones joined with `, `."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as UTF-8; what is none becomes U+FFFD."""
        return self.body.decode("utf-8", "replace")


def exchange(
    request: Request, *, seconds: float = SECONDS, connect_seconds: float | None = None
) -> Answer:
    """The answer to a request, redirects followed; raises `ExchangeError`."""
    outcome: list[Answer | Exception] = []

    def work() -> None:
        try:
            outcome.append(_followed(request, httpx.Timeout(seconds, connect=connect_seconds)))
        except Exception as error:  # handed over to the thread that waits
            outcome.append(error)

    # A thread, since looking up a name cannot be given a time limit. It ends with its process.
    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    worker.join(seconds)
    match outcome:
        case []:
            raise ExchangeError(f"no complete answer within {seconds:g} seconds")
        case [Answer() as answer]:
            return answer
        case [ExchangeError() as error]:
            raise error
        # ImportError: a SOCKS proxy asks for a package that is not there
        case [httpx.HTTPError() | httpx.InvalidURL() | ValueError() | ImportError() as error]:
            raise ExchangeError(_cause(error)) from None
        case [Exception() as error]:
            raise error
        case _:
            raise AssertionError(outcome)


def _followed(request: Request, timeout: httpx.Timeout) -> Answer:
    cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))  # takes none, so sends none
    with httpx.Client(
        timeout=timeout, verify=_trust(), cookies=cookies, follow_redirects=False
    ) as client:
        client.headers["User-Agent"] = _USER_AGENT
        del client.headers["Accept-Encoding"]
        for _ in range(MOST_REDIRECTS + 1):
            response = _sent(client, request)
            location = response.headers.get("location")
            if response.status_code not in _REDIRECTS or location is None:
                return Answer(response.status_code, _shown(response), response.content)
            request = redirected(request, response.status_code, location)
    raise ExchangeError(f"more than {MOST_REDIRECTS} redirects; the last one to {request.url}")


def _sent(client: httpx.Client, request: Request) -> httpx.Response:
    url = httpx.URL(request.url.strip(_AROUND_URLS))
    if url.scheme not in ("http", "https") or not url.host:
        raise ExchangeError("expected an absolute URL that begins with http:// or https://")
    reason = None if request.any_host else refusal(url.host)
    if reason is not None:
        raise ExchangeError(reason)
    headers = {name: text.strip(" \t") for name, text in request.headers.items()}
    return client.request(request.method, url, headers=headers, content=request.body)


def redirected(request: Request, status: int, location: str) -> Request:
    """The request that follows a redirect.

    303, and 301 or 302 to a POST, become a GET without a body. Whoever is at another host or port
    gets no credentials.
    """
    before = httpx.URL(request.url.strip(_AROUND_URLS))
    after = before.join(location)
    headers = dict(request.headers)
    if status == 303 or (status in (301, 302) and request.method == "POST"):
        request = replace(request, method="GET", body=None)
        headers = _without(headers, _OF_A_BODY)
    if (before.host, _port(before)) != (after.host, _port(after)):
        headers = _without(headers, _SECRET)
    return replace(request, url=str(after), headers=headers)


def _port(url: httpx.URL) -> int | None:
    return url.port or {"http": 80, "https": 443}.get(url.scheme)


def _without(headers: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: text for name, text in headers.items() if name.lower() not in names}


def _shown(response: httpx.Response) -> dict[str, str]:
    """The headers whose values are visible ASCII."""
    shown: dict[str, str] = {}
    for raw_name, raw in response.headers.raw:
        name = raw_name.decode("ascii", "replace").lower()
        if all(0x20 <= byte < 0x7F or byte == 0x09 for byte in raw):
            text = raw.decode("ascii")
            shown[name] = f"{shown[name]}, {text}" if name in shown else text
    return shown


def _trust() -> ssl.SSLContext | bool:
    """The platform's roots; those that httpx brings along where the platform has none."""
    paths = ssl.get_default_verify_paths()
    return ssl.create_default_context() if paths.cafile or paths.capath else True


def _cause(error: Exception) -> str:
    """The error's words, and those of what is behind it."""
    words = str(error) or type(error).__name__
    cause = error.__cause__ or error.__context__
    return f"{words} ({cause})" if cause is not None and str(cause) not in ("", words) else words
