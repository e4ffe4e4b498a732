"""Making a process of one's own out of a fork of another: nothing of the other may remain.

Standard library only. A zygote that was forked from a runner and one that was executed are the
same after this: same descriptors, same signals, no environment, no exit functions, no session
shared. Stages are forked from it and inherit all of that.
"""

import atexit
import contextlib
import os
import resource
import signal
import sys
import time
import weakref

from noether_runner.sandbox import wire


def take_over(control: int) -> None:
    """Make the calling process a zygote's, with `control` as descriptor `wire.CONTROL`.

    Standard output becomes standard error, everything else is closed. The environment goes too:
    each stage gets its own.
    """
    os.setsid()
    os.dup2(control, wire.CONTROL)
    os.set_inheritable(wire.CONTROL, False)
    _close_from(wire.CONTROL + 1)
    _allow_stage_descriptors()
    empty = os.open("/dev/null", os.O_RDWR)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)
    os.environ.clear()
    time.tzset()
    _reset_signals()
    _forget_exit_functions()
    _forget_cached_environment()


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, 32, 33}:
        if signal.getsignal(number) != signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
    # as in every Python: a closed pipe or a file that grew too large is an exception
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _forget_exit_functions() -> None:
    """What the process we were forked from wants done at its end is not a stage's to do.

    A stage runs the exit functions of its own code; those of the libraries that are loaded
    already, and will not register again, are put back.
    """
    for finalizer in list(weakref.finalize._registry):  # type: ignore[attr-defined]  # no other way
        finalizer.atexit = False
    atexit._clear()
    atexit.register(weakref.finalize._exitfunc)  # type: ignore[attr-defined]  # registers once only
    if logging := sys.modules.get("logging"):
        atexit.register(logging.shutdown)


def _forget_cached_environment() -> None:
    """What libraries remember of the environment of the process we were forked from."""
    if tempfile := sys.modules.get("tempfile"):
        tempfile.tempdir = None  # type: ignore[attr-defined]  # its documented global
    if request := sys.modules.get("urllib.request"):
        request.install_opener(None)


def _close_from(lowest: int) -> None:
    """Close what is open; not by counting up to the limit, which can be a billion."""
    try:
        with os.scandir("/proc/self/fd") as entries:
            opened = [int(entry.name) for entry in entries]
    except OSError:
        # refused to a process that hides from its peers
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        os.closerange(lowest, soft)
        return
    for descriptor in opened:
        if descriptor >= lowest:
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _allow_stage_descriptors() -> None:
    """A stage's private descriptors have high numbers; see that the limit lets them exist."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = wire.STATUS + 1
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
