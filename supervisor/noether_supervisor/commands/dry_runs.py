"""Asks the runner whether the graphs of jobs would run: dry runs, started as real runs are.

The supervisor never reads a graph. Each dry run gets the request that a fire would get, so the
answer is the one of a fire: it reads, resolves and type-checks the graph, looks for its runtimes
and for variables that its stages name but are not granted, and executes nothing. Nothing is
recorded, and nothing is written outside of a temporary directory, except for the environments
that are built when that is asked for: those go where runs look for them.
"""

import asyncio
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from noether_contract.messages import ErrorRecord, RunRequest, write_message
from noether_contract.outcomes import ErrorCode, RunStatus
from noether_supervisor.clock import SystemClock
from noether_supervisor.config import Job, SchedulerConfig
from noether_supervisor.records import Fire, RunEnding
from noether_supervisor.runs.isolation_notes import isolation_notes
from noether_supervisor.runs.launcher import Launcher
from noether_supervisor.runs.request import CACHE_FOLDER, LaunchError, request_for
from noether_supervisor.storage.opening import private_directory

_LIMIT_SECONDS = 120.0
_PREPARING_SECONDS = 3600.0
"""A graph may need many environments; the limit of each is in the request (`Packages`)."""

_ANY_MEMORY_BYTES = 1 << 40
"""The limits of a job are for its stages, not for installing what they require."""


@dataclass(frozen=True, slots=True)
class NeededEnvironment:
    """An environment that stages of a graph require, as the runner tells of it.

    `seconds` is how long it took to build just now; `error` says why it could not be built.
    """

    requires: tuple[str, ...]
    path: str
    built: bool
    seconds: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a dry run found: why a fire would be refused, and what is doubtful.

    `isolation` is the sandbox that stages get, and what each of them may touch, in sentences.
    """

    error: ErrorRecord | None
    warnings: tuple[str, ...] = ()
    environments: tuple[NeededEnvironment, ...] = ()
    isolation: tuple[str, ...] = ()


def ask_all(
    jobs: Sequence[Job],
    config: SchedulerConfig,
    environ: Mapping[str, str],
    on_note: Callable[[str], None],
    *,
    prepare: bool = False,
) -> list[Answer]:
    """The answers for these jobs, in their order; equal questions are asked once.

    `on_note` gets sentences about trouble with starting runners. `prepare` builds what stages
    require beforehand; it raises `HistoryError` when the state directory cannot be made.
    """
    if prepare:
        private_directory(config.state_path)
    return asyncio.run(_ask_all(jobs, config, environ, on_note, prepare=prepare))


async def _ask_all(
    jobs: Sequence[Job],
    config: SchedulerConfig,
    environ: Mapping[str, str],
    on_note: Callable[[str], None],
    *,
    prepare: bool,
) -> list[Answer]:
    with tempfile.TemporaryDirectory(prefix="noether-check-") as folder:
        launcher = Launcher(on_note, environ=environ)
        try:
            await launcher.open()
            asking = _Asking(launcher, Path(folder), config, environ, prepare=prepare)
            return await asyncio.gather(*(asking.answer_for(job) for job in jobs))
        finally:
            await launcher.close()


class _Asking:
    """The dry runs of one `check`; as many at a time as there are processors."""

    def __init__(
        self,
        launcher: Launcher,
        folder: Path,
        config: SchedulerConfig,
        environ: Mapping[str, str],
        *,
        prepare: bool,
    ) -> None:
        self._launcher = launcher
        self._folder = folder
        self._config = config
        self._environ = environ
        self._prepare = prepare
        self._places = asyncio.Semaphore(len(os.sched_getaffinity(0)))
        self._answers: dict[bytes, asyncio.Task[Answer]] = {}

    async def answer_for(self, job: Job) -> Answer:
        """What would become of a fire of this job."""
        fire = Fire(job.name, SystemClock().now(), manual=True)
        request = request_for(self._config, job, fire, self._folder, self._environ)
        if isinstance(request, RunEnding):
            return Answer(request.error)
        question = write_message(replace(request, run_id="", job=None, work_dir=""))
        if question not in self._answers:
            self._answers[question] = asyncio.create_task(self._ask(self._as_dry_run(request)))
        return await self._answers[question]

    async def _ask(self, request: RunRequest) -> Answer:
        async with self._places:
            try:
                run = await self._launcher.start(request)
            except LaunchError as error:
                return Answer(error.record)
            ending = await run.ended()
        warnings = () if ending.trace is None else ending.trace.warnings
        if ending.status is RunStatus.SUCCEEDED:
            return Answer(
                None, warnings, _environments(ending.output), isolation_notes(ending.output)
            )
        return Answer(ending.error or _without_reason(ending), warnings)

    def _as_dry_run(self, request: RunRequest) -> RunRequest:
        limits: dict[str, Any] = {"run_seconds": _LIMIT_SECONDS}
        if self._prepare:
            limits = {"run_seconds": _PREPARING_SECONDS, "memory_bytes": _ANY_MEMORY_BYTES}
        folder = self._config.state_path / CACHE_FOLDER / "environments"
        return replace(
            request,
            dry_run=True,
            prepare=self._prepare,
            limits=replace(request.limits, **limits),
            packages=replace(request.packages, folder=str(folder)),
        )


def _environments(output: Any) -> tuple[NeededEnvironment, ...]:
    return tuple(
        NeededEnvironment(
            tuple(each["requires"]),
            each["path"],
            each["built"],
            each.get("seconds"),
            each.get("error"),
        )
        for each in output.get("environments", ())
    )


def _without_reason(ending: RunEnding) -> ErrorRecord:
    message = f"the dry run ended as {ending.status} without saying why"
    return ErrorRecord(code=ErrorCode.INTERNAL, message=message)
