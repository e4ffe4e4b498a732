"""Addresses that no webhook may call: link-local ones, and those of cloud metadata services.

Whoever answers there hands out the credentials of the machine, and nobody receives webhooks
there. The operator's private networks and loopback are fine. An address is judged after every
spelling of it has been undone: by the resolver (`0xa9fea9fe`, `169.254.43518`), and here, where
an IPv6 address carries an IPv4 address inside.
"""

import ipaddress
from collections.abc import Iterator

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# The fixed addresses of metadata services outside of the link-local ranges.
_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure, WireServer
        "192.0.0.192",  # Oracle Cloud
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",  # AWS, pod identities
        "fd20:ce::254",  # Google Cloud
        "fd00:42::42",  # Scaleway
    )
)
_METADATA_NAMES = frozenset({"metadata.google.internal", "metadata.goog", "instance-data"})

# Networks whose addresses end in the IPv4 address that a gateway or the kernel would call.
_IPV4_AT_THE_END = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "::/96",  # IPv4-compatible (RFC 4291 §2.5.5.1)
        "::ffff:0:0/96",  # IPv4-mapped (RFC 4291 §2.5.5.2)
        "::ffff:0:0:0/96",  # IPv4-translated (RFC 2765)
        "64:ff9b::/96",  # NAT64 (RFC 6052)
        "64:ff9b:1::/48",  # NAT64 of a site (RFC 8215)
    )
)


def why_refused(address: Address) -> str | None:
    """Why no webhook may call this address; None when it may."""
    for meant in (address, *_inside(address)):
        if meant in _METADATA:
            return f"{address} is the address of a cloud metadata service"
        if meant.is_link_local:
            return f"{address} is a link-local address"
    return None


def why_name_refused(host: str) -> str | None:
    """The same for a name that is handed to a proxy, where nobody here sees its address."""
    if host.lower().rstrip(".") in _METADATA_NAMES:
        return f"{host} is the name of a cloud metadata service"
    return None


def _inside(address: Address) -> Iterator[ipaddress.IPv4Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return
    if any(address in network for network in _IPV4_AT_THE_END):
        yield ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
