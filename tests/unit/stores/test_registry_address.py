"""Base URLs of registries: one registry has one cache, and passwords are not shown."""

import pytest

from noether_contract.outcomes import ErrorCode
from noether_runner.errors import RunnerError
from noether_runner.stores.registry.address import read_address


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://Registry.Example.org/", "https://registry.example.org"),
        ("https://registry.example.org:443//", "https://registry.example.org"),
        ("HTTP://localhost:80/base/", "http://localhost/base"),
        ("http://localhost:8900/base", "http://localhost:8900/base"),
        ("http://[::1]:8900", "http://[::1]:8900"),
        ("https://who:secret@r.example", "https://r.example"),
    ],
)
def test_what_is_shown(url: str, shown: str) -> None:
    assert read_address(url).shown == shown


def test_one_registry_has_one_cache() -> None:
    names = {
        read_address(url).folder_name
        for url in ("https://r.example", "https://R.example:443/", "https://a:b@r.example/")
    }
    assert len(names) == 1
    assert read_address("https://r.example/other").folder_name not in names


def test_routes() -> None:
    address = read_address("http://a:b@r.example:81/base/")
    assert address.url("/stages", limit=2, tag="x y") == (
        "http://a:b@r.example:81/base/stages?limit=2&tag=x+y"
    )
    assert "a:b" not in repr(address)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "registry.example.org",
        "ftp://r.example",
        "https://",
        "https://r.example/?a=b",
        "https://r.example/#top",
        "https://r.example:port",
        "https://r.example:99999",
        "https://r .example",
        "https://r.example/\n",
        "https://[::1",
        "https://a..b",
        "https://who:secret@/",
    ],
)
def test_what_is_no_base_url(url: str) -> None:
    with pytest.raises(RunnerError) as refusal:
        read_address(url)
    assert refusal.value.code is ErrorCode.BAD_REQUEST
    assert "secret" not in refusal.value.message


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/moved", "https://r.example/moved"),
        ("next", "https://r.example/stages/next"),
        ("https://R.example:443/x", "https://R.example:443/x"),
        ("http://r.example/x", None),
        ("https://r.example:8443/x", None),
        ("//evil.example/x", None),
        ("https://r.example.evil.example/x", None),
        ("https://[::1", None),
        ("javascript:alert(1)", None),
    ],
)
def test_redirections_stay_within_the_origin(location: str, target: str | None) -> None:
    address = read_address("https://r.example")
    assert address.redirected("https://r.example/stages/a", location) == target
