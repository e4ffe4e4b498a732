"""How a delivery is made: as the configuration says at the moment of each attempt.

So a secret that was renewed, a receiver that has moved or a longer time limit counts for what is
still owed, after a reload as after a restart; and neither a URL, which may be as good as a
password, nor a secret is ever stored with a delivery.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from noether_supervisor.config import Job, Secret, settings_of
from noether_supervisor.config.webhook import CALL_SECONDS
from noether_supervisor.errors import SupervisorError


class RefusalError(SupervisorError):
    """A call that must not be made; to try it again would change nothing."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Where a call goes and how; with one attempt its answer is not inspected (§5.1)."""

    url: str = field(repr=False)
    timeout_seconds: float = CALL_SECONDS
    most_attempts: int = 1
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret: Secret | None = field(default=None, repr=False)


def terms_of(job: Job) -> Terms | None:
    """The terms that the configuration gives a job; None without a webhook."""
    if job.webhook is None:
        return None
    webhook = settings_of(job.webhook)
    return Terms(
        url=webhook.url,
        timeout_seconds=webhook.timeout,
        most_attempts=webhook.attempts,
        headers=webhook.headers,
        secret=webhook.secret,
    )
