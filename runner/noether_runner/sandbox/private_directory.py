"""The private directory of one stage call: its working directory and TMPDIR, gone afterwards.

The stage's user owns it. A run whose stages have a user of their own keeps these directories in a
place that user can pass through (`open_for`), since the scheduler's own is closed to it.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from noether_contract.outcomes import ErrorClass
from noether_runner.errors import StageError
from noether_runner.sandbox.stage_user import StageUser


@contextlib.contextmanager
def private_directory(
    work_dir: Path, files: Mapping[str, bytes], user: StageUser | None = None
) -> Iterator[Path]:
    """A new directory below `work_dir` (made if missing) that holds `files`; mode 0700.

    It and the files are `user`'s, else the runner's own. Removed with whatever the stage left in
    it, unreadable folders included. Raises StageError when it cannot be made; what cannot be
    removed stays, and is no failure of the stage.
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
        _remove(directory, files)


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


def _remove(directory: Path, files: Mapping[str, bytes]) -> None:
    """The common case (nothing but our own files) without importing shutil."""
    try:
        for name in files:
            (directory / name).unlink(missing_ok=True)
        directory.rmdir()
    except OSError:
        _remove_tree(directory)


def _remove_tree(directory: Path) -> None:
    import shutil

    shutil.rmtree(directory, ignore_errors=True)
    # root needs no permissions, and must not change those of whatever a link leads to
    if directory.exists() and os.geteuid() != 0:
        with contextlib.suppress(OSError):
            directory.chmod(0o700)
            for folder, names, _ in os.walk(directory):
                for name in names:
                    inner = Path(folder, name)
                    if not inner.is_symlink():
                        inner.chmod(0o700)
        shutil.rmtree(directory, ignore_errors=True)
