"""How much of a webhook's URL may be shown."""

import pytest

from noether_supervisor.webhooks.target import receiver_of, redacted


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.example.com/services/T0/B0/secret", "https://hooks.example.com/…"),
        (
            "https://user:secret@example.com:8443/a?token=secret#secret",
            "https://example.com:8443/…",
        ),
        ("http://example.com", "http://example.com"),
        ("http://example.com/", "http://example.com"),
        ("http://example.com?token=secret", "http://example.com/…"),
        ("http://[::1]:80/secret", "http://[::1]:80/…"),
        ("https://secret", "https://secret"),
        ("secret", "(unreadable URL)"),
        ("http://user:secret@:99999/secret", "(unreadable URL)"),
        ("http://[secret/", "(unreadable URL)"),
        ("", "(unreadable URL)"),
    ],
)
def test_only_scheme_and_host_are_shown(url: str, shown: str) -> None:
    assert redacted(url) == shown


def test_receivers_are_told_apart_by_host_and_port() -> None:
    same = ("https://a.example/x", "https://A.example:443/y?z", "https://u:p@a.example")
    assert {receiver_of(url) for url in same} == {"https://a.example:443"}
    others = ("http://a.example/x", "https://b.example/x", "https://a.example:444/x")
    assert len({receiver_of(url) for url in (*same, *others)}) == 4
    assert receiver_of("http://u:p@[::1]/x") == "http://[::1]:80"
    assert receiver_of("what is this") == "(unreadable URL)"
