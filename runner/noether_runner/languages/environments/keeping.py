"""Keeping environments while they are used, and their folder within bounds.

A run holds what it uses (`hold`): a shared lock on the environment's folder, which the kernel drops
when the run is over, however it ends. After a build, what was used longest ago is removed until the
rest fits (`prune`). What somebody holds or builds, or has used within a day, stays even if it is
too much: daily jobs must not take turns in removing each other's. An environment goes away by a
rename, so nobody meets half of one, and whoever wants it later builds it again.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from noether_contract.lean_dataclass import dataclass
from noether_runner.languages.environments.place import KEY, MARKER, remove_folder, size_of

MOST_BYTES = 4 * 1024**3
"""What the environments of one folder may take together. One with pip and nothing large takes some
15 MB, one with the largest packages of science or learning a few GB."""

SPARED_SECONDS = 24 * 3600.0
"""What was used in this time stays."""

_GONE = ".gone"


@dataclass(frozen=True, slots=True)
class _Kept:
    """A complete environment: when it was last taken (seconds since 1970), and its size."""

    directory: Path
    used_at: float
    size: int


def hold(directory: Path) -> int:
    """A descriptor that keeps a complete environment where it is for as long as it is open.

    Raises OSError: it is gone or going (`PermissionError` when this user may only pass through).
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if not is_same(descriptor, directory):
            raise FileNotFoundError(directory)
    except OSError:
        os.close(descriptor)
        raise
    with contextlib.suppress(OSError):
        # another user's: it counts as used when that one used it
        os.utime(directory / MARKER)
    return descriptor


def is_same(descriptor: int, path: Path) -> bool:
    """Whether what was opened still is what the path names."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def prune(folder: Path, now: float, most_bytes: int = MOST_BYTES) -> None:
    """Make room in a folder of environments; what cannot be removed stays.

    `now` is the wall clock, seconds since 1970. Only one process does it at a time: others leave
    it to that one.
    """
    with _alone(folder, os.O_DIRECTORY) as is_ours:
        if not is_ours:
            return
        for left in _ours(folder, _GONE):
            _away(left)
        kept = sorted(_complete(folder), key=lambda each: each.used_at)
        excess = sum(each.size for each in kept) - most_bytes
        for each in kept:
            if excess <= 0 or each.used_at > now - SPARED_SECONDS:
                break
            if _take_away(each.directory):
                excess -= each.size
        for lock in _ours(folder, ".lock"):
            _tidy(lock)


def _ours(folder: Path, suffix: str) -> list[Path]:
    found = folder.glob(f"*{suffix}") if suffix else folder.iterdir()
    return [path for path in found if KEY.fullmatch(path.name.removesuffix(suffix))]


def _complete(folder: Path) -> Iterator[_Kept]:
    for directory in _ours(folder, ""):
        with contextlib.suppress(OSError):
            marker = directory / MARKER
            yield _Kept(directory, marker.stat().st_mtime, _size(directory, marker))


def _size(directory: Path, marker: Path) -> int:
    with contextlib.suppress(ValueError, TypeError, KeyError):
        return int(json.loads(marker.read_bytes())["bytes"])
    return size_of(directory)  # it was built by a version that did not note it


def _take_away(directory: Path) -> bool:
    """Remove an environment that nobody holds or builds; False when it stays."""
    lock = directory.with_suffix(".lock")
    gone = directory.with_suffix(_GONE)
    with _alone(lock, os.O_CREAT) as nobody_builds:
        if not nobody_builds:
            return False
        with _alone(directory, os.O_DIRECTORY) as nobody_holds:
            if not nobody_holds:
                return False
            try:
                directory.rename(gone)
            except OSError:
                return False
    _away(gone)
    return True


def _tidy(lock: Path) -> None:
    """Remove what builds have left that were killed, or that failed and were not tried again."""
    with _alone(lock, 0) as nobody_builds:
        if nobody_builds:
            _away(lock.with_suffix(".building"))
            if not lock.with_suffix("").exists():
                lock.unlink(missing_ok=True)


def _away(folder: Path) -> None:
    with contextlib.suppress(OSError):
        remove_folder(folder)


@contextlib.contextmanager
def _alone(path: Path, flags: int) -> Iterator[bool]:
    """Whether nobody else has a lock on it; if so, nobody gets one before the end of the block."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags, 0o644)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield is_same(descriptor, path)
    finally:
        os.close(descriptor)
