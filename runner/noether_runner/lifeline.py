"""The lifeline of a runner: its standard input, whose end means that the supervisor is gone.

The kernel tells of the end of a pipe by a signal (`fcntl(2)`, O_ASYNC), which costs a run nothing
as long as it does not come; a thread that waits for it costs as much as a stage call does. What
is no pipe is waited for by a thread all the same.
"""

import fcntl
import os
import select
import signal
import stat
import threading
from collections.abc import Callable
from types import FrameType

_CHUNK = 32 * 1024
_GONE = "the supervisor is gone"


def hold_on(lifeline: int, cancel: Callable[[str], None]) -> None:
    """Calls `cancel` with the reason once the lifeline ends, perhaps at once.

    What still comes in on it is of no interest. Only the main thread can ask; SIGIO is taken.
    """
    if not stat.S_ISFIFO(os.fstat(lifeline).st_mode):
        threading.Thread(target=_wait, args=(lifeline, cancel), daemon=True).start()
        return

    def look(_signal: int = 0, _frame: FrameType | None = None) -> None:
        if _has_ended(lifeline):
            cancel(_GONE)

    signal.signal(signal.SIGIO, look)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)
    # it may have ended just before
    look()


def _has_ended(pipe: int) -> bool:
    """Whether nobody can write to it any more."""
    poll = select.poll()
    poll.register(pipe, 0)
    return any(events & select.POLLHUP for _, events in poll.poll(0))


def _wait(lifeline: int, cancel: Callable[[str], None]) -> None:
    try:
        while os.read(lifeline, _CHUNK):
            pass
    except OSError:
        pass
    cancel(_GONE)
