"""Which sandbox the stages of a run get (`runtimes.md` §7.8).

A named backend is a requirement: a stage is never run without the isolation that was asked for.
`auto` takes the best backend whose probe passes, else none, with a warning, unless isolation is
required. The choice is made when the first stage asks, once in a run. What the backends need is
only imported then: a run without walls does not pay for them.
"""

import threading
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from noether_contract.lean_dataclass import dataclass
from noether_contract.messages import Grants
from noether_contract.outcomes import ErrorClass
from noether_runner.errors import StageError
from noether_runner.sandbox.calls import ChildCall, ChildResult
from noether_runner.sandbox.cancellation import Cancellation
from noether_runner.sandbox.child import Children
from noether_runner.sandbox.environment import stage_environment
from noether_runner.sandbox.wire import Confinement
from noether_runner.stages.effects import EffectSet

if TYPE_CHECKING:
    from noether_runner.sandbox.probing import Probing
    from noether_runner.sandbox.stage_user import StageUser

Mode = Literal["none", "auto", "bwrap", "landlock"]

NO_EFFECTS = EffectSet()
NO_GRANTS = Grants()

NOWHERE = Path("/")
"""The working directory of what has no private one."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What one stage may need beyond a runtime: what it declares and what the operator grants.

    `protected` are files and folders of the scheduler itself (`policy.py`). `files` are name and
    text of what the bootstrap of its language reads in the working directory.
    """

    effects: EffectSet = NO_EFFECTS
    grants: Grants = NO_GRANTS
    protected: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()


class Room(NamedTuple):
    """Where a stage finds itself: its working directory, as it names it, and its environment."""

    directory: Path
    environment: dict[str, str]


class Backend(Protocol):
    """One way to shut stages in: where a stage finds itself, and what its call becomes."""

    @property
    def name(self) -> str:
        """The word for it in requests and traces."""

    @property
    def detail(self) -> str:
        """What there is to know of it on this machine."""

    def room(self, directory: Path, granted: Mapping[str, str]) -> Room:
        """Where a stage with this private directory of the host finds itself."""

    def enclose(self, call: ChildCall, claims: Claims) -> ChildCall:
        """The call with walls around it; raises StageError for a claim that cannot be met."""

    def discarded(self, directory: Path, result: ChildResult) -> int:
        """How many files of the stage's own go with its private home."""


@dataclass(frozen=True, slots=True)
class NoWalls:
    """Limits and hygiene only; at most another user."""

    user: "StageUser | None" = None
    name: str = "none"
    detail: str = "limits and process hygiene only"

    def room(self, directory: Path, granted: Mapping[str, str]) -> Room:
        """The private directory, which is also TMPDIR; HOME is what is granted."""
        return Room(directory, stage_environment(granted, directory))

    def enclose(self, call: ChildCall, claims: Claims) -> ChildCall:
        """The call as it is, or as another user's."""
        del claims
        if self.user is None:
            return call
        return replace(call, confinement=Confinement(user=self.user))

    def discarded(self, directory: Path, result: ChildResult) -> int:
        """None: there is no private home."""
        del directory, result
        return 0


class NoBackendError(Exception):
    """A backend cannot be used here; the text says why."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The backend in effect, and what the author of the request should know about it."""

    backend: Backend
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class Isolation:
    """The choice for the stages of one run; may be asked from many threads.

    `user` is whom stages drop to. `work_bytes` bounds private directories in a sandbox.
    """

    mode: Mode = "none"
    required: bool = False
    user: "StageUser | None" = None
    work_bytes: int = 256 * 1024 * 1024
    _settled: Chosen | str | None = field(init=False, default=None)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if self.mode == "none":
            self._settled = (
                "refusing to run without isolation: it is required here "
                "(NOETHER_REQUIRE_ISOLATION) and 'none' was asked for; set isolation to 'auto', "
                "'bwrap' or 'landlock'"
                if self.required
                else Chosen(NoWalls(self.user))
            )

    def choose(self, children: Children, cancellation: Cancellation) -> Chosen:
        """The backend; raises StageError (`isolation_unavailable`) when there may be no run."""
        if self._settled is None:
            with self._lock:
                if self._settled is None:
                    from noether_runner.sandbox.probing import Probing  # most runs have no walls

                    wanted = (self.user, self.work_bytes)
                    self._settled = self._choose(Probing(*wanted, children, cancellation))
        if isinstance(self._settled, str):
            raise StageError(ErrorClass.ISOLATION_UNAVAILABLE, self._settled)
        return self._settled

    def _choose(self, probing: "Probing") -> Chosen | str:
        if self.mode == "auto":
            return self._best(probing)
        try:
            return Chosen(probing.backend(self.mode))
        except NoBackendError as error:
            return (
                f"the sandbox backend {self.mode!r} is not available: {error}; a stage is never "
                "run without the isolation that was asked for"
            )

    def _best(self, probing: "Probing") -> Chosen | str:
        reasons = []
        for name in ("bwrap", "landlock"):
            try:
                return Chosen(probing.backend(name))
            except NoBackendError as error:
                reasons.append(f"{name}: {error}")
        told = f"no sandbox backend works here ({'; '.join(reasons)})"
        if self.required:
            return f"refusing to run without isolation, which is required here: {told}"
        return Chosen(NoWalls(self.user), (f"isolation is none: {told}",))
