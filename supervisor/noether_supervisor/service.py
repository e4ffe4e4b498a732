"""The service from start to end: lock, history, recovery, signals, reload, stop.

What it promises is in `scheduler.md` §3: what a dead service left open is closed before anything
new starts, and a stop leaves nothing running and no webhook unsent that could be sent.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from loguru import logger

from noether_contract.outcomes import RunStatus
from noether_supervisor.asked import answers_to, redeliver
from noether_supervisor.control import ControlServer, ask
from noether_supervisor.decisions.events import StopAsked, StopForced
from noether_supervisor.errors import SupervisorError, UsageError
from noether_supervisor.jobs import Loaded, load
from noether_supervisor.loop import Loop
from noether_supervisor.memory import hurry, settle, use_one_heap
from noether_supervisor.observe.logs import LogFormat, configure, level_from
from noether_supervisor.observe.systemd import Notifier
from noether_supervisor.opened import Opened
from noether_supervisor.records import instant_text
from noether_supervisor.reload import reload_when_asked
from noether_supervisor.runs.process import hide_from_peers
from noether_supervisor.timer import ClockWatch, WallAlarm
from noether_supervisor.upkeep import GraphLook, keep_alive, prune_regularly

_WEBHOOK_FLUSH_SECONDS = 15.0
_WRITE_FLUSH_SECONDS = 10.0
_FORCED_FLUSH_SECONDS = 1.0


def serve(path: Path, *, log_format: LogFormat, log_level: str | None) -> int:
    """Runs the service until it is told to stop; returns the exit code.

    Raises `SupervisorError` when it cannot start: configuration, state directory, lock.
    """
    hide_from_peers()
    configure(level_from(log_level, os.environ), log_format)
    use_one_heap()
    hurry()
    return asyncio.run(_serve(path, load(path, os.environ), Notifier(os.environ)))


def run_job_now(loaded: Loaded, job: str) -> RunStatus:
    """One fire of a job now, recorded as a manual run; returns how it ended.

    A running service of the same state directory runs it; without one this process does.
    """
    answers = ask(loaded.config.state_path, {"ask": "run", "job": job})
    if answers is None:
        hide_from_peers()
        return asyncio.run(_run_alone(loaded, job))
    for answer in answers:
        if "error" in answer:
            raise UsageError(str(answer["error"]))
        if "run_id" in answer:
            logger.bind(job=job, run_id=answer["run_id"]).info("the running service has started it")
        if "status" in answer:
            return RunStatus(answer["status"])
    raise SupervisorError(
        "the service ended before the run did; noether-scheduler history tells what became of it"
    )


def redeliver_now(loaded: Loaded, run_id: str) -> tuple[bool, str]:
    """Sends the webhook of a run once more: whether it is delivered, and how it stands then.

    A running service of the same state directory sends it; without one this process does.
    """
    answer = first_answer(loaded, {"ask": "redeliver", "run_id": run_id}, "delivered")
    if answer is None:
        return asyncio.run(_redeliver_alone(loaded, run_id))
    return bool(answer["delivered"]), str(answer.get("delivery"))


def first_answer(loaded: Loaded, question: dict[str, Any], member: str) -> dict[str, Any] | None:
    """What the running service answers, None when none runs; raises what it could not do.

    The answer has this member, or the service is of another version.
    """
    answers = ask(loaded.config.state_path, question)
    if answers is None:
        return None
    answer = next(answers, None)
    if answer is None:
        raise SupervisorError("the service ended before it answered; ask again")
    if "error" in answer:
        raise UsageError(str(answer["error"]))
    if member not in answer:
        raise SupervisorError("the running service is of another version; restart it and ask again")
    return answer


async def _redeliver_alone(loaded: Loaded, run_id: str) -> tuple[bool, str]:
    async with Opened.open(loaded, with_nursery=False) as opened:
        outcome = await redeliver(opened, run_id)
        await opened.flush(_WEBHOOK_FLUSH_SECONDS, _WRITE_FLUSH_SECONDS)
        return outcome


async def _run_alone(loaded: Loaded, job: str) -> RunStatus:
    async with Opened.open(loaded, with_nursery=False) as opened:
        loop = opened.loop_for_one_run(_NoAlarm())
        asked = loop.ask_run(job)
        if asked is None:
            raise UsageError(f"the job {job!r} cannot be run now")
        stop = _Stop(opened, loop)
        with _on_signals({signal.SIGINT: stop, signal.SIGTERM: stop}):
            status = await asked[1]
            await loop.drained()
            await stop.flush()
        return status


async def _serve(path: Path, loaded: Loaded, notifier: Notifier) -> int:
    async with Opened.open(loaded, with_nursery=True) as opened:
        del loaded  # a reload replaces it
        watch = ClockWatch(opened.clock)

        def woke() -> None:
            loop.happened(watch.look())

        alarm = WallAlarm(asyncio.get_running_loop(), woke)
        loop = opened.loop(alarm)
        control = ControlServer(
            opened.state_path, lambda question: answers_to(question, opened, loop)
        )
        stop = _Stop(opened, loop, notifier)
        opened.writer.on_broken = stop.give_up
        try:
            await control.open()
        except OSError as error:
            told = "commands cannot speak to this service, which goes on without: {}"
            logger.warning(told, error)
        look = GraphLook(opened, loop)
        look.ask(loop.jobs)
        reload_asked = asyncio.Event()
        handlers: dict[signal.Signals, Callable[[], None]] = {
            signal.SIGTERM: stop,
            signal.SIGINT: stop,
            signal.SIGHUP: reload_asked.set,
        }
        with _on_signals(handlers, for_good=True):
            loop.happened(watch.look())
            # whoever reads that it has started may rely on where its jobs count from
            await opened.writer.settled(_WRITE_FLUSH_SECONDS)
            _tell_start(opened, loop)
            settle()
            notifier.ready(f"{len(loop.jobs)} jobs")
            beside = (
                keep_alive(notifier),
                look.go_on(),
                prune_regularly(opened),
                reload_when_asked(reload_asked, path, opened, loop, notifier, look.ask),
            )
            await _until_exit(loop, beside)
            await control.close()
            alarm.close()
            await stop.flush()
    if opened.writer.broken is not None:
        logger.error("ended, since the history is broken")
        return 1
    logger.info("ended")
    return 0


async def _until_exit(loop: Loop, beside: Iterable[Coroutine[Any, Any, None]]) -> None:
    tasks = [asyncio.create_task(each) for each in beside]
    await loop.exited.wait()
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            logger.opt(exception=outcome).error("a task beside the jobs had failed")
    await loop.drained()


class _Stop:
    """What a stop signal does: the first asks, with the configured grace; the next forces."""

    def __init__(self, opened: Opened, loop: Loop, notifier: Notifier | None = None) -> None:
        self._opened = opened
        self._loop = loop
        self._notifier = notifier
        self._asked = False
        self._forced = asyncio.Event()

    def __call__(self) -> None:
        now = self._opened.clock.now()
        if self._asked:
            logger.warning("asked to stop again: whatever runs is ended now")
            self._force()
            return
        self._asked = True
        grace = self._opened.loaded.config.shutdown_grace
        logger.info("stopping; running runs get {} s", f"{grace:g}")
        if self._notifier is not None:
            self._notifier.stopping()
        self._loop.happened(StopAsked(now, grace))
        self._let_go_in(grace + _WRITE_FLUSH_SECONDS)

    def give_up(self) -> None:
        """The service ends itself, at once: nothing can be recorded any more."""
        self._asked = True
        self._force()

    def _force(self) -> None:
        self._forced.set()
        self._loop.happened(StopForced(self._opened.clock.now()))
        self._let_go_in(_FORCED_FLUSH_SECONDS)

    def _let_go_in(self, seconds: float) -> None:
        """From then on no end of a run waits for a history that cannot be written."""
        asyncio.get_running_loop().call_later(seconds, self._let_go)

    def _let_go(self) -> None:
        if not self._loop.exited.is_set():
            self._opened.writer.let_go()
            self._let_go_in(_FORCED_FLUSH_SECONDS)

    async def flush(self) -> None:
        """Writes and sends what is still to be, for a while; being forced makes it a moment."""
        flushing = asyncio.create_task(
            self._opened.flush(_WEBHOOK_FLUSH_SECONDS, _WRITE_FLUSH_SECONDS)
        )
        forced = asyncio.create_task(self._forced.wait())
        done, _ = await asyncio.wait((flushing, forced), return_when=asyncio.FIRST_COMPLETED)
        forced.cancel()
        if flushing not in done:
            flushing.cancel()
            await asyncio.gather(flushing, return_exceptions=True)
            flushing = asyncio.create_task(
                self._opened.flush(_FORCED_FLUSH_SECONDS, _FORCED_FLUSH_SECONDS)
            )
        await flushing


@contextlib.contextmanager
def _on_signals(
    handlers: dict[signal.Signals, Callable[[], None]], *, for_good: bool = False
) -> Iterator[None]:
    """Answers these signals; `for_good`: the process ends next, and a late one changes nothing."""
    turning = asyncio.get_running_loop()
    for number, handler in handlers.items():
        turning.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            turning.remove_signal_handler(number)
            if for_good:
                signal.signal(number, signal.SIG_IGN)


def _tell_start(opened: Opened, loop: Loop) -> None:
    config = opened.loaded.config
    first = loop.state.wake_at
    logger.info(
        "started: {} jobs, zone {}, at most {} runs at once, state in {}, first fire {}",
        len(loop.jobs),
        opened.loaded.process_zone,
        config.max_concurrent_runs,
        opened.state_path,
        "never" if first is None else instant_text(first),
    )
    _tell_user(config.stage_user)


def _tell_user(stage_user: str | None) -> None:
    """Whom stages run as, when that may surprise."""
    if os.geteuid() != 0:
        if stage_user is not None:
            logger.warning(
                "stage_user has no effect: only a service of root's can run stages as somebody else"
            )
    elif stage_user is None:
        logger.warning(
            "the service runs as root, and so do its stages; give it a user of its own, or its "
            "stages one with stage_user"
        )
    else:
        logger.info("the service runs as root, its stages as {}", stage_user)


class _NoAlarm:
    """For a loop that nobody wakes."""

    def set(self, instant: datetime | None) -> None:
        """Nothing."""
