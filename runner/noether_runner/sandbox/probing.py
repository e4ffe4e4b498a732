"""Which kinds of walls work on this machine: found by trying (`runtimes.md` §7.8, §8.2).

A probe is a call that does nothing, made exactly as the calls of stages are: nothing is concluded
from a version, a distribution or a file that is there.
"""

import json
import os
from collections.abc import Iterator

from noether_contract.lean_dataclass import dataclass
from noether_contract.outcomes import ErrorClass, ErrorCode
from noether_contract.stage_environment import DEFAULT_PATH
from noether_runner.errors import RunnerError, StageError
from noether_runner.sandbox import confining, seccomp
from noether_runner.sandbox.backends import Bubblewrap, Landlock
from noether_runner.sandbox.bwrap import find_bubblewrap
from noether_runner.sandbox.calls import ChildCall, ChildResult, EndedFor
from noether_runner.sandbox.cancellation import Cancellation
from noether_runner.sandbox.child import Children
from noether_runner.sandbox.isolation import NOWHERE, Backend, Claims, NoBackendError
from noether_runner.sandbox.limits import StageLimits
from noether_runner.sandbox.shown import (
    PACKAGE,
    Interpreter,
    other_interpreters,
    own_interpreter,
)
from noether_runner.sandbox.stage_user import StageUser, can_reach, sandbox_user

_PROBE_SECONDS = 15.0
_LAST_WORDS = 400
_MOVE = "install noether-scheduler where every user can read it, or set stage_user"


@dataclass(frozen=True, slots=True)
class Probing:
    """Makes backends for stages of `user`, and tries them."""

    user: StageUser | None
    work_bytes: int
    children: Children
    cancellation: Cancellation

    def backend(self, name: str) -> Backend:
        """A backend that works here; raises NoBackendError."""
        return self._bubblewrap() if name == "bwrap" else self._landlock()

    def _landlock(self) -> Landlock:
        version = confining.landlock_version()
        if version == 0:
            raise NoBackendError("this kernel has no Landlock (5.13 and later, switched on)")
        machine = os.uname().machine
        filters = [seccomp.program_for(machine, internet=on) for on in (False, True)]
        if filters[0] is None or filters[1] is None:
            raise NoBackendError(f"there is no filter for the system calls of {machine}")
        backend = Landlock(version, (filters[0].hex(), filters[1].hex()), self.user)
        self._try(backend)
        return backend

    def _bubblewrap(self) -> Bubblewrap:
        path = os.environ.get("PATH", DEFAULT_PATH)
        program = find_bubblewrap(path)
        if program is None:
            raise NoBackendError("bubblewrap is not installed (no program bwrap)")
        user = sandbox_user(self.user)
        # a network name space leads nowhere by itself, so internet sockets may be made in it
        filtering = seccomp.program_for(os.uname().machine, internet=True)
        failure = NoBackendError(f"{PACKAGE} cannot be read by {_named(user)}; {_MOVE}")
        if not can_reach(str(PACKAGE), user):
            raise failure
        for interpreter in _interpreters(path, user):
            backend = Bubblewrap(
                program, interpreter, (filtering or b"").hex(), self.work_bytes, user
            )
            try:
                self._try(backend)
            except NoBackendError as error:
                failure = error
            else:
                return backend
        raise failure

    def _try(self, backend: Backend) -> None:
        call = ChildCall(
            token=os.urandom(8).hex(),
            directory=NOWHERE,
            environment=backend.room(NOWHERE, {}).environment if backend.name == "bwrap" else {},
            limits=StageLimits(wall_seconds=_PROBE_SECONDS),
            payload=b"",
            entry="noether_runner.sandbox.inside:nothing",
        )
        try:
            result = self.children.call(backend.enclose(call, Claims()), self.cancellation)
        except (OSError, RunnerError) as error:
            raise NoBackendError(f"it could not be tried: {error}") from None
        if result.ended_for in (EndedFor.CANCELLED, EndedFor.RUN_DEADLINE):
            raise _stopped(result, self.cancellation)
        if result.no_sandbox or result.wait_status != 0:
            raise NoBackendError(_last_words(result))


def _interpreters(path: str, user: StageUser | None) -> Iterator[Interpreter]:
    """What may run Python in a sandbox: our own interpreter, else one of the system."""
    seen = set()
    for each in (own_interpreter(), *other_interpreters(path), *other_interpreters(DEFAULT_PATH)):
        if each.program not in seen and can_reach(each.program, user, os.R_OK | os.X_OK):
            seen.add(each.program)
            paths = tuple(folder for folder in each.paths if can_reach(folder, user))
            yield Interpreter(each.program, each.prefix, each.options, paths)


def _last_words(result: ChildResult) -> str:
    """Why a probe failed, as it said itself."""
    if result.not_started is not None:
        return result.not_started
    if result.error is not None:
        return str(json.loads(result.error).get("message"))
    told = result.stderr.tail_bytes(_LAST_WORDS).decode("utf-8", "replace")
    lines = [line for line in told.splitlines() if line.strip()]
    if not lines:
        return f"its trial ended with wait status {result.wait_status}, without a word"
    return lines[-1].strip()


def _stopped(result: ChildResult, cancellation: Cancellation) -> StageError:
    if result.ended_for is EndedFor.RUN_DEADLINE:
        code, why = ErrorCode.RUN_TIMED_OUT, "the run reached its time limit"
    else:
        code, why = ErrorCode.RUN_INTERRUPTED, cancellation.reason or "cancelled"
    return StageError(ErrorClass.CANCELLED, f"stopped with the run: {why}", code=code)


def _named(user: StageUser | None) -> str:
    return "the user of the runner" if user is None else f"user {user.user}, as whom it would run"
