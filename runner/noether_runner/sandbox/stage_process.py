"""The stage's own process, from the fork to the first line of user code (`runtimes.md` §7.2).

Standard library only; runs once, in a process that stage-init has just forked. The order of the
steps is part of the promise: when user code starts, the process has its limits, its private
directory, its environment and no descriptor but the agreed ones.
"""

import contextlib
import importlib
import json
import os
import signal
import socket
import sys
import time
from typing import Any, NamedTuple, NoReturn

from noether_runner.sandbox import prctl, wire
from noether_runner.sandbox.rlimits import apply_limits

_OOM_SCORE = b"800"


class ConfinementError(Exception):
    """The process could not be shut in as its order says; it must not go on."""


class StageEnds(NamedTuple):
    """The descriptors of a stage process, wherever they happen to be.

    `status` only of a stage that goes into a sandbox with a stage-init of its own.
    """

    order: int
    payload: int
    stdout: int
    stderr: int
    result: int
    status: int = -1


def become_stage(orders: socket.socket, parent: int) -> NoReturn:
    """Turn the calling (forked) process into the stage; never returns.

    It waits for its descriptors (`StageEnds`, in that order) on `orders`; without any it ends.
    What goes wrong before the language takes over is told by an error frame.
    """
    result, token = -1, ""
    try:
        os.setpgid(0, 0)
        if not prctl.die_with_parent(parent):
            os._exit(1)
        _rehearse()
        _, descriptors, _, _ = socket.recv_fds(orders, 1, wire.MOST_STAGE_DESCRIPTORS)
        if not descriptors:
            os._exit(1)
        ends = StageEnds(*descriptors)
        result = ends.result
        order = wire.Order.unpack(wire.read_whole(ends.order))
        token = order.token
        inside = order.confinement.inside if order.confinement else ""
        _arrange_descriptors(ends, executing=bool(order.argv))
        result = wire.RESULT
        if inside:
            _add_sandbox_descriptors(inside)
        take_up(order, parent)
    except ConfinementError as error:
        tell(result, token, str(error), wire.SANDBOX_FAILED)
    except BaseException as error:
        # a forked child must not unwind into its parent's code
        tell(result, token, f"{type(error).__name__}: {error}")
    finally:
        os._exit(1)


def _rehearse() -> None:
    """While no call has come: touch what the most common one will touch."""
    wire.Order.unpack(wire.Order("", "", {}, ()).pack())
    # it is told once more when it counts
    prctl.forbid_new_privileges()
    python = sys.modules.get("noether_runner.languages.children.python_stage")
    if python is not None:
        python.rehearse()


def take_up(order: wire.Order, parent: int) -> NoReturn:
    """Be what the order says, now that the descriptors are in their places.

    Raises whatever keeps it from that, before any user code has run.
    """
    apply_limits(order.limits)
    os.chdir(order.directory)
    os.umask(0o022)
    confinement = order.confinement
    if confinement is not None and confinement.user is not None:
        _become(confinement.user, parent)
    prctl.forbid_new_privileges()
    prctl.show_to_self()
    _offer_to_oom_killer()
    if confinement is not None:
        _shut_in(confinement)
    if order.argv:
        # Python ignores these two, and what is ignored stays so in the program
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        os.execve(order.argv[0], order.argv, order.environment)  # noqa: S606 - no shell wanted
    _set_environment(order.environment)
    _entry_point(order)(wire.RESULT, wire.PAYLOAD, order.token)
    os._exit(1)


def _become(user: tuple[int, int, tuple[int, ...]], parent: int) -> None:
    """Drop to another user for good; which makes the kernel forget whose end ends us."""
    number, group, groups = user
    try:
        for pipe in (1, 2, wire.RESULT):
            # `/dev/stderr` is opened anew by many, which the mode of a pipe leaves to its owner
            os.fchown(pipe, number, group)
        os.setgroups(groups)
        os.setgid(group)
        os.setuid(number)
    except OSError as error:
        raise ConfinementError(f"cannot run as user {number}: {error.strerror}") from None
    if not prctl.die_with_parent(parent):
        os._exit(1)


def _shut_in(confinement: wire.Confinement) -> None:
    """Landlock, then the filter, which would refuse the calls of the former."""
    if confinement.landlock is None and not confinement.filter:
        return
    from noether_runner.sandbox import confining  # most stages have no walls

    try:
        if confinement.landlock is not None:
            confining.restrict(*confinement.landlock)
        if confinement.filter:
            confining.install(bytes.fromhex(confinement.filter))
    except OSError as error:
        raise ConfinementError(error.strerror or str(error)) from None


def _entry_point(order: wire.Order) -> Any:
    module, _, function = (order.entry or "").partition(":")
    loaded = sys.modules.get(module) or importlib.import_module(module)
    return getattr(loaded, function)


def _arrange_descriptors(ends: StageEnds, *, executing: bool) -> None:
    """0 is empty, 1 and 2 are the logs, result and payload at their numbers, all else closed.

    Nothing lies above them: the zygote closed everything at its start and opens the lowest free.
    """
    os.dup2(ends.result, wire.RESULT, inheritable=False)
    os.dup2(ends.payload, wire.PAYLOAD, inheritable=False)
    if ends.status >= 0:
        os.dup2(ends.status, wire.STATUS, inheritable=False)
    os.dup2(ends.stdout, 1)
    os.dup2(ends.stderr, 2)
    empty = os.open("/dev/null", os.O_RDONLY)
    os.dup2(empty, 0)
    if executing:
        os.dup2(wire.RESULT, wire.EXEC_RESULT)
        os.dup2(wire.PAYLOAD, wire.EXEC_PAYLOAD)
        os.closerange(wire.EXEC_PAYLOAD + 1, wire.RESULT)
    else:
        os.closerange(3, wire.RESULT)


def _add_sandbox_descriptors(inside: str) -> None:
    """What the stage-init inside reads and where it reports, beside what any program is given."""
    # not close-on-exec, whichever number it gets
    order = os.memfd_create("stage-order", 0)
    wire.write_whole(order, inside.encode("ascii"))
    os.dup2(order, wire.EXEC_ORDER)
    os.dup2(wire.STATUS, wire.EXEC_STATUS)
    os.closerange(wire.EXEC_STATUS + 1, wire.RESULT)


def _set_environment(environment: dict[str, str]) -> None:
    """The zygote's own environment is empty, so there is nothing to take away."""
    for name, value in environment.items():
        os.environ[name] = value
    if "TZ" in environment:
        time.tzset()


def _offer_to_oom_killer() -> None:
    """Let the kernel, short of memory, prefer the stage over runner and supervisor."""
    with contextlib.suppress(OSError):
        descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        try:
            os.write(descriptor, _OOM_SCORE)
        finally:
            os.close(descriptor)


def tell(result: int, token: str, text: str, kind: str = wire.START_FAILED) -> None:
    """Send an error frame, if the pipe still takes it."""
    with contextlib.suppress(OSError):
        payload = json.dumps({"class": kind, "message": text}).encode("ascii")
        wire.write_whole(result, wire.frame(token, "E", payload))
