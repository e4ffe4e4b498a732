"""The private directory of one stage call: its working directory and TMPDIR, gone afterwards.

Gone is what was in it; the empty directory itself may stay until the run's own is removed. Taking
it away costs as much as the stage does where the disk keeps a journal: 0.3 to 2 ms on ext4.

The stage's user owns it. A run whose stages have a user of their own keeps these directories in a
place that user can pass through (`open_for`), since the scheduler's own is closed to it.
"""

import contextlib
import itertools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from noether_contract.outcomes import ErrorClass
from noether_contract.removal import remove_tree
from noether_runner.errors import StageError
from noether_runner.sandbox.stage_user import StageUser

_MOST_STAY = 16
_stayed = itertools.count()
"""Of the directories that may stay; a runner makes one run, so this counts those of the run."""


@contextlib.contextmanager
def private_directory(
    work_dir: Path,
    files: Mapping[str, bytes],
    user: StageUser | None = None,
    *,
    may_stay: bool = False,
) -> Iterator[Path]:
    """A new directory below `work_dir` (made if missing) that holds `files`; mode 0700.

    It and the files are `user`'s, else the runner's own. Removed with whatever the stage left in
    it, unreadable folders included; with `may_stay` only emptied, the first few times in a
    process. Raises StageError when it cannot be made; what cannot be removed stays, and is no
    failure of the stage.
    """
    directory = work_dir / f"stage-{os.urandom(8).hex()}"
    try:
        try:
            _make(directory, files, user)
        except OSError as error:
            raise StageError(
                ErrorClass.RUNTIME_UNAVAILABLE,
                f"no private directory could be made for the stage: {error}",
            ) from error
        yield directory
    finally:
        _remove(directory, files, may_stay=may_stay)


def open_for(user: StageUser | None, work_dir: Path) -> None:
    """Let a user pass through a run's directory, without seeing what is in it. Raises OSError."""
    if user is not None:
        work_dir.chmod(0o711)


def _make(directory: Path, files: Mapping[str, bytes], user: StageUser | None) -> None:
    try:
        directory.mkdir(mode=0o700)
    except FileNotFoundError:
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700)
    for name, content in files.items():
        (directory / name).write_bytes(content)
    if user is not None:
        for made in (*(directory / name for name in files), directory):
            os.chown(made, user.user, user.group)


def _remove(directory: Path, files: Mapping[str, bytes], *, may_stay: bool) -> None:
    """The common case, nothing but our own files, at the least cost."""
    try:
        for name in files:
            (directory / name).unlink(missing_ok=True)
        is_empty = next(directory.iterdir(), None) is None
        if may_stay and is_empty and next(_stayed) < _MOST_STAY:
            return
        directory.rmdir()
    except OSError:
        remove_tree(directory)
