"""Stage-init inside a sandbox: starts the one stage, ends what it leaves, reports how it ended.

Standard library only; executed by bubblewrap as its command, through `languages/children/apart.py`:
words after the name of this module are folders for the import path. It finds its order in
descriptor `wire.EXEC_ORDER` and tells of the end on `wire.EXEC_STATUS` (`wire.py`): bubblewrap
itself would report a signal as an exit status, and its own failures as 1.
"""

import os
import resource
import signal
import sys
import traceback
from typing import NoReturn

from noether_runner.sandbox import prctl, wire
from noether_runner.sandbox.descendants import end_all
from noether_runner.sandbox.discarded import count_files
from noether_runner.sandbox.stage_process import ConfinementError, take_up, tell


def main() -> NoReturn:
    """Runs the stage of the order; ends with status 0 when it could report."""
    code = 1
    try:
        sys.path += sys.argv[2:]
        if sys.flags.no_site:
            _add_site_builtins()
        # signals to the sandbox are for the stage, which has a group of its own
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        prctl.adopt_orphans()
        prctl.hide_from_peers()
        order = wire.Order.unpack(wire.read_whole(wire.EXEC_ORDER))
        os.close(wire.EXEC_ORDER)
        own = _write_files(order)
        os.write(wire.EXEC_STATUS, wire.INSIDE)
        own_pid = os.getpid()
        stage = os.fork()
        if stage == 0:
            _become_stage(order, own_pid)
        os.close(wire.EXEC_RESULT)
        os.close(wire.EXEC_PAYLOAD)
        _report(stage, order.directory, own)
        code = 0
    except BaseException:
        # told on the stage's standard error; a forked process must not unwind
        traceback.print_exc()
    finally:
        os._exit(code)


def _add_site_builtins() -> None:
    """`exit` and the like, which an interpreter has that looks for its packages itself."""
    import site

    site.setquit()
    site.setcopyright()
    site.sethelper()


def nothing(_result: int, _payload: int, _token: str) -> NoReturn:
    """The stage of a probe: it gets this far, and that is all that is asked."""
    os._exit(0)


def _become_stage(order: wire.Order, parent: int) -> NoReturn:
    result = wire.EXEC_RESULT
    try:
        os.setpgid(0, 0)
        if not prctl.die_with_parent(parent):
            os._exit(1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.close(wire.EXEC_STATUS)
        os.dup2(wire.EXEC_RESULT, wire.RESULT, inheritable=False)
        result = wire.RESULT
        if not order.argv:
            os.dup2(wire.EXEC_PAYLOAD, wire.PAYLOAD, inheritable=False)
            os.closerange(3, wire.RESULT)
            os.environ.clear()
        take_up(order, parent)
    except ConfinementError as error:
        tell(result, order.token, str(error), wire.SANDBOX_FAILED)
    except BaseException as error:
        # a forked child must not unwind into its parent's code
        tell(result, order.token, f"{type(error).__name__}: {error}")
    finally:
        os._exit(1)


def _write_files(order: wire.Order) -> int:
    """Puts what the language needs as a file into the private directory; how many these are."""
    files = order.confinement.files if order.confinement else ()
    for name, text in files:
        descriptor = os.open(f"{order.directory}/{name}", os.O_WRONLY | os.O_CREAT, 0o644)
        wire.write_whole(descriptor, text.encode("utf-8", "surrogatepass"))
        os.close(descriptor)
    return len(files)


def _report(stage: int, directory: str, own_files: int) -> None:
    status, killed = -1, 0

    def reaped(pid: int, how: int) -> None:
        nonlocal status
        if pid == stage:
            status = how

    while status < 0:
        reaped(*os.waitpid(-1, 0))
    killed = end_all(reaped)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = int((usage.ru_utime + usage.ru_stime) * 1_000_000)
    files = max(0, count_files(directory) - own_files)
    facts = (wire.ENDED, status, killed, cpu, usage.ru_maxrss, files)
    os.write(wire.EXEC_STATUS, b"%s %d %d %d %d %d\n" % facts)
