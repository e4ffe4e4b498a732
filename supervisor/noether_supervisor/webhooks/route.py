"""How a call reaches its receiver: straight to addresses that were looked at, or by a proxy.

The name is looked up here, once, and the call goes to the very addresses that were judged
(`addresses`): a name that means something else a moment later leads nowhere else. A proxy that
the environment of the service names (`HTTPS_PROXY`, `NO_PROXY`, as curl reads them) looks names
up itself and is the operator's; then the host is judged as it is written.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from noether_supervisor.webhooks.addresses import why_name_refused, why_refused
from noether_supervisor.webhooks.terms import RefusalError


@dataclass(frozen=True, slots=True)
class Straight:
    """To one of these addresses, the first that lets itself be connected to."""

    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Through:
    """By way of the proxy at this URL."""

    proxy_url: str = field(repr=False)


async def route_to(
    scheme: str, host: str, port: int, proxies: Mapping[str, str]
) -> Straight | Through:
    """The way to a host (ASCII, without brackets), with `proxies` as `urllib` finds them.

    Raises `RefusalError` when no webhook may go there, `OSError` when the name has no address.
    """
    proxy_url = proxy_for(scheme, host, port, proxies)
    if proxy_url is None:
        return Straight(_allowed(await _addresses(host, port), host))
    if (refusal := why_name_refused(host)) is not None:
        raise RefusalError(f"no webhook is sent there: {refusal}")
    try:
        # Every spelling of a number that a resolver takes, and no look-up.
        written = await _addresses(host.rstrip("."), port, socket.AI_NUMERICHOST)
    except OSError:
        written = ()  # a name
    if written:
        _allowed(written, host)
    return Through(proxy_url)


def proxy_for(scheme: str, host: str, port: int, proxies: Mapping[str, str]) -> str | None:
    """The URL of the proxy for a host, None when it is called directly."""
    proxy_url = proxies.get(scheme) or proxies.get("all")
    if not proxy_url or _goes_straight(host, port, proxies.get("no", "")):
        return None
    return proxy_url if "://" in proxy_url else f"http://{proxy_url}"


def _goes_straight(host: str, port: int, listed: str) -> bool:
    """Whether `NO_PROXY` lists the host: `*`, a name and all below it, an address, a network."""
    host = host.lower().rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    for entry in re.split(r"[\s,]+", listed.lower()):
        name = entry.removesuffix(f":{port}") if entry.count(":") == 1 else entry
        name = name.strip("[]").lstrip(".")
        if entry == "*" or (name and (host == name or host.endswith(f".{name}"))):
            return True
        if address is not None and _is_in(address, name):
            return True
    return False


def _is_in(address: ipaddress.IPv4Address | ipaddress.IPv6Address, network: str) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _allowed(addresses: Sequence[str], host: str) -> tuple[str, ...]:
    allowed: list[str] = []
    refusals: list[str] = []
    for text in addresses:
        refusal = why_refused(ipaddress.ip_address(text.partition("%")[0]))
        if refusal is None:
            allowed.append(text)
        else:
            refusals.append(refusal)
    if refusals and not allowed:
        named = "" if host in addresses else f"{host}: "
        raise RefusalError(f"no webhook is sent there: {named}{refusals[0]}")
    return tuple(allowed)


async def _addresses(host: str, port: int, flags: int = 0) -> tuple[str, ...]:
    """The addresses of a host, in the order in which they are to be tried."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=flags
    )
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))
