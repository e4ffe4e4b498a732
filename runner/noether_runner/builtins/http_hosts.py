"""Which hosts the HTTP stages may speak to (`stdlib.md` §10.2).

Addresses of link-local networks are refused, under whatever name: there the metadata services of
clouds give out credentials. Two granted variables change that, each a list of host names with
commas: `NOETHER_HTTP_ALLOW_HOSTS` (these and no others) and `NOETHER_HTTP_DENY_HOSTS`.
"""

import ipaddress
import os
import socket

_METADATA = ("fd00:ec2::254", "100.100.100.200")


def refusal(host: str) -> str | None:
    """Why a host may not be spoken to; None when it may."""
    name = host.lower().strip("[]").rstrip(".")
    allowed, denied = _listed("NOETHER_HTTP_ALLOW_HOSTS"), _listed("NOETHER_HTTP_DENY_HOSTS")
    if name in denied:
        return f"the host {name} is on the list NOETHER_HTTP_DENY_HOSTS"
    if allowed:
        if name in allowed:
            return None
        return f"the host {name} is not on the list NOETHER_HTTP_ALLOW_HOSTS"
    if any(_is_metadata(address) for address in _addresses(name)):
        return (
            f"{name} is a link-local or metadata address, which may give out credentials; "
            "name it in NOETHER_HTTP_ALLOW_HOSTS if it is meant"
        )
    return None


def _listed(variable: str) -> frozenset[str]:
    names = os.environ.get(variable, "").split(",")
    return frozenset(name.strip().lower() for name in names if name.strip())


def _addresses(name: str) -> set[str]:
    """What the name stands for; nothing when it is unknown here (a proxy may know it)."""
    try:
        found = socket.getaddrinfo(name, None, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError):
        return set()
    return {str(entry[4][0]).partition("%")[0] for entry in found}


def _is_metadata(text: str) -> bool:
    address = ipaddress.ip_address(text)
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_link_local or str(mapped) in _METADATA
