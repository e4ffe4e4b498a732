"""Webhooks of a real service: attempts over restarts, signatures, and sending again by hand."""

import base64
import hashlib
import hmac
import json
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from process_watch import nothing_left
from receivers import Call, receiver, unused_url
from running_service import Ended, Place, Service

BOTH = pytest.mark.parametrize("serving", [True, False], ids=["serving", "alone"])
SECRET = "hunter2-hunter2"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    it = Place(tmp_path)
    it.graph("one", {"op": "Const", "value": {"n": 1, "x": 1.0}})
    with nothing_left():
        yield it


def configure(place: Place, webhook: Any, graph: str = "one.json") -> None:
    place.configure({"name": "tell", "graph": graph, "webhook": webhook})


def perhaps_serving(place: Place, serving: bool) -> AbstractContextManager[Service | None]:
    return place.service() if serving else nullcontext()


def redeliver(place: Place, run_id: str) -> Ended:
    return place.call("noether-scheduler", "redeliver", run_id)


def delivery(place: Place) -> str:
    (entry,) = place.history("tell")
    return str(entry["delivery"])


def is_signed(call: Call, key: bytes) -> bool:
    signed = f"{call.headers['webhook-id']}.{call.headers['webhook-timestamp']}.".encode()
    digest = hmac.new(key, signed + call.body, hashlib.sha256).digest()
    return call.headers.get("webhook-signature") == f"v1,{base64.b64encode(digest).decode()}"


@BOTH
def test_a_failed_delivery_is_sent_again_to_where_the_receiver_is_now(
    place: Place, serving: bool
) -> None:
    configure(place, unused_url())
    with perhaps_serving(place, serving) as service, receiver() as it:
        assert place.run_job("tell").returncode == 0
        (entry,) = place.history("tell")
        ended = redeliver(place, entry["run_id"])
        assert ended.returncode == 1
        assert "failed: http://127.0.0.1" in ended.stdout
        configure(place, it.url)
        if service is not None:
            service.send(signal.SIGHUP)
            service.wait_for("reloaded")
        ended = redeliver(place, entry["run_id"])
        assert (ended.returncode, ended.stderr.count("ERROR")) == (0, 0)
        assert ended.stdout == f"{entry['run_id']}: delivered, answered 200\n"
        call = it.next_call()
    digest = hashlib.sha256(entry["run_id"].encode()).hexdigest()
    assert call.headers["webhook-id"] == f"msg_{digest[:32]}"
    assert json.loads(call.body)["output"] == {"n": 1, "x": 1.0}
    assert delivery(place) == "delivered, answered 200"


@BOTH
def test_a_delivered_one_is_sent_again_with_the_same_body_and_id(
    place: Place, serving: bool
) -> None:
    with receiver() as it:
        configure(place, {"url": it.url, "include_trace": True, "secret": SECRET})
        with perhaps_serving(place, serving):
            assert place.run_job("tell").returncode == 0
            first = it.next_call()
            (entry,) = place.history("tell")
            assert redeliver(place, entry["run_id"]).returncode == 0
            second = it.next_call()
    assert second.body == first.body
    assert json.loads(first.body)["trace"]["run_id"] == entry["run_id"]
    assert second.headers["webhook-id"] == first.headers["webhook-id"]
    assert is_signed(first, SECRET.encode())
    assert is_signed(second, SECRET.encode())
    assert SECRET.encode() not in (place.folder / ".noether/scheduler/history.db").read_bytes()


@BOTH
def test_what_cannot_be_sent_again_is_told(place: Place, serving: bool) -> None:
    configure(place, None)
    with perhaps_serving(place, serving):
        assert place.run_job("tell").returncode == 0
        (entry,) = place.history("tell")
        nothing = redeliver(place, entry["run_id"])
        assert (nothing.returncode, nothing.stdout) == (2, "")
        assert "its job has none" in nothing.stderr
        unknown = redeliver(place, "tell@")
        assert unknown.returncode == 2
        assert f"did you mean {entry['run_id']}?" in unknown.stderr


def test_attempts_go_on_until_the_receiver_takes_it(place: Place) -> None:
    with receiver(earlier=[500, 503], status=204, answer=b"") as it:
        configure(place, {"url": it.url, "attempts": 4, "on": ["success"]})
        with place.service() as service:
            assert place.run_job("tell").returncode == 0
            calls = [it.next_call() for _ in range(3)]
            service.wait_for("answered 204")
            assert service.stop() == 0
        assert it.calls.empty()
    assert len({call.headers["webhook-id"] for call in calls}) == 1
    assert "attempt 1 of 4 failed: http://127.0.0.1" in service.log
    assert delivery(place) == "delivered, answered 204 after 3 attempts"


def test_attempts_go_on_after_the_death_of_the_service(place: Place) -> None:
    with receiver(earlier=[500], headers={"Retry-After": "2"}) as it:
        configure(place, {"url": it.url, "attempts": 2})
        with place.service() as service:
            assert place.run_job("tell").returncode == 0
            first = it.next_call()
            service.wait_for("attempt 1 of 2 failed")
            service.send(signal.SIGKILL)
            service.ended()
        assert delivery(place).startswith("owed, attempt 1 of 2 failed: answered 500;")
        with place.service() as second:
            again = it.next_call()
            second.wait_for("answered 200")
            assert second.stop() == 0
    assert again.headers["webhook-id"] == first.headers["webhook-id"]
    assert int(again.headers["webhook-timestamp"]) >= int(first.headers["webhook-timestamp"]) + 2
    assert again.body == first.body
    assert delivery(place) == "delivered, answered 200 after 2 attempts"


def test_after_the_last_attempt_it_can_be_sent_again_by_hand(place: Place) -> None:
    with receiver(earlier=[500, 500], status=200) as it:
        configure(place, {"url": it.url, "attempts": 2})
        with place.service() as service:
            assert place.run_job("tell").returncode == 0
            service.wait_for("webhook failed after 2 attempts")
            (entry,) = place.history("tell")
            assert entry["delivery"] == "failed after 2 attempts: answered 500"
            ended = redeliver(place, entry["run_id"])
            assert ended.stdout == f"{entry['run_id']}: delivered, answered 200\n"
            assert it.calls.qsize() == 3


def test_an_attempt_that_waits_for_its_time_is_made_at_once_by_hand(place: Place) -> None:
    with receiver(earlier=[503], headers={"Retry-After": "3600"}) as it:
        configure(place, {"url": it.url, "attempts": 2})
        with place.service():
            assert place.run_job("tell").returncode == 0
            (entry,) = place.history("tell")
            assert redeliver(place, entry["run_id"]).returncode == 0
            assert it.calls.qsize() == 2


def test_only_those_are_told_who_want_to_be(place: Place) -> None:
    with receiver() as it:
        configure(place, {"url": it.url, "on": ["failure"]})
        assert place.run_job("tell").returncode == 0
        (entry,) = place.history("tell")
        assert entry["delivery"] is None
        assert it.calls.empty()
        # Whoever asks for it by hand means it.
        assert redeliver(place, entry["run_id"]).returncode == 0
        assert json.loads(it.next_call().body)["ok"] is True


def test_a_renewed_secret_counts_after_a_reload_for_what_is_owed(place: Place) -> None:
    with receiver(earlier=[503], headers={"Retry-After": "3600"}) as it:
        file = place.folder / "secret"
        file.write_text("the first")
        configure(place, {"url": it.url, "attempts": 2, "secret": {"file": str(file)}})
        with place.service() as service:
            assert place.run_job("tell").returncode == 0
            assert is_signed(it.next_call(), b"the first")
            service.wait_for("attempt 1 of 2 failed")
            configure(place, {"url": it.url, "attempts": 2, "secret": "whsec_c2Vjb25k"})
            service.send(signal.SIGHUP)
            service.wait_for("reloaded")
            (entry,) = place.history("tell")
            assert redeliver(place, entry["run_id"]).returncode == 0
            assert is_signed(it.next_call(), b"second")
            assert service.stop() == 0
    for hidden in ("the first", "c2Vjb25k"):
        assert hidden not in service.log


def test_a_job_that_left_the_configuration_still_tells_what_it_owes(place: Place) -> None:
    with receiver(earlier=[503, 503], headers={"Retry-After": "3600"}) as it:
        webhook = {"url": it.url, "attempts": 9, "secret": "the first"}
        place.graph("other", {"op": "Const", "value": 2})
        jobs = {"name": "tell", "graph": "one.json"}, {"name": "other", "graph": "other.json"}
        place.configure({**jobs[0], "webhook": webhook}, jobs[1])
        with place.service() as service:
            assert place.run_job("tell").returncode == 0
            service.wait_for("attempt 1 of 9 failed")
            (entry,) = place.history("tell")
            place.configure(jobs[1])
            service.send(signal.SIGHUP)
            service.wait_for("reloaded")
            # the service knows where it was owed, and the secret, as long as it lives
            assert redeliver(place, entry["run_id"]).returncode == 1
            assert service.stop() == 0
        with place.service() as second:
            refused = redeliver(place, entry["run_id"])
            assert refused.returncode == 2
            assert "there is no webhook to send" in refused.stderr
            assert delivery(place).startswith("owed, attempt 1 of 9 failed: answered 503")
            place.configure({**jobs[0], "webhook": webhook}, jobs[1])
            second.send(signal.SIGHUP)
            second.wait_for("reloaded")
            assert redeliver(place, entry["run_id"]).returncode == 0
            assert second.stop() == 0
        calls = [it.next_call() for _ in range(3)]
    assert all(is_signed(call, b"the first") for call in calls)


def test_nothing_secret_is_said(place: Place) -> None:
    hidden = "hunter2"
    url = unused_url().replace("http://", f"http://me:{hidden}@").replace("/hook", f"/{hidden}")
    webhook = {"url": url, "attempts": 2, "secret": hidden, "headers": {"X-Key": hidden}}
    configure(place, webhook)
    with place.service("--log-level", "debug") as service:
        assert place.run_job("tell").returncode == 0
        service.wait_for("webhook failed after 2 attempts")
        (entry,) = place.history("tell")
        shown = place.call("noether-scheduler", "show", entry["run_id"]).stdout
        sent = redeliver(place, entry["run_id"])
        assert service.stop() == 0
    for said in (service.log, str(entry), shown, sent.stdout, sent.stderr):
        assert hidden not in said
    assert "http://127.0.0.1:" in service.log
