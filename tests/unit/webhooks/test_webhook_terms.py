"""How a delivery is made is what the configuration says at that moment."""

from typing import Any

from noether_supervisor.config import Job, read_secret
from noether_supervisor.webhooks.terms import Terms, terms_of


def job(webhook: Any) -> Job:
    return Job.model_validate(
        {"name": "digest", "cron": "* * * * *", "graph": "g.json", "webhook": webhook}
    )


def test_a_plain_url_means_one_unsigned_attempt() -> None:
    assert terms_of(job("https://now.example/")) == Terms("https://now.example/")
    assert Terms("https://now.example/").timeout_seconds == 10


def test_without_a_webhook_there_is_nobody_to_tell() -> None:
    assert terms_of(job(None)) is None


def test_the_object_form_says_all_of_it() -> None:
    webhook = {
        "url": "https://now.example/",
        "secret": "hunter2-hunter2",
        "headers": {"X-Team": "ops"},
        "timeout": 3,
        "attempts": 5,
    }
    terms = terms_of(job(webhook))
    assert terms is not None
    assert (terms.url, terms.timeout_seconds, terms.most_attempts) == (webhook["url"], 3, 5)
    assert terms.headers == {"X-Team": "ops"}
    assert terms.secret is not None
    assert read_secret(terms.secret, {}) == "hunter2-hunter2"
    assert not any(hidden in repr(terms) for hidden in ("now.example", "hunter2", "ops"))
