"""HTTP as the stages speak it: redirects, headers, bodies, and hosts that are out of bounds."""

from collections.abc import Iterator

import pytest

from builtin_calls import Caller, calling, started_children
from http_doubles import Answer, Seen, serving
from noether_contract.json_values import JsonValue
from noether_runner.builtins.http_exchange import (
    MOST_REDIRECTS,
    ExchangeError,
    Request,
    exchange,
    redirected,
)
from noether_runner.builtins.http_hosts import refusal
from noether_runner.builtins.web import with_headers
from noether_runner.sandbox.child import Children


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with started_children() as started:
        yield started


@pytest.fixture
def caller(children: Children) -> Iterator[Caller]:
    with calling(children) as it:
        yield it


def record(value: JsonValue) -> dict[str, JsonValue]:
    assert isinstance(value, dict)
    return value


def test_own_headers_replace_defaults_whatever_their_case() -> None:
    defaults = {"Accept": "*/*", "Content-Type": "application/json"}
    assert with_headers(defaults, {"content-TYPE": "text/plain", "X": "1"}) == {
        "Accept": "*/*",
        "content-TYPE": "text/plain",
        "X": "1",
    }


def test_what_is_sent(caller: Caller) -> None:
    with serving(lambda _seen: Answer()) as server:
        asked: JsonValue = {
            "url": f"{server.url}/p?q=1",
            "body": "é",
            "headers": {"X": 1, "Y": "2"},
        }
        outcome = caller.call("http_post", asked)
        caller.output("http_get", {"url": server.url})
    assert outcome.error is None
    assert "1 header whose value is no text" in outcome.warnings[0]
    post, get = server.seen
    assert (post.method, post.path, post.body) == ("POST", "/p?q=1", "é".encode())
    assert post.headers["accept"] == ["*/*"]
    assert post.headers["content-length"] == ["2"]
    assert post.headers["y"] == ["2"]
    assert "x" not in post.headers
    assert "accept-encoding" not in post.headers
    assert post.headers["user-agent"][0].startswith("noether-scheduler/")
    assert (get.method, get.path) == ("GET", "/")
    assert "content-type" not in get.headers
    assert "content-length" not in get.headers


def test_what_is_given_back(caller: Caller) -> None:
    headers = (("X-A", "1"), ("x-a", "2"), ("X-Bad", "caf\xe9"), ("Content-Type", "text/plain"))
    answer = Answer(418, headers, b"\xef\xbb\xbfa\xff")
    with serving(lambda _seen: answer) as server:
        output = record(caller.output("http_get", {"url": server.url}))
    assert output["status"] == 418
    assert output["body"] == "\ufeffa\ufffd"
    shown = record(output["headers"])
    assert shown["x-a"] == "1, 2"
    assert shown["content-type"] == "text/plain"
    assert "x-bad" not in shown


@pytest.mark.parametrize(
    ("method", "status", "after"),
    [
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("POST", 303, "GET"),
        ("PUT", 303, "GET"),
        ("PUT", 301, "PUT"),
        ("PUT", 302, "PUT"),
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
        ("GET", 302, "GET"),
    ],
)
def test_redirects_change_the_method_as_the_reference_does(
    method: str, status: int, after: str
) -> None:
    headers = {"Content-Type": "text/plain", "Authorization": "secret"}
    request = Request(method, "http://a.test/x/y", headers, b"body")
    following = redirected(request, status, "../z")
    assert (following.method, following.url) == (after, "http://a.test/z")
    kept = after == method
    assert following.body == (b"body" if kept else None)
    assert ("Content-Type" in following.headers) == kept
    assert "Authorization" in following.headers


@pytest.mark.parametrize(
    ("location", "keeps"),
    [
        ("http://a.test:80/z", True),
        ("http://A.test/z", True),
        ("http://b.test/z", False),
        ("http://a.test:81/z", False),
        ("https://a.test/z", False),
    ],
)
def test_credentials_stay_at_their_host_and_port(location: str, keeps: bool) -> None:
    headers = {"authorization": "s", "Cookie": "c", "Proxy-Authorization": "p", "X": "1"}
    following = redirected(Request("GET", "http://a.test/", headers), 307, location)
    assert following.headers == (headers if keeps else {"X": "1"})


def test_too_many_redirects_are_an_error(caller: Caller) -> None:
    def onwards(seen: Seen) -> Answer:
        number = int(seen.path.lstrip("/"))
        return Answer(302, (("Location", f"/{number + 1}"),)) if number < 10 else Answer(200)

    with serving(onwards) as server:
        assert record(caller.output("http_get", {"url": f"{server.url}/0"}))["status"] == 200
        assert len(server.seen) == MOST_REDIRECTS + 1
        message = caller.message("http_get", {"url": f"{server.url}/-1"})
    assert f"more than {MOST_REDIRECTS} redirects" in message


def test_what_one_answer_sets_is_not_sent_with_the_next_request() -> None:
    def onwards(seen: Seen) -> Answer:
        headers = (("Location", "/next"), ("Set-Cookie", "a=1; Path=/"))
        return Answer(302 if seen.path == "/" else 200, headers)

    with serving(onwards) as server:
        assert exchange(Request("GET", server.url, {})).status == 200
    assert [seen.path for seen in server.seen] == ["/", "/next"]
    assert "cookie" not in server.seen[1].headers


def test_blanks_around_a_url_and_a_header_do_not_count() -> None:
    with serving(lambda _seen: Answer()) as server:
        assert exchange(Request("GET", f" {server.url}/x\n", {"X": " a b "})).status == 200
    assert server.seen[0].path == "/x"
    assert server.seen[0].headers["x"] == ["a b"]


def test_a_redirect_without_a_place_is_an_answer(caller: Caller) -> None:
    with serving(lambda _seen: Answer(302)) as server:
        assert record(caller.output("http_get", {"url": server.url}))["status"] == 302


@pytest.mark.parametrize(
    "url", ["ftp://a.test/", "/relative", "http://", "no url", "http://a.test:99999/", "file:///x"]
)
def test_what_is_no_http_url_is_an_error(caller: Caller, url: str) -> None:
    assert caller.message("http_get", {"url": url}).startswith("error sending request for url (")


@pytest.mark.parametrize("headers", [{"a b": "1"}, {"X": "a\nb"}, {"X": "é"}, {"": "1"}])
def test_what_is_no_header_is_an_error(caller: Caller, headers: JsonValue) -> None:
    with serving(lambda _seen: Answer()) as server:
        message = caller.message("http_get", {"url": server.url, "headers": headers})
    assert message.startswith("error sending request for url (")
    assert server.seen == []


def test_a_refused_connection_names_its_cause(caller: Caller) -> None:
    with serving(lambda _seen: Answer()) as server:
        url = server.url
    assert "refused" in caller.message("http_get", {"url": url})


def test_the_whole_exchange_has_one_time_limit() -> None:
    with serving(lambda _seen: Answer()) as server:
        held = Request("GET", server.url, {})
        with pytest.raises(ExchangeError, match="no complete answer within 0 seconds"):
            exchange(held, seconds=0)


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "::ffff:169.254.1.1"])
def test_link_local_addresses_are_out_of_bounds(host: str) -> None:
    assert "link-local" in (refusal(host) or "")
    assert refusal("127.0.0.1") is None


def test_lists_of_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOETHER_HTTP_DENY_HOSTS", "bad.test, Worse.test")
    assert "NOETHER_HTTP_DENY_HOSTS" in (refusal("worse.TEST.") or "")
    monkeypatch.setenv("NOETHER_HTTP_ALLOW_HOSTS", "good.test,169.254.169.254")
    assert refusal("good.test") is None
    assert refusal("169.254.169.254") is None
    assert "NOETHER_HTTP_ALLOW_HOSTS" in (refusal("other.test") or "")


def test_the_lists_reach_a_stage_through_its_environment(caller: Caller) -> None:
    denied = {"NOETHER_HTTP_DENY_HOSTS": "127.0.0.1"}
    with serving(lambda _seen: Answer()) as server:
        message = caller.message("http_get", {"url": server.url}, environment=denied)
    assert "NOETHER_HTTP_DENY_HOSTS" in message


def test_a_proxy_of_the_environment_is_used(caller: Caller) -> None:
    with serving(lambda _seen: Answer(200, (), b"from the proxy")) as server:
        proxy = {"http_proxy": server.url}
        asked: JsonValue = {"url": "http://nowhere.invalid/x"}
        output = record(caller.output("http_get", asked, environment=proxy))
    assert output["body"] == "from the proxy"
    assert server.seen[0].path == "http://nowhere.invalid/x"
