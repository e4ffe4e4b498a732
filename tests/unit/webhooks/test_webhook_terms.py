"""How a delivery is made is what the configuration says at that moment."""

from typing import Any

import pytest

from history_samples import fire
from noether_supervisor.config import SchedulerConfig, read_secret
from noether_supervisor.records import OwedDelivery
from noether_supervisor.webhooks.terms import RefusalError, Terms, terms_in

URL = "https://then.example/hook"


def config(webhook: Any, name: str = "digest") -> SchedulerConfig:
    job = {"name": name, "cron": "* * * * *", "graph": "g.json", "webhook": webhook}
    return SchedulerConfig.model_validate({"jobs": [job]})


def owed(**terms: Any) -> OwedDelivery:
    return OwedDelivery(fire().run_id, "digest", URL, b"{}", **terms)


def test_a_plain_url_means_one_unsigned_attempt() -> None:
    assert terms_in(config("https://now.example/"), owed()) == Terms("https://now.example/")
    assert Terms("https://now.example/").timeout_seconds == 10


def test_the_object_form_says_all_of_it() -> None:
    webhook = {
        "url": "https://now.example/",
        "secret": "hunter2-hunter2",
        "headers": {"X-Team": "ops"},
        "timeout": 3,
        "attempts": 5,
    }
    terms = terms_in(config(webhook), owed())
    assert (terms.url, terms.timeout_seconds, terms.most_attempts) == (webhook["url"], 3, 5)
    assert terms.headers == {"X-Team": "ops"}
    assert terms.secret is not None
    assert read_secret(terms.secret, {}) == "hunter2-hunter2"
    assert not any(hidden in repr(terms) for hidden in ("now.example", "hunter2", "ops"))


@pytest.mark.parametrize(
    "gone", [config(None), config("https://now.example/", "another")], ids=["webhook", "job"]
)
def test_a_delivery_outlives_its_configuration(gone: SchedulerConfig) -> None:
    assert terms_in(gone, owed(most_attempts=4)) == Terms(URL, most_attempts=4)
    with pytest.raises(RefusalError, match=r"it cannot be signed: .* 'digest'"):
        terms_in(gone, owed(is_signed=True))
