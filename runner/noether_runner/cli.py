"""`noether-run`: one graph by hand, or (`--contract`) one request of the supervisor.

Imports are in the functions on purpose: the process that forks stages is started first, while
the rest is still being loaded, and a usage error costs nothing.
"""

import gc
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from noether_runner.sandbox.child import Children

_EXIT_INTERRUPTED = 130


def main() -> int:
    """The console command; returns the exit code of `scheduler.md` §1.1."""
    # nothing that is loaded here ever becomes garbage; looking for some takes a tenth of the start
    gc.disable()
    if sys.argv[1:] == ["--contract"]:
        from noether_runner.sandbox.child import Children

        return run_contract(0, 1, Children.start(clean_fork=True))
    _take_closed_descriptors()
    try:
        from noether_runner.arguments import parse

        arguments = parse(None)
        from noether_runner.by_hand import run_by_hand

        return run_by_hand(arguments)
    except KeyboardInterrupt:
        # before anything runs; nothing is lost, so nothing is told
        return _EXIT_INTERRUPTED
    finally:
        gc.enable()


def _take_closed_descriptors() -> None:
    """Somebody started us with standard streams closed: nothing else may get their numbers."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, PTH123 - for good, and quick


def run_contract(stdin_fd: int, stdout_fd: int, children: "Children") -> int:
    """One run for the supervisor: a request line on `stdin_fd`, events and report on `stdout_fd`.

    Also the entry point of a runner that the nursery forked; `children` was started before the
    request is read, so that no stage's process has ever held it.
    """
    from noether_runner.channel import Channel, take_stdout
    from noether_runner.contract import serve
    from noether_runner.sandbox.prctl import hide_from_peers

    hide_from_peers()
    gc.enable()
    channel = Channel(take_stdout(stdout_fd))
    with children:
        return serve(stdin_fd, channel, children)


if __name__ == "__main__":
    sys.exit(main())
