"""Where no webhook may go, in every spelling, and how a call gets to its receiver."""

import asyncio
import ipaddress
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noether_supervisor.webhooks.addresses import why_refused
from noether_supervisor.webhooks.route import Straight, Through, proxy_for, route_to
from noether_supervisor.webhooks.terms import RefusalError

REFUSED = (
    "169.254.169.254",
    "169.254.0.1",
    "169.254.170.2",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::169.254.169.254",
    "::ffff:0:169.254.169.254",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "2001:0:a9fe:a9fe::1",
    "fe80::1",
    "febf::1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fd00:ec2::254",
    "fd00:0ec2:0:0:0:0:0:254",
    "fd00:ec2::23",
    "fd20:ce::254",
    "::ffff:100.100.100.200",
)
ALLOWED = (
    "127.0.0.1",
    "127.8.8.8",
    "::1",
    "::ffff:127.0.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "fd00::1",
    "fc00::1",
    "8.8.8.8",
    "2606:4700::1111",
    "169.253.255.255",
    "169.255.0.0",
    "fec0::1",
)
# What inet_aton(3) takes for 169.254.169.254.
ODD_SPELLINGS = (
    "2852039166",
    "0xa9fea9fe",
    "0xA9.0xFE.0xA9.0xFE",
    "0251.0376.0251.0376",
    "169.254.43518",
    "169.16689662",
    "169.254.169.0376",
)


@pytest.mark.parametrize("address", REFUSED)
def test_these_are_refused(address: str) -> None:
    assert why_refused(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ALLOWED)
def test_loopback_and_private_networks_are_the_operators(address: str) -> None:
    assert why_refused(ipaddress.ip_address(address)) is None


@given(st.ip_addresses(v=4))
def test_what_carries_an_address_is_judged_as_that_address(inner: ipaddress.IPv4Address) -> None:
    mapped = ipaddress.ip_address(f"::ffff:{inner}")
    assert (why_refused(mapped) is None) == (why_refused(inner) is None)


def routed(host: str, **proxies: str) -> Straight | Through:
    return asyncio.run(route_to("http", host, 80, proxies))


@pytest.mark.parametrize("host", [*REFUSED, *ODD_SPELLINGS])
def test_no_spelling_gets_there(host: str) -> None:
    with pytest.raises(RefusalError, match="no webhook is sent there"):
        routed(host)
    with pytest.raises(RefusalError, match="no webhook is sent there"):
        routed(host, http="http://127.0.0.1:3128")


def test_an_address_goes_straight_to_itself() -> None:
    assert routed("127.0.0.1") == Straight(("127.0.0.1",))
    assert routed("0x7f.1") == Straight(("127.0.0.1",))
    assert routed("::1") == Straight(("::1",))


def test_a_scope_does_not_hide_a_link_local_address(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1%eth0", 80, 0, 2))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    with pytest.raises(RefusalError, match="fe80::1 is a link-local address"):
        routed("printer.local")


def test_of_a_name_only_what_may_be_called_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def resolver(host: str, *_: Any, **__: Any) -> Any:
        asked.append(host)
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", 80, 0, 2)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.168.1.7", 80)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.168.1.7", 80)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    assert routed("printer.local") == Straight(("192.168.1.7",))
    assert asked == ["printer.local"]


def test_the_refusal_of_a_name_names_both(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    with pytest.raises(RefusalError, match=r"a\.example: 169\.254\.169\.254 is a link-local"):
        routed("a.example")


def test_a_proxy_looks_names_up_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_resolver(*question: Any) -> Any:
        assert question[-1] & socket.AI_NUMERICHOST, "a name was looked up"
        raise socket.gaierror(socket.EAI_NONAME, "not a number")

    monkeypatch.setattr(socket, "getaddrinfo", no_resolver)
    proxies = {"http": "http://proxy.example:3128"}
    assert routed("hooks.example.com", **proxies) == Through("http://proxy.example:3128")
    for name in ("metadata.google.internal", "Metadata.Google.Internal."):
        with pytest.raises(RefusalError, match="metadata service"):
            routed(name, **proxies)


@pytest.mark.parametrize(
    ("host", "listed", "proxied"),
    [
        ("hooks.example.com", "", True),
        ("hooks.example.com", "*", False),
        ("hooks.example.com", "example.com", False),
        ("hooks.example.com", ".example.com", False),
        ("example.com", ".example.com", False),
        ("hooks.example.com", "other.com, Example.COM", False),
        ("badexample.com", "example.com", True),
        ("hooks.example.com.", "example.com", False),
        ("hooks.example.com", "example.com:443", False),
        ("hooks.example.com", "example.com:8443", True),
        ("127.0.0.1", "localhost 127.0.0.1", False),
        ("10.1.2.3", "10.0.0.0/8", False),
        ("11.1.2.3", "10.0.0.0/8", True),
        ("::1", "::1", False),
        ("::1", "[::1]", False),
        ("fd00::7", "fd00::/8", False),
    ],
)
def test_no_proxy_lists_who_is_called_directly(host: str, listed: str, proxied: bool) -> None:
    proxies = {"https": "http://proxy.example:3128", "no": listed}
    assert (proxy_for("https", host, 443, proxies) is not None) == proxied


def test_a_proxy_is_found_by_the_scheme_and_may_lack_its_own() -> None:
    assert proxy_for("http", "a.example", 80, {"https": "http://p"}) is None
    assert proxy_for("http", "a.example", 80, {"all": "p:3128"}) == "http://p:3128"
    assert proxy_for("http", "a.example", 80, {"all": "http://q", "http": "http://p"}) == "http://p"
    assert "secret" not in repr(Through("http://me:secret@p"))
