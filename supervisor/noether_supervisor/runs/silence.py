"""Telling a process that cannot answer from one that is slow, or on a machine that is.

Time alone does not tell: on a busy machine an answer may take many seconds. But a process that
has been asked something is woken by that. One that is stopped, or that sleeps on and on without
the kernel having switched to it once, will not answer (proc(5): State, voluntary_ctxt_switches).
One that waits for a processor or a disk is given all the time it needs.
"""

import asyncio
import time
from pathlib import Path
from typing import TypeVar

LOOK_SECONDS = 0.25
"""Pause between two looks at a process that owes an answer."""

STOPPED_LOOKS = 2
"""So many looks in a row at a stopped process are enough: nothing will wake it."""

ASLEEP_LOOKS = 6
"""So many looks in a row at a process that sleeps through them are enough."""

_Answer = TypeVar("_Answer")
_SWITCHES = ("voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:")


class SilenceWatch:
    """Looks at one process that has been asked something; `is_silent` is one look."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._switches = -1
        self._looks = 0

    def is_silent(self) -> bool:
        """Whether it will not answer any more; never so at the first look."""
        state, switches = self._look()
        moved, self._switches = switches != self._switches, switches
        if moved or state not in "TtS":
            self._looks = 0
            return False
        self._looks += 1
        return self._looks >= (ASLEEP_LOOKS if state == "S" else STOPPED_LOOKS)

    def _look(self) -> tuple[str, int]:
        """State and number of switches; a process that is gone is told by its end, not here."""
        try:
            lines = self._status.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return "X", -1
        fields = [line.split() for line in lines]
        states = [words[1] for words in fields if words[:1] == ["State:"]]
        switches = [int(words[1]) for words in fields if words and words[0] in _SWITCHES]
        return "".join(states[:1]) or "X", sum(switches)


async def answer_of(
    pid: int, answer: "asyncio.Future[_Answer]", patience_seconds: float
) -> _Answer:
    """Waits for what a process owes; raises TimeoutError once it will not come.

    That is when the process is silent, and after `patience_seconds` in any case. The future stays
    as it is.
    """
    watch = SilenceWatch(pid)
    ends = time.monotonic() + patience_seconds
    while True:
        left = ends - time.monotonic()
        await asyncio.wait((answer,), timeout=max(0.0, min(LOOK_SECONDS, left)))
        if answer.done():
            return answer.result()
        if left <= LOOK_SECONDS or watch.is_silent():
            raise TimeoutError
