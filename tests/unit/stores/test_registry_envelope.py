"""What answers of a registry mean, whatever they look like."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noether_runner.stores.registry.envelope import Failure, NotFound, Result, read_envelope
from stage_samples import json_values


def envelope(**members: Any) -> bytes:
    return json.dumps(members).encode()


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (envelope(ok=True, result={"a": 1}), {"a": 1}),
        (envelope(ok=True, data={"a": 1}), {"a": 1}),
        (envelope(ok=True, data=1, result=2), 2),
        (envelope(ok=True, data=1, result=None), None),
        (envelope(ok=True), None),
    ],
)
def test_payloads(body: bytes, value: Any) -> None:
    assert read_envelope(200, body) == Result(value)


def test_an_envelope_counts_more_than_the_status_except_404() -> None:
    assert read_envelope(500, envelope(ok=True, result=1)) == Result(1)
    assert read_envelope(404, envelope(ok=True, result=1)) == NotFound()
    assert read_envelope(404, b"<html>") == NotFound()
    assert read_envelope(200, envelope(ok=False, error={"code": "NOT_FOUND"})) == NotFound()


@pytest.mark.parametrize(
    ("status", "body", "code", "retryable"),
    [
        (200, b"", None, True),
        (502, b"<html>", None, True),
        (403, b"<html>", None, False),
        (200, b"[]", "UNKNOWN", False),
        (200, envelope(ok=1, result=1), "UNKNOWN", False),
        (200, envelope(ok=False), "UNKNOWN", False),
        (200, envelope(ok=False, error="x"), "UNKNOWN", False),
        (200, envelope(ok=False, error={"code": 7}), "UNKNOWN", False),
        (422, envelope(ok=False, error={"code": "VALIDATION_FAILED"}), "VALIDATION_FAILED", False),
        (500, envelope(ok=False, error={"code": "STORE_ERROR"}), "STORE_ERROR", True),
        (429, envelope(ok=False, error={"code": "RATE_LIMITED"}), "RATE_LIMITED", True),
    ],
)
def test_failures(status: int, body: bytes, code: str | None, retryable: bool) -> None:
    found = read_envelope(status, body)
    assert isinstance(found, Failure)
    assert (found.code, found.retryable) == (code, retryable)
    assert found.message


def test_what_is_no_json_shows_how_it_begins() -> None:
    login = read_envelope(200, b"<html>\n<title>Log in</title>" + b"x" * 1000)
    assert isinstance(login, Failure)
    assert "begins with '<html> <title>Log in</title>" in login.message
    assert len(login.message) < 200
    assert read_envelope(204, b" ") == Failure(None, "an empty body", True)


def test_foreign_texts_are_tamed() -> None:
    message = "line one\nline two\x1b[31m" + "x" * 1000
    found = read_envelope(500, envelope(ok=False, error={"code": "E", "message": message}))
    assert isinstance(found, Failure)
    assert found.message.startswith("E: line one line two [31mxxx")
    assert found.message.isprintable()
    assert len(found.message) == 200


@given(
    st.integers(100, 599), st.binary() | json_values.map(lambda value: json.dumps(value).encode())
)
def test_every_answer_means_something(status: int, body: bytes) -> None:
    assert isinstance(read_envelope(status, body), Result | NotFound | Failure)
