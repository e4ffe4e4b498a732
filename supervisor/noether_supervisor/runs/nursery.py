"""The supervisor's side of the nursery, which forks runners from a warm Python.

A nursery that died is replaced at once; one that dies young again and again, or cannot be
started, is tried again when a run asks, after a pause that grows. Whoever asks
for a runner while there is no nursery gets None and starts one by exec instead.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from noether_supervisor.runs.nursery_line import NurseryError, NurseryLine
from noether_supervisor.runs.process import Subreaper
from noether_supervisor.runs.runner import RunnerEnds, StartedRunner

READY_SECONDS = 2.0
"""How long runs wait for the first nursery of a service before they start by exec."""

LONG_LIFE_SECONDS = 60.0
"""A nursery that lived for so long is replaced at once; after shorter lives there is a pause."""

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0
_UNANSWERED_STARTS = 8


class Nursery:
    """Keeps one nursery process alive and asks it for runners.

    `on_swept` is called when nothing is left any more of what a dead one had forked ahead.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        subreaper: Subreaper,
        on_note: Callable[[str], None],
        on_swept: Callable[[], None],
    ) -> None:
        self._command = command
        self._environment = environment
        self._subreaper = subreaper
        self._on_note = on_note
        self._on_swept = on_swept
        self._life: NurseryLine | None = None
        self._closing = False
        self._is_first = True
        self._failures = 0
        self._try_again_at = 0.0
        self._sweeps: set[asyncio.Task[None]] = set()
        # Descriptors in flight are limited by the kernel, and answers come in order anyway.
        self._turn = asyncio.Semaphore(_UNANSWERED_STARTS)

    @property
    def pid(self) -> int | None:
        """The nursery process of now; None when there is none."""
        return None if self._life is None else self._life.pid

    def open(self) -> None:
        """Starts the nursery; what it forks meanwhile waits for it to be ready."""
        try:
            life = NurseryLine(self._command, self._environment, self._subreaper, self._died)
        except OSError as error:
            self._failed(f"The nursery cannot be started ({error.strerror})")
            return
        self._life = life

    async def start_runner(self, ends: RunnerEnds) -> StartedRunner | None:
        """A runner on these pipe ends; None when the nursery cannot give one now.

        After None the ends must not be used again: a runner that never got known may hold them.
        """
        if self._life is None and not self._closing and time.monotonic() >= self._try_again_at:
            self.open()
        life = self._life
        if life is None or not await life.is_ready(READY_SECONDS if self._is_first else 0.0):
            return None
        try:
            async with self._turn:
                return await life.start_runner(ends)
        except NurseryError as error:
            self._on_note(f"{error} The runner is started by exec instead.")
            return None

    async def close(self) -> None:
        """Ends the nursery and everything below it."""
        self._closing = True
        if self._life is not None:
            await self._life.close()
        if self._sweeps:
            await asyncio.wait(self._sweeps)

    def _died(self, life: NurseryLine) -> None:
        self._life = None
        self._is_first = False
        if self._closing:
            return
        if life.lived_seconds >= LONG_LIFE_SECONDS:
            self._failures = 0
        if life.was_ready and self._failures == 0:
            self._failures = 1
            self._on_note(
                f"The nursery (process {life.pid}) died; runs go on, and a new one is started."
            )
            self.open()
        else:
            self._failed(f"The nursery (process {life.pid}) died soon after its start")
        # Its spares, and a runner of which it could not tell any more, are ours now.
        sweep = asyncio.get_running_loop().create_task(self._sweep())
        self._sweeps.add(sweep)
        sweep.add_done_callback(self._sweeps.discard)

    async def _sweep(self) -> None:
        await self._subreaper.sweep()
        self._on_swept()

    def _failed(self, what: str) -> None:
        pause = min(_FIRST_PAUSE_SECONDS * 2.0**self._failures, _LONGEST_PAUSE_SECONDS)
        self._failures += 1
        self._try_again_at = time.monotonic() + pause
        self._on_note(
            f"{what}; runners are started by exec, which is slower but otherwise the same. "
            f"It is tried again in {pause:.0f} s at the earliest."
        )
