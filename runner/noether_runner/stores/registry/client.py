"""Requests to a registry: tried again where that may help, never longer than there is patience.

httpx is imported with the first request and nowhere else among the stores: a run whose stages are
in the cache does not pay for it. The key goes into one header, to the registry's own origin only,
and into no text.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from functools import partial
from random import SystemRandom
from typing import TYPE_CHECKING

from noether_contract import __version__
from noether_contract.lean_dataclass import dataclass
from noether_contract.outcomes import ErrorCode
from noether_runner.errors import RunnerError
from noether_runner.stores.registry.address import Address
from noether_runner.stores.registry.envelope import (
    Failure,
    NotFound,
    Result,
    one_line,
    read_envelope,
)
from noether_runner.stores.registry.patience import OutOfPatienceError, Patience
from noether_runner.stores.registry.quota import Quota, retry_after
from noether_runner.stores.registry.settings import Settings

if TYPE_CHECKING:
    import httpx

_REDIRECTIONS = frozenset({301, 302, 303, 307, 308})
_NOT_MODIFIED = 304
_TOO_MANY = 429
_RANDOM = SystemRandom()


class NoAnswerError(Exception):
    """The registry did not answer a question; `reason` completes "it cannot be asked: …".

    `lasting`: it will not answer others either, so that this run asks no more.
    """

    def __init__(self, reason: str, *, lasting: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.lasting = lasting


@dataclass(frozen=True, slots=True)
class NotModified:
    """What was asked for is still what its ETag says."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that means something, with its ETag where there is one."""

    meaning: Result | NotFound | NotModified
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """One GET: a route, its query, and the ETag of what is known already."""

    path: str
    query: Mapping[str, str | int] = field(default_factory=dict)
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class _Response:
    status: int
    headers: Mapping[str, str]
    body: bytes


class RegistryClient:
    """Asks one registry. Safe to use from threads, which it uses itself."""

    def __init__(
        self,
        address: Address,
        api_key: str | None,
        settings: Settings,
        patience: Patience,
        quota: Quota,
    ) -> None:
        self.address = address
        self._key = _usable_key(api_key)
        self._settings = settings
        self._patience = patience
        self._quota = quota
        self._http: httpx.Client | None = None
        self._opening = threading.Lock()
        self._down: NoAnswerError | None = None

    def __del__(self) -> None:
        # It lives as long as the store that uses it, which nobody closes.
        if getattr(self, "_http", None) is not None:
            self._http.close()  # type: ignore[union-attr]  # just looked at

    def ask(self, question: Question) -> Reply:
        """The reply to one question; raises `NoAnswerError`, or `RunnerError` on cancellation."""
        (reply,) = self.ask_all([question])
        if isinstance(reply, NoAnswerError):
            raise reply
        return reply

    def ask_all(self, questions: Sequence[Question]) -> list[Reply | NoAnswerError]:
        """The replies to questions that do not depend on each other, a few at a time."""
        calls: list[Callable[[], Reply | NoAnswerError]]
        calls = [partial(self._persistently, question) for question in questions]
        try:
            return self._patience.all_of(calls, self._settings.connections)
        except OutOfPatienceError:
            within = f"it did not answer within the {self._patience.seconds:g} s of a resolution"
            self._down = NoAnswerError(within, lasting=True)
            return [self._down for _ in questions]

    def _persistently(self, question: Question) -> Reply | NoAnswerError:
        """Tries until there is an answer, or no attempt or no time is left."""
        if self._down is not None:
            return self._down
        settings = self._settings
        reason = ""
        for attempt in range(settings.attempts):
            wait = self._quota.take()
            if not self._patience.pause(wait):
                self._quota.give_back()
                # What a 429 said is not said again in other words.
                reason = reason or f"its rate limit allows no request for another {wait:.0f} s"
                break
            answer = self._attempt(question)
            if isinstance(answer, Reply | NoAnswerError):
                return answer
            reason = answer.reason
            if attempt == settings.attempts - 1:
                break
            # Full jitter: many runs that failed together do not come back together.
            longest = settings.delays_seconds[min(attempt, len(settings.delays_seconds) - 1)]
            jitter, asked_wait = _RANDOM.uniform(0, longest), answer.wait_seconds
            if not self._patience.pause(jitter if asked_wait is None else asked_wait):
                break
        # From now on nobody else in this run asks.
        self._down = NoAnswerError(reason, lasting=True)
        return self._down

    def _attempt(self, question: Question) -> "Reply | NoAnswerError | _TryAgain":
        import httpx

        try:
            response = self._send(question)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return _TryAgain(_words_for(error))
        except NoAnswerError as refusal:
            return refusal.with_traceback(None)
        self._quota.learn(response.headers)
        if response.status == _NOT_MODIFIED and question.etag is not None:
            return Reply(NotModified(), question.etag)
        asked_wait = retry_after(response.headers, self._quota.now())
        if response.status == _TOO_MANY:
            seconds = self._settings.unasked_wait_seconds if asked_wait is None else asked_wait
            self._quota.block(seconds)
            reason = f"it answered 429: no more requests for {seconds:g} s"
            return _TryAgain(reason, wait_seconds=0.0)
        meaning = read_envelope(response.status, response.body)
        if isinstance(meaning, Failure):
            reason = f"it answered {response.status} with {meaning.message}"
            if meaning.retryable:
                if asked_wait is not None:
                    reason += f"; it wants to be asked again in {asked_wait:g} s"
                return _TryAgain(reason, asked_wait)
            if response.status in (401, 403):
                reason += "; is the registry's API key right?"
            return NoAnswerError(reason, lasting=False)
        return Reply(meaning, _usable_etag(response.headers.get("etag")))

    def _send(self, question: Question) -> _Response:
        http = self._opened()
        url = self.address.url(question.path, **question.query)
        headers = {} if question.etag is None else {"If-None-Match": question.etag}
        for _ in range(self._settings.redirects + 1):
            with http.stream("GET", url, headers=headers) as response:
                if response.status_code not in _REDIRECTIONS:
                    body = self._body(response)
                    return _Response(response.status_code, response.headers, body)
                target = self.address.redirected(url, response.headers.get("location", ""))
            if target is None:
                reason = "it redirects to another place, and keys and trust end at its own origin"
                raise NoAnswerError(reason, lasting=False)
            url = target
        reason = f"it redirects more than {self._settings.redirects} times"
        raise NoAnswerError(reason, lasting=False)

    def _body(self, response: "httpx.Response") -> bytes:
        parts: list[bytes] = []
        size = 0
        for part in response.iter_bytes():
            parts.append(part)
            size += len(part)
            if size > self._settings.body_bytes:
                reason = f"its answer is longer than {self._settings.body_bytes} bytes"
                raise NoAnswerError(reason, lasting=False)
        return b"".join(parts)

    def _opened(self) -> "httpx.Client":
        import httpx

        with self._opening:
            if self._http is None:
                settings = self._settings
                most = settings.connections
                headers = {
                    "User-Agent": f"noether-scheduler/{__version__}",
                    "X-Noether-Client-Version": __version__,
                    "Accept": "application/json",
                    "Accept-Encoding": "gzip",
                }
                if self._key:
                    headers["X-API-Key"] = self._key
                self._http = httpx.Client(
                    headers=headers,
                    timeout=httpx.Timeout(settings.read_seconds, connect=settings.connect_seconds),
                    limits=httpx.Limits(max_connections=most, max_keepalive_connections=most),
                    follow_redirects=False,
                )
            return self._http


@dataclass(frozen=True, slots=True)
class _TryAgain:
    """An attempt came to nothing; `wait_seconds` is what has to pass before the next, if the
    registry itself says so (0: the quota knows)."""

    reason: str
    wait_seconds: float | None = None


def _usable_key(key: str | None) -> str | None:
    if key and not (key.isascii() and key.isprintable()):
        raise RunnerError(
            ErrorCode.BAD_REQUEST,
            "the registry's API key holds characters that no HTTP header may have: expected "
            "printable ASCII on one line",
        )
    return key


def _usable_etag(etag: str | None) -> str | None:
    """An ETag that can be sent back."""
    return etag if etag and etag.isascii() and etag.isprintable() and len(etag) < 256 else None


def _words_for(error: "httpx.HTTPError | httpx.InvalidURL") -> str:
    """What went wrong on the way, without the URL, which may hold a password."""
    import httpx

    match error:
        case httpx.ConnectTimeout():
            return "no connection in time"
        case httpx.ConnectError():
            return f"no connection: {one_line(str(error))}"
        case httpx.TimeoutException():
            return "no answer in time"
        case httpx.DecodingError():
            return "its answer cannot be unpacked: it is not compressed as it says"
        case httpx.RemoteProtocolError():
            return f"it broke the answer off or spoke no HTTP: {one_line(str(error))}"
        case _:
            return f"the request failed ({type(error).__name__})"
