"""How a delivery is made: as the configuration says at the moment of each attempt.

So a secret that was renewed, a receiver that has moved or a longer time limit counts for what is
still owed, after a reload as after a restart, and no secret is ever stored with a delivery.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from noether_supervisor.config import SchedulerConfig, Secret, settings_of
from noether_supervisor.config.webhook import CALL_SECONDS
from noether_supervisor.errors import SupervisorError
from noether_supervisor.records import OwedDelivery


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


def plain_terms(owed: OwedDelivery) -> Terms:
    """The terms of a delivery whose job says nothing more: its own URL, unsigned."""
    return Terms(owed.url, most_attempts=owed.most_attempts)


def terms_in(config: SchedulerConfig, owed: OwedDelivery) -> Terms:
    """The terms that the configuration of now gives the job of a delivery.

    When the job, or its webhook, is there no more, the delivery goes where it was owed to. Raises
    `RefusalError` when it would have been signed: unsigned it would be worth nothing.
    """
    job = config.job(owed.job)
    if job is not None and job.webhook is not None:
        webhook = settings_of(job.webhook)
        return Terms(
            url=webhook.url,
            timeout_seconds=webhook.timeout,
            most_attempts=webhook.attempts,
            headers=webhook.headers,
            secret=webhook.secret,
        )
    if owed.is_signed:
        raise RefusalError(
            f"it cannot be signed: the configuration has no webhook of the job {owed.job!r} any "
            "more, and so no secret; put it back and redeliver"
        )
    return plain_terms(owed)
