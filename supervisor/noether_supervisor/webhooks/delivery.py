"""One webhook call over HTTP: the supervisor's only httpx, loaded when the first call is made.

Redirects are not followed, and nothing of the answer is kept but its status and `Retry-After`.
The proxy and certificate variables of the service's environment (`HTTPS_PROXY`, `NO_PROXY`,
`SSL_CERT_FILE`) are honoured, as curl does: who sets them on the service means them, and where
they are needed nothing gets out without them. Connections are not kept: a receiver that
closes an idle one just as it is used again would turn into a failure that is none of its own.
"""

import asyncio
import contextlib
import os
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from noether_supervisor.clock import Clock
from noether_supervisor.config import read_secret
from noether_supervisor.errors import SupervisorError
from noether_supervisor.records import Delivery
from noether_supervisor.webhooks.attempts import Answered, Unanswered, asked_wait
from noether_supervisor.webhooks.lookups import ThreadEach
from noether_supervisor.webhooks.payload import headers_of
from noether_supervisor.webhooks.route import Through, route_to
from noether_supervisor.webhooks.signature import signature_headers
from noether_supervisor.webhooks.target import redacted
from noether_supervisor.webhooks.terms import RefusalError, Terms

if TYPE_CHECKING:
    import httpx

_PORTS = {"http": 80, "https": 443}
_CONNECT_SECONDS = 2.0
"""How long one of several addresses of a receiver is tried before the next one."""

_MAX_ANSWER_BYTES = 64 * 1024
_ANSWER_SECONDS = 1.0
_SHORTEST_HIDDEN = 4
_LONGEST_REASON = 300


class HttpSender:
    """Makes webhook calls, any number at a time; close it on the loop that used it.

    `environ` is where secrets lie that the configuration names by a variable.
    """

    def __init__(self, clock: Clock, environ: Mapping[str, str] = os.environ) -> None:
        self._clock = clock
        self._environ = environ
        self._clients: dict[str | None, httpx.AsyncClient] = {}
        self._loading = asyncio.Lock()

    async def send(self, delivery: Delivery, terms: Terms) -> Answered | Unanswered:
        """Make one call; whatever the network does comes back as a value."""
        shown = redacted(terms.url)
        answer: Answered | None = None
        is_final = False
        problem = ""
        try:
            # Loaded before the clock runs: the limit is for the receiver.
            await self._client(None)
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout(terms.timeout_seconds):
                    response = await self._response(stack, delivery, terms)
                asked = asked_wait(response.headers.get("retry-after"), self._clock.now())
                answer = Answered(response.status_code, asked)
                await _drain(response)
        except TimeoutError:
            problem = f"{shown} did not answer within {terms.timeout_seconds:g} s"
        except SupervisorError as error:
            is_final = isinstance(error, RefusalError)
            problem = f"{shown} was not called: {error.message}"
        except Exception as error:  # httpx, ssl and the resolver raise many kinds
            problem = f"{shown} could not be called: {_reason(error, terms)}"
        return answer or Unanswered(problem, is_final)

    async def close(self) -> None:
        """Close the clients; calls under way fail."""
        while self._clients:
            _, client = self._clients.popitem()
            await client.aclose()

    async def _response(
        self, stack: contextlib.AsyncExitStack, delivery: Delivery, terms: Terms
    ) -> "httpx.Response":
        """The head of the answer; `stack` closes it."""
        direct = await self._client(None)
        from urllib.request import getproxies

        import httpx

        try:
            url = httpx.URL(terms.url)
        except httpx.InvalidURL:
            raise RefusalError("it is no URL that can be called") from None
        if url.scheme not in _PORTS or not url.host:
            raise RefusalError("it is no http or https URL")
        headers = await self._headers(delivery, terms)
        host = url.raw_host.decode("ascii")
        route = await route_to(url.scheme, host, url.port or _PORTS[url.scheme], getproxies())
        body = delivery.owed.body
        if isinstance(route, Through):
            client = await self._client(route.proxy_url)
            call = client.stream("POST", url, content=body, headers=headers)
            return await stack.enter_async_context(call)
        headers["Host"] = url.netloc.decode("ascii")
        for address in route.addresses:
            is_last = address == route.addresses[-1]
            call = direct.stream(
                "POST",
                url.copy_with(host=address),
                content=body,
                headers=headers,
                timeout=httpx.Timeout(None, connect=None if is_last else _CONNECT_SECONDS),
                # Whose certificate it has to be: that of the host, not of the address.
                extensions={"sni_hostname": host},
            )
            try:
                return await stack.enter_async_context(call)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if is_last:
                    raise
        raise OSError(f"the name {host} has no address")

    async def _headers(self, delivery: Delivery, terms: Terms) -> dict[str, str]:
        owed = delivery.owed
        headers = {**terms.headers, **headers_of(owed.run_id, self._clock.now())}
        if terms.secret is not None:
            # In a thread, since the file of a secret may lie on a disk that does not answer.
            secret = await asyncio.to_thread(read_secret, terms.secret, self._environ)
            headers |= signature_headers(secret, headers, owed.body)
        return headers

    async def _client(self, proxy_url: str | None) -> "httpx.AsyncClient":
        async with self._loading:
            if not self._clients:
                asyncio.get_running_loop().set_default_executor(ThreadEach())
            client = self._clients.get(proxy_url)
            if client is None:
                # The import and the certificates take 100 ms: not on the loop, where fires wait.
                client = await asyncio.to_thread(_load, proxy_url)
                self._clients[proxy_url] = client
        return client


def _load(proxy_url: str | None) -> "httpx.AsyncClient":
    import logging

    import httpx

    for chatty in ("httpx", "httpcore"):  # they log URLs, credentials included
        logging.getLogger(chatty).setLevel(logging.WARNING)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    # A transport of its own takes no notice of proxies: `route` has decided already.
    transport = httpx.AsyncHTTPTransport(limits=limits) if proxy_url is None else None
    return httpx.AsyncClient(
        proxy=proxy_url,
        transport=transport,
        follow_redirects=False,
        timeout=None,  # noqa: S113 - the limit is one for the whole call, in `send`
        limits=limits,
        headers={"Connection": "close", "Accept": "*/*"},
    )


async def _drain(response: "httpx.Response") -> None:
    """Take a moment's worth of the answer, so that a receiver is not cut off in mid-sentence."""
    taken = 0
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_ANSWER_SECONDS):
            async for chunk in response.aiter_raw():
                taken += len(chunk)
                if taken >= _MAX_ANSWER_BYTES:
                    return


def _reason(error: Exception, terms: Terms) -> str:
    """What went wrong, without the URL, the user in it and the values of headers."""
    text = _cause(error) or str(error) or type(error).__name__
    text = text.replace(terms.url, redacted(terms.url))
    with contextlib.suppress(ValueError):
        user, at, _ = urlsplit(terms.url).netloc.rpartition("@")
        text = text.replace(f"{user}{at}", "") if user else text
    for value in terms.headers.values():
        if len(value) >= _SHORTEST_HIDDEN:
            text = text.replace(value, "***")
    # It may quote what the receiver said, which has no end.
    return text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 1]}…"


def _cause(error: BaseException | None) -> str:
    """What the operating system said, which the libraries above wrap; empty when it said nothing.

    The words for no connection are "All connection attempts failed", whatever the reason.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno:
            # resolver and TLS have numbers of their own
            is_own = error.errno < 0 or isinstance(error, ssl.SSLError)
            return str(error) if is_own else os.strerror(error.errno)
        error = error.__cause__ or error.__context__
    return ""
