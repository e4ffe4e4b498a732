"""What a person may ask of a running service: a run, a webhook once more, a pause of a job.

`answers_to` answers the questions of `control.py`; the commands ask them, and do the same by
themselves when no service runs.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from loguru import logger

from noether_supervisor.errors import SupervisorError
from noether_supervisor.history.deliveries import owe_again
from noether_supervisor.history.pauses import record_pause, record_resume
from noether_supervisor.history.reading import show
from noether_supervisor.loop import Loop
from noether_supervisor.opened import Opened
from noether_supervisor.records import Fire, OwedDelivery, RunEnding
from noether_supervisor.webhooks.payload import body_of, owed_by_hand

_MOST_SHOWN = 300
"""Characters of something foreign in an answer: a job's name has at most 200."""


async def answers_to(
    question: dict[str, Any], opened: Opened, loop: Loop
) -> AsyncIterator[dict[str, Any]]:
    """The answers to one question; what cannot be done is an answer too."""
    match question:
        case {"ask": "alive"}:
            yield {"alive": True, "pid": os.getpid()}
        case {"ask": "redeliver", "run_id": str(run_id)}:
            try:
                delivered, told = await redeliver(opened, run_id)
            except SupervisorError as error:
                yield {"error": error.message}
            else:
                yield {"delivered": delivered, "delivery": told}
        case {"ask": "run" | "pause" | "resume", "job": str(name)} if name not in loop.jobs:
            told = f"the running service knows no job {_shown(name)}; reload it (SIGHUP)?"
            yield {"error": told}
        case {"ask": "run" | "pause" | "resume"} if loop.state.stopping is not None:
            yield {"error": "the service is stopping and starts nothing new"}
        case {"ask": "run", "job": str(name)}:
            asked = loop.ask_run(name)
            if asked is None:
                yield {"error": f"the job {name!r} cannot be run now"}
                return
            fire, status = asked
            yield {"run_id": fire.run_id}
            yield {"status": (await status).value}
        case {"ask": "pause" | "resume" as what, "job": str(name)}:
            change = _pause if what == "pause" else _resume
            try:
                yield {"changed": await change(opened, loop, name)}
            except SupervisorError as error:
                yield {"error": f"the job {name!r} is {what}d, but for now only: {error.message}"}
        case _:
            yield {"error": f"expected a question as in control.py, met {_shown(question)}"}


def _shown(value: Any) -> str:
    """Something that was asked for, in short."""
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"


async def redeliver(opened: Opened, run_id: str) -> tuple[bool, str]:
    """Sends the webhook of a run once more, now: whether it is delivered, and how it stands then.

    A first attempt that fails is followed by others, as the job's webhook says. Raises
    `SupervisorError` when there is nothing to send, or the service stops before it is sent.
    """
    config = opened.loaded.config

    def told(fire: Fire, ending: RunEnding, before: OwedDelivery | None) -> OwedDelivery | None:
        job = config.job(fire.job)
        if job is not None and job.webhook is not None:
            return owed_by_hand(job, fire, ending)
        if before is None or opened.terms_for(fire.job) is None:
            return None
        return replace(before, body=before.body or body_of(fire, ending))

    delivery_id = await opened.database.run(lambda history: owe_again(history, run_id, told))
    asked = opened.outbox.owe_now(delivery_id)
    await asyncio.wait({asked})
    if asked.cancelled():
        raise SupervisorError("the service ended before the webhook was sent; the next sends it")
    attempt = asked.result()
    details = await opened.database.run(lambda history: show(history, run_id))
    stands = None if details is None else details.entry.delivery
    return attempt.state == "delivered", stands or attempt.state


async def _pause(opened: Opened, loop: Loop, job: str) -> bool:
    now = opened.clock.now()
    paused = opened.writer.write(lambda history: record_pause(history, job, now))
    if job not in opened.paused:
        logger.bind(job=job).info("paused")
        opened.paused.add(job)
        # Its writes follow that of the pause in one transaction.
        loop.happened(opened.changed())
    return await paused


async def _resume(opened: Opened, loop: Loop, job: str) -> bool:
    resumed = opened.writer.write(lambda history: record_resume(history, job))
    if job in opened.paused:
        logger.bind(job=job).info("resumed")
        opened.paused.discard(job)
        loop.happened(opened.changed())
    return await resumed
