"""The bucket of requests that all runs share."""

from pathlib import Path

import pytest

from noether_runner.stores.registry.quota import Quota, retry_after
from registry_samples import Turned


def quota(path: Path | None, clock: Turned) -> Quota:
    return Quota(path, clock)


def test_nothing_is_limited_before_a_limit_is_known(tmp_path: Path) -> None:
    path = tmp_path / "quota.json"
    it = quota(path, Turned())
    assert [it.take() for _ in range(1000)] == [0.0] * 1000
    it.learn({"x-ratelimit-limit": "none"})
    assert not path.exists()


@pytest.mark.parametrize("shared", [True, False])
def test_four_fifths_of_the_limit_a_minute(tmp_path: Path, shared: bool) -> None:
    clock = Turned()
    path = tmp_path / "deep" / "quota.json" if shared else None
    it = quota(path, clock)
    it.learn({"x-ratelimit-limit": "100"})
    waits = [it.take() for _ in range(81)]
    # The request that brought the limit counts too.
    assert waits[:79] == [0.0] * 79
    assert waits[79:] == pytest.approx([0.75, 1.5])
    clock.pass_(60)
    assert quota(path, clock).take() == 0.0
    assert [it.take() for _ in range(3)][-1] == 0.0


def test_a_request_that_is_not_sent_is_given_back(tmp_path: Path) -> None:
    it = quota(tmp_path / "quota.json", Turned())
    it.learn({"x-ratelimit-limit": "2"})
    first = it.take()
    it.give_back()
    assert it.take() == first


def test_what_the_registry_says_is_left_counts(tmp_path: Path) -> None:
    clock = Turned()
    it = quota(tmp_path / "quota.json", clock)
    it.learn({"x-ratelimit-limit": "100", "x-ratelimit-remaining": "1"})
    assert it.take() == 0.0
    assert it.take() == pytest.approx(0.75)


def test_a_block_holds_for_all_and_ends(tmp_path: Path) -> None:
    clock = Turned()
    path = tmp_path / "quota.json"
    quota(path, clock).block(30)
    other = quota(path, clock)
    assert other.take() == 30.0
    clock.pass_(30)
    assert other.take() == 0.0
    other.block(1e9)
    assert other.take() == 3600.0


def test_a_clock_that_was_set_back_blocks_no_longer_than_an_hour(tmp_path: Path) -> None:
    clock = Turned()
    it = quota(tmp_path / "quota.json", clock)
    it.learn({"x-ratelimit-limit": "1"})
    it.block(10)
    clock.pass_(-86400)
    assert it.take() <= 3600


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"limit": "x"}', b'{"tokens": null, "limit": 3}', b'{"a": 1}']
)
def test_a_state_that_cannot_be_read_is_a_new_one(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "quota.json"
    path.write_bytes(content)
    it = quota(path, Turned())
    assert it.take() == 0.0
    it.learn({"x-ratelimit-limit": "10"})
    assert it.take() == 0.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("1.5", 1.5),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90.0),
        ("Thursday, 01-Jan-70 00:01:40 GMT", 90.0),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0),
        ("-1", None),
        ("soon", None),
        ("9" * 30, None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after(text: str | None, seconds: float | None) -> None:
    headers = {} if text is None else {"retry-after": text}
    assert retry_after(headers, now=10.0) == seconds


def test_a_date_is_read_by_the_clock_of_its_server() -> None:
    headers = {
        "retry-after": "Tue, 24 Nov 2026 12:00:30 GMT",
        "date": "Tue, 24 Nov 2026 12:00:00 GMT",
    }
    assert retry_after(headers, now=0.0) == 30.0
