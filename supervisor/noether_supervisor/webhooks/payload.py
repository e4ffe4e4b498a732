"""What a webhook says (`scheduler.md` §5.1): the body, fixed when the run ends, and the headers."""

import hashlib
from datetime import datetime
from typing import Any

import orjson

from noether_contract import __version__
from noether_contract.outcomes import RunStatus
from noether_supervisor.config import Job, settings_of
from noether_supervisor.records import Fire, OwedDelivery, RunEnding, instant_text
from noether_supervisor.webhooks.target import receiver_of


def owed_delivery(job: Job, fire: Fire, ending: RunEnding) -> OwedDelivery | None:
    """The call that the end of a run of `job` owes.

    None when the job has no webhook, or one that is not told of such an end (`on`).
    """
    if job.webhook is None:
        return None
    outcome = "success" if ending.status is RunStatus.SUCCEEDED else "failure"
    if outcome not in settings_of(job.webhook).on:
        return None
    return owed_by_hand(job, fire, ending)


def owed_by_hand(job: Job, fire: Fire, ending: RunEnding) -> OwedDelivery | None:
    """The call that tells of a run because somebody asks for it, whatever `on` says."""
    if job.webhook is None:
        return None
    webhook = settings_of(job.webhook)
    return OwedDelivery(
        run_id=fire.run_id,
        job=fire.job,
        receiver=receiver_of(webhook.url),
        body=body_of(fire, ending, with_trace=webhook.include_trace),
        most_attempts=webhook.attempts,
    )


def body_of(fire: Fire, ending: RunEnding, *, with_trace: bool = False) -> bytes:
    """The JSON body; integers and doubles of the output stay what they are.

    Members, in this order: job, composition_id, ok, output or error, duration_ms, fired_at, and
    trace (null for a run without one) when it is asked for.
    """
    ok = ending.status is RunStatus.SUCCEEDED
    body: dict[str, Any] = {
        "job": fire.job,
        "composition_id": ending.composition_id,
        "ok": ok,
    }
    if ok:
        body["output"] = ending.output
    else:
        body["error"] = _error_text(ending)
    body["duration_ms"] = ending.duration_ms
    body["fired_at"] = instant_text(fire.due)
    if with_trace:
        trace = ending.trace
        body["trace"] = None if trace is None else trace
    return orjson.dumps(body)


def headers_of(run_id: str, sent_at: datetime) -> dict[str, str]:
    """The headers of one attempt, those of Standard Webhooks among them.

    `webhook-id` depends on the run alone, so a receiver recognises a repeated delivery.
    """
    return {
        "User-Agent": f"noether-scheduler/{__version__}",
        "Content-Type": "application/json",
        "webhook-id": webhook_id(run_id),
        "webhook-timestamp": str(int(sent_at.timestamp())),
    }


def webhook_id(run_id: str) -> str:
    """`msg_` and the first 32 hex digits of the SHA-256 of the run id."""
    return f"msg_{hashlib.sha256(run_id.encode()).hexdigest()[:32]}"


def _error_text(ending: RunEnding) -> str:
    if ending.error is not None and ending.error.message:
        text = ending.error.message
    else:
        text = f"the run ended as {ending.status.value.replace('_', ' ')}"
    # A lone surrogate, as undecodable output leaves it, has no place in JSON.
    return text.encode("utf-8", "replace").decode()
