"""The object form of a webhook: what is accepted, and what would be a riddle later."""

import json
from pathlib import Path
from typing import Any

import pytest

from noether_supervisor.config import SchedulerConfig, WebhookSettings, read_config, settings_of
from noether_supervisor.errors import ConfigError, Finding

URL = "https://hooks.example/x"


def read(folder: Path, webhook: Any) -> SchedulerConfig:
    job = {"name": "a", "cron": "* * * * *", "graph": "g.json", "webhook": webhook}
    path = folder / "scheduler.json"
    path.write_text(json.dumps({"jobs": [job]}))
    return read_config(path)


def finding(folder: Path, **members: Any) -> Finding:
    with pytest.raises(ConfigError) as caught:
        read(folder, {"url": URL, **members})
    (found,) = caught.value.findings
    return found


def test_a_url_alone_is_the_object_form_with_its_defaults(tmp_path: Path) -> None:
    (job,) = read(tmp_path, URL).jobs
    assert job.webhook is not None
    assert settings_of(job.webhook) == WebhookSettings(url=URL)


def test_all_of_it_is_read(tmp_path: Path) -> None:
    given = {
        "url": URL,
        "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "headers": {"X-Team": "ops", "Authorization": "Bearer x", "_odd": ""},
        "timeout": 2.5,
        "attempts": 8,
        "on": ["failure"],
        "include_trace": True,
        "_why": "a remark",
    }
    (job,) = read(tmp_path, given).jobs
    assert isinstance(job.webhook, WebhookSettings)
    assert job.webhook.headers == given["headers"]
    assert (job.webhook.timeout, job.webhook.attempts, job.webhook.on) == (2.5, 8, ("failure",))


@pytest.mark.parametrize("secret", [{"env": "KEY"}, {"file": "/run/key"}, "any text"])
def test_a_secret_has_three_forms(tmp_path: Path, secret: Any) -> None:
    assert read(tmp_path, {"url": URL, "secret": secret}).jobs


def test_a_secret_that_is_no_key_is_a_finding(tmp_path: Path) -> None:
    found = finding(tmp_path, secret="whsec_not base64")
    assert found.path == "jobs[0].webhook.secret"
    assert found.message == "expected base64 after 'whsec_' of a webhook's secret"
    assert "not base64" not in found.excerpt


@pytest.mark.parametrize(
    "name",
    ["webhook-id", "Webhook-Timestamp", "WEBHOOK-SIGNATURE", "content-type", "User-Agent"],
)
def test_our_headers_cannot_be_replaced(tmp_path: Path, name: str) -> None:
    found = finding(tmp_path, headers={name: "mine"})
    assert found.path == f'jobs[0].webhook.headers["{name}"]' or (
        found.path == f"jobs[0].webhook.headers.{name}"
    )
    assert found.message == f"the header '{name}' is set by the scheduler; leave it out"


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "Connection"])
def test_headers_of_the_connection_are_not_the_users(tmp_path: Path, name: str) -> None:
    assert "belongs to the connection" in finding(tmp_path, headers={name: "mine"}).message


@pytest.mark.parametrize("name", ["", "a b", "a:b", "ä", "a\n", "(a)"])
def test_a_name_that_is_no_header_is_a_finding(tmp_path: Path, name: str) -> None:
    assert "name of a header" in finding(tmp_path, headers={name: "mine"}).message


@pytest.mark.parametrize("value", ["s3cret\r\nX: y", "s3cret\0", " s3cret", "s3cret ", "s3crät"])
def test_a_value_that_is_no_header_is_a_finding_that_does_not_show_it(
    tmp_path: Path, value: str
) -> None:
    found = finding(tmp_path, headers={"X-Key": value})
    assert found.path == "jobs[0].webhook.headers.X-Key"
    assert "value of a header" in found.message
    assert "s3c" not in f"{found.message}{found.excerpt}"


def test_a_header_stands_once(tmp_path: Path) -> None:
    found = finding(tmp_path, headers={"X-Key": "a", "x-key": "b"})
    assert "stands twice" in found.message


def test_one_authorization(tmp_path: Path) -> None:
    found = finding(
        tmp_path, url="https://me:s3cret@hooks.example/", headers={"authorization": "Bearer x"}
    )
    assert found.path == "jobs[0].webhook"
    assert "keep one of them" in found.message
    assert "s3cret" not in f"{found.message}{found.excerpt}"


def test_somebody_is_told(tmp_path: Path) -> None:
    assert "'success', 'failure' or both" in finding(tmp_path, on=[]).message
    assert "success" in finding(tmp_path, on=["succes"]).message


def test_an_unknown_key_is_told_with_the_nearest(tmp_path: Path) -> None:
    found = finding(tmp_path, atempts=3)
    assert found.message == "unknown key 'atempts'; did you mean 'attempts'?"
