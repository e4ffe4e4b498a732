"""Name look-ups that hang must delay neither other calls nor the end of the service.

asyncio looks names up in the loop's default executor: a handful of threads (six on two cores),
and the loop waits for them at its end. The system's resolver knows no cancelling and may need
half a minute for a dead name server, so one receiver's names would make the calls to all others
run into their time limit.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class ThreadEach(ThreadPoolExecutor):
    """An executor with a daemon thread for every piece of work; callers bound their number.

    A `ThreadPoolExecutor` by name only: a loop takes no other kind as its default.
    """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start the work at once."""
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=work, name="webhook-lookup", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, **_: Any) -> None:
        """Let unfinished work be; it ends with the process."""
