"""What a webhook says: `scheduler.md` §5.1."""

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from history_samples import DUE, failed, fire, succeeded
from noether_contract import __version__
from noether_contract.json_values import compact_json
from noether_contract.outcomes import RunStatus
from noether_supervisor.config import Job, WebhookSettings
from noether_supervisor.records import Fire, OwedDelivery, RunEnding
from noether_supervisor.webhooks.payload import (
    body_of,
    headers_of,
    owed_by_hand,
    owed_delivery,
    webhook_id,
)


def test_the_body_of_a_success() -> None:
    assert body_of(fire(), succeeded({"n": 1})) == (
        b'{"job":"digest","composition_id":"' + b"c" * 64 + b'","ok":true,"output":{"n":1},'
        b'"duration_ms":1240,"fired_at":"2026-04-14T08:30:00Z"}'
    )


def test_the_body_of_a_failure_has_an_error_in_place_of_an_output() -> None:
    assert body_of(fire(), failed("the stage fetch failed: no such host")) == (
        b'{"job":"digest","composition_id":"' + b"c" * 64 + b'","ok":false,'
        b'"error":"the stage fetch failed: no such host",'
        b'"duration_ms":7,"fired_at":"2026-04-14T08:30:00Z"}'
    )


@pytest.mark.parametrize(
    "status",
    [
        RunStatus.FAILED,
        RunStatus.TIMED_OUT,
        RunStatus.OUT_OF_MEMORY,
        RunStatus.CRASHED,
        RunStatus.INTERRUPTED,
    ],
)
def test_every_ending_but_success_is_an_error_with_a_text(status: RunStatus) -> None:
    body = orjson.loads(body_of(fire(), RunEnding(status, DUE, 0)))
    assert body["ok"] is False
    assert "output" not in body
    assert body["error"] == f"the run ended as {status.value.replace('_', ' ')}"


def test_a_graph_that_could_not_be_read_has_no_id() -> None:
    body = orjson.loads(body_of(fire(), RunEnding(RunStatus.FAILED, DUE, 0)))
    assert body["composition_id"] is None


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (None, b"null"),
        (False, b"false"),
        (1, b"1"),
        (1.0, b"1.0"),
        (-0.0, b"-0.0"),
        (2**63, b"9223372036854775808"),
        (1e300, b"1e+300"),
        ("ünï\u2028", '"ünï\u2028"'.encode()),
        ([], b"[]"),
    ],
)
def test_outputs_stay_what_they_are(output: Any, text: bytes) -> None:
    assert b'"output":' + text + b',"duration_ms"' in body_of(fire(), succeeded(output))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_output_comes_back_as_it_was(output: Any) -> None:
    body = orjson.loads(body_of(fire(), succeeded(output)))
    assert list(body) == ["job", "composition_id", "ok", "output", "duration_ms", "fired_at"]
    assert compact_json(body["output"]) == compact_json(output)


def test_an_error_with_half_a_character_is_still_sent() -> None:
    body = orjson.loads(body_of(fire(), failed("what it wrote: \udcff")))
    assert body["error"] == "what it wrote: ?"


def test_a_run_by_hand_tells_its_start() -> None:
    due = datetime(2026, 4, 14, 10, 31, 12, 417_000, tzinfo=timezone(timedelta(hours=2)))
    body = orjson.loads(body_of(Fire("digest", due, manual=True), succeeded()))
    assert body["fired_at"] == "2026-04-14T08:31:12Z"


def test_the_headers_are_those_of_standard_webhooks() -> None:
    run_id = "nightly-digest@20260414T083000Z"
    sent_at = datetime(2026, 4, 14, 8, 30, 5, 999_000, tzinfo=UTC)
    digest = hashlib.sha256(run_id.encode()).hexdigest()
    assert headers_of(run_id, sent_at) == {
        "User-Agent": f"noether-scheduler/{__version__}",
        "Content-Type": "application/json",
        "webhook-id": f"msg_{digest[:32]}",
        "webhook-timestamp": "1776155405",
    }
    assert webhook_id("tägliche Übersicht@20260414T083000Z").startswith("msg_")


def test_a_call_is_owed_without_what_its_url_may_give_away() -> None:
    url = "http://user:password@127.0.0.1:9/token?key=secret"
    job = Job(name="digest", cron="* * * * *", graph="g.json", webhook=url)
    ending = succeeded(1)
    assert owed_delivery(job, fire(), ending) == OwedDelivery(
        fire().run_id, "digest", "http://127.0.0.1:9", body_of(fire(), ending)
    )


def test_a_job_without_a_webhook_owes_nothing() -> None:
    job = Job(name="digest", cron="* * * * *", graph="g.json")
    assert owed_delivery(job, fire(), succeeded()) is None


def told(ending: RunEnding, **members: Any) -> OwedDelivery | None:
    webhook = WebhookSettings.model_validate({"url": "http://127.0.0.1:9/b", **members})
    job = Job(name="digest", cron="* * * * *", graph="g.json", webhook=webhook)
    assert owed_by_hand(job, fire(), ending) is not None
    return owed_delivery(job, fire(), ending)


def test_the_object_form_says_the_same_to_its_url() -> None:
    assert told(succeeded()) == OwedDelivery(
        fire().run_id, "digest", "http://127.0.0.1:9", body_of(fire(), succeeded())
    )


def test_the_object_form_says_how_often() -> None:
    call = told(failed(), attempts=5, secret="hunter2-hunter2")
    assert call is not None
    assert call.most_attempts == 5
    assert "hunter2" not in repr(call)


@pytest.mark.parametrize("status", [each for each in RunStatus if each.is_terminal])
def test_whoever_wants_failures_or_successes_only_gets_those(status: RunStatus) -> None:
    ending = RunEnding(status, DUE, 0)
    is_success = status is RunStatus.SUCCEEDED
    assert (told(ending, on=["success"]) is not None) == is_success
    assert (told(ending, on=["failure"]) is not None) == (not is_success)
    assert told(ending, on=["failure", "success"]) is not None


def test_the_trace_goes_along_when_it_is_asked_for() -> None:
    call = told(succeeded(1.0), include_trace=True)
    assert call is not None
    body = orjson.loads(call.body)
    assert list(body)[-1] == "trace"
    assert body["trace"]["stages"][0]["stage_name"] == "fetch"
    assert b'"output":1.0' in call.body
    without = told(RunEnding(RunStatus.CRASHED, DUE, 0), include_trace=True)
    assert without is not None
    assert orjson.loads(without.body)["trace"] is None
