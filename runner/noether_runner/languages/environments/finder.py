"""Finding the environment of a stage, and building it when it is not there yet.

Whoever needs the same environment at the same time (another thread, another run, `check
--prepare`) waits for the one who builds it: a lock on a file, which the kernel drops when its
holder dies. Waiting ends with the run as well. What a run has found stays until it is over
(`keeping.py`).
"""

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from noether_contract.lean_dataclass import dataclass
from noether_contract.messages import Packages, RunRequest
from noether_contract.outcomes import ErrorClass
from noether_runner.errors import StageError
from noether_runner.languages.environments.build import Builder
from noether_runner.languages.environments.keeping import hold, is_same, prune
from noether_runner.languages.environments.place import Place
from noether_runner.languages.verdict import ended_with_run
from noether_runner.sandbox.cancellation import Cancellation
from noether_runner.sandbox.child import Children
from noether_runner.sandbox.stage_user import StageUser, closed_folder

_LOOK_AGAIN_SECONDS = 0.1
"""A file lock has no descriptor to wait on beside that of the cancellation."""


@dataclass(frozen=True, slots=True)
class Found:
    """The interpreter of an environment; `built_seconds` when it had to be built first."""

    python: str
    built_seconds: float | None = None


class PythonEnvironments:
    """The environments that the stages of one run may need; usable from many threads.

    `folder` keeps them (made when missing). A failed build is tried again by whoever asks next,
    but not by those who waited for it: they get its failure.
    """

    def __init__(
        self, children: Children, folder: Path, packages: Packages, work_dir: Path
    ) -> None:
        self._folder = folder
        self._builder = Builder(children, packages, work_dir)
        self._failures: dict[Place, StageError] = {}
        self._held: dict[Place, int] = {}
        self._holding = threading.Lock()
        self.allow_unpinned = packages.allow_unpinned

    def __del__(self) -> None:
        # It lives as long as the run that uses it, which nobody closes.
        for descriptor in self._held.values():
            os.close(descriptor)

    def place_of(self, entries: Sequence[str]) -> Place:
        """Where the environment of accepted entries is, or will be."""
        return Place.of(self._folder, entries)

    def find(self, entries: Sequence[str], cancellation: Cancellation) -> Found:
        """The environment of accepted entries, built when it must be.

        Raises StageError: `dependency_error` when it cannot be built, `cancelled` when the run
        was over before.
        """
        place = self.place_of(entries)
        if self._take(place):
            return Found(place.python)
        failed_before = self._failures.get(place)
        with _locked(place, cancellation):
            if self._take(place):
                return Found(place.python)
            failed = self._failures.get(place)
            if failed is not None and failed is not failed_before:
                raise StageError(failed.error_class, failed.message)
            began = time.monotonic()
            try:
                self._builder.build(place, cancellation)
            except StageError as error:
                if error.error_class is ErrorClass.DEPENDENCY_ERROR:
                    self._failures[place] = error
                raise
            self._take(place)
        prune(self._folder, time.time())
        return Found(place.python, time.monotonic() - began)

    def _take(self, place: Place) -> bool:
        """Whether it is there; if so, nobody removes it before this run is over."""
        if not place.is_complete():
            return False
        with self._holding:
            known = self._held.get(place)
            if known is not None and is_same(known, place.directory):
                return True
            try:
                descriptor = hold(place.directory)
            except PermissionError:
                return True
            except OSError:
                return False
            self._held[place] = descriptor
            if known is not None:
                os.close(known)
        return place.is_complete()


def check_way(python: str, user: StageUser | None) -> None:
    """Raises StageError when the user that stages drop to cannot get to an environment."""
    if user is None:
        return
    for path in (Path(python).parents[1] / "pyvenv.cfg", Path(python)):
        closed = closed_folder(str(path), user)
        if closed is not None:
            raise StageError(
                ErrorClass.RUNTIME_UNAVAILABLE,
                f"its environment is out of reach: user {user.user}, as whom it runs, may not pass "
                f"{closed}, on the way to {path}; open that folder to it (chmod o+x)",
            )


def environments_of(request: RunRequest, children: Children) -> PythonEnvironments:
    """The environments of a request's run."""
    folder = request.packages.folder or Path(request.cache_dir, "environments")
    return PythonEnvironments(children, Path(folder), request.packages, Path(request.work_dir))


@contextlib.contextmanager
def _locked(place: Place, cancellation: Cancellation) -> Iterator[None]:
    while True:
        descriptor = _open_lock(place)
        try:
            while not _try_lock(descriptor):
                if cancellation.wait(_LOOK_AGAIN_SECONDS):
                    raise ended_with_run(cancellation.reason)
            if is_same(descriptor, place.lock):
                yield
                return
            # else it was tidied away meanwhile, and whoever comes next locks another one
        finally:
            os.close(descriptor)


def _open_lock(place: Place) -> int:
    try:
        place.lock.parent.mkdir(parents=True, exist_ok=True)
        # reading is enough to lock: the one who comes next may be another user
        return os.open(place.lock, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StageError(
            ErrorClass.DEPENDENCY_ERROR,
            f"the environment for {', '.join(place.requires)} cannot be kept in "
            f"{place.lock.parent}: {error.strerror}; let the user of the run write there, or "
            "build it ahead (noether-scheduler check --prepare) as one who may",
        ) from error


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
