"""The two kinds of walls around a stage: Landlock with a filter, and bubblewrap.

What they need of the machine was probed before (`probing.py`).
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from noether_contract.lean_dataclass import dataclass
from noether_contract.outcomes import ErrorClass
from noether_runner.errors import StageError
from noether_runner.sandbox import bwrap, landlock
from noether_runner.sandbox.calls import ChildCall, ChildResult
from noether_runner.sandbox.discarded import count_files
from noether_runner.sandbox.environment import stage_environment
from noether_runner.sandbox.isolation import NOWHERE, Claims, Room
from noether_runner.sandbox.limits import process_limits
from noether_runner.sandbox.policy import Policy, policy_for
from noether_runner.sandbox.shown import (
    NETWORK_FILES,
    PACKAGE,
    SYSTEM_FILES,
    SYSTEM_FOLDERS,
    Interpreter,
    View,
    certificate_places,
    interpreter_folders,
    program_folders,
)
from noether_runner.sandbox.stage_user import NOBODY, StageUser, closed_folder
from noether_runner.sandbox.wire import Confinement, Order

_TEMPORARY = ".tmp"
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_PUBLIC_PROC = (
    "cpuinfo", "filesystems", "loadavg", "meminfo", "stat", "sys", "uptime", "version",
)  # fmt: skip
_CERTIFICATES = Path("/etc/ssl")


@dataclass(frozen=True, slots=True)
class Landlock:
    """Files by path, TCP and signals, and a filter for system calls, in the stage's own process.

    `filters` are the programs without and with internet sockets, hexadecimal.
    """

    abi: int
    filters: tuple[str, str]
    user: StageUser | None = None
    name: str = "landlock"

    @property
    def detail(self) -> str:
        """The ABI, and what it cannot do."""
        missing = landlock.gaps(self.abi)
        without = f"; this kernel leaves open: {'; '.join(missing)}" if missing else ""
        return f"Landlock ABI {self.abi} and a filter for system calls{without}"

    def room(self, directory: Path, granted: Mapping[str, str]) -> Room:
        """The private directory is home as well; temporary files are in a folder of it."""
        temporary = directory / _TEMPORARY
        temporary.mkdir(mode=0o700)
        if self.user is not None:
            os.chown(temporary, self.user.user, self.user.group)
        environment = {**stage_environment(granted, temporary), "HOME": str(directory)}
        return Room(directory, environment)

    def enclose(self, call: ChildCall, claims: Claims) -> ChildCall:
        """The same process, which gives up everything else before user code."""
        policy = policy_for(claims.effects, claims.grants, claims.protected)
        rules = [*self._rules_for_all(call), *self._rules_of(policy, call.environment)]
        ruleset = landlock.ruleset_for(self.abi, rules, network=policy.network)
        confinement = Confinement(self.user, ruleset, self.filters[policy.network])
        return replace(call, confinement=confinement)

    def discarded(self, directory: Path, result: ChildResult) -> int:
        """What lies in the private directory beside the source and temporary files."""
        del result
        own_files = 1
        temporary = count_files(str(directory / _TEMPORARY))
        return count_files(str(directory)) - temporary - own_files

    def _rules_for_all(self, call: ChildCall) -> list[landlock.Rule]:
        view = View()
        if call.argv:
            view.show_program(call.argv[0])
        readable = ("/usr", *SYSTEM_FOLDERS, *SYSTEM_FILES, *interpreter_folders(), *view.places)
        return [
            *((path, landlock.READ) for path in readable),
            *((f"/dev/{name}", landlock.DEVICE) for name in _DEVICES),
            # names of processes, without what they are; and the stage's own entry
            ("/proc", landlock.LIST),
            ("/proc/self", landlock.READ),
            *((f"/proc/{name}", landlock.READ) for name in _PUBLIC_PROC),
            # an OpenSSL that may not read its settings does not start
            (str(_CERTIFICATES / "openssl.cnf"), landlock.READ),
            *([] if call.directory == NOWHERE else [(str(call.directory), landlock.WRITE)]),
        ]

    def _rules_of(self, policy: Policy, environment: Mapping[str, str]) -> list[landlock.Rule]:
        readable = [each.real for each in policy.read]
        if policy.network:
            readable += [path for path in NETWORK_FILES if path != str(_CERTIFICATES)]
            readable += [*_public_certificates(), *certificate_places(environment)]
        if policy.programs:
            readable += program_folders(environment)
        return [
            *((path, landlock.READ) for path in readable),
            *((each.real, landlock.WRITE) for each in policy.write),
        ]


@dataclass(frozen=True, slots=True)
class Bubblewrap:
    """Name spaces of its own for everything: files, processes, network, users.

    `interpreter` runs the stage-init inside, and Python stages. `work_bytes` bounds each private
    directory. `filter` is a program for system calls, hexadecimal, or empty.
    """

    program: str
    interpreter: Interpreter
    filter: str
    work_bytes: int
    user: StageUser | None = None
    name: str = "bwrap"

    @property
    def detail(self) -> str:
        """The programs, and whom they run as."""
        user = "the user of the runner" if self.user is None else f"user {self.user.user}"
        return f"{self.program} as {user}, Python stages on {self.interpreter.program}"

    def room(self, directory: Path, granted: Mapping[str, str]) -> Room:
        """A home that is only in there."""
        del directory
        environment = stage_environment(granted, Path(bwrap.HOME))
        return Room(Path(bwrap.HOME), bwrap.sandbox_environment(environment))

    def enclose(self, call: ChildCall, claims: Claims) -> ChildCall:
        """bubblewrap as the process, with a stage-init and the stage inside."""
        policy = policy_for(claims.effects, claims.grants, claims.protected)
        view, command = self._command()
        argv: tuple[str, ...] = ()
        if call.argv:
            program = view.show_program(call.argv[0])
            argv = (program, *(view.translate(word) or word for word in call.argv[1:]))
        order = Order(
            token=call.token,
            directory=bwrap.HOME,
            environment=dict(call.environment),
            limits=process_limits(call.limits, 0, NOBODY),
            entry=call.entry,
            argv=argv,
            confinement=Confinement(filter=self.filter, files=claims.files),
        )
        if self.user is not None:
            _check_ways(self.user, policy, view)
        around = bwrap.arguments(policy, view, call.environment, self.work_bytes, self.user)
        return replace(
            call,
            directory=NOWHERE,
            entry=None,
            argv=(self.program, *around, *command),
            confinement=Confinement(user=self.user, inside=order.pack().decode("ascii")),
        )

    def discarded(self, directory: Path, result: ChildResult) -> int:
        """What the stage-init inside has counted."""
        del directory
        return result.discarded_files

    def _command(self) -> tuple[View, tuple[str, ...]]:
        """What is shown for it, and how the stage-init inside is started."""
        view = View()
        view.show(self.interpreter.prefix)
        program = view.show_program(self.interpreter.program)
        folders = [view.show(folder) for folder in self.interpreter.paths]
        apart = view.show(str(PACKAGE)) + "/languages/children/apart.py"
        options = self.interpreter.options
        return view, (program, *options, apart, "noether_runner.sandbox.inside", *folders)


def _check_ways(user: StageUser, policy: Policy, view: View) -> None:
    """Raises StageError when the sandbox's user cannot get to what it has to show.

    Where the files themselves are closed to that user, the stage will be told so.
    """
    granted = (*policy.read, *policy.write)
    for path in (*(each.real for each in granted), *view.places):
        closed = closed_folder(path, user)
        if closed is not None:
            raise StageError(
                ErrorClass.ISOLATION_UNAVAILABLE,
                f"{path} cannot be shown in its sandbox: user {user.user}, as whom it runs since "
                f"the runner is root's, may not pass {closed}; open that folder to it, or run the "
                "service as a user of its own",
            )


def _public_certificates() -> list[str]:
    """What is in `/etc/ssl` beside private keys, which root could read."""
    try:
        return [str(entry) for entry in _CERTIFICATES.iterdir() if entry.name != "private"]
    except OSError:
        return []
