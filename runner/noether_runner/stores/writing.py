"""Changing a store file safely (`stages.md` §5.1).

Read, change, write under an advisory lock, so that two writers never lose each other's stages; the
new text replaces the old one in a single rename, so that no reader ever sees half of it.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from noether_runner.stores.content import EMPTY, read_content, read_file
from noether_runner.stores.ledger import Ledger
from noether_runner.stores.store import StoreError, reason_of


def read_ledger(path: Path) -> Ledger:
    """The stages of a store file for reading; a missing file has none. Raises `StoreError`."""
    read = read_file(path)
    return Ledger(EMPTY if read is None else read_content(read[0], path))


@contextmanager
def changing(path: Path) -> Iterator[Ledger]:
    """A ledger that is written back when the block ends well and has changed something.

    The file and its folders are made when they are missing. Raises `StoreError`; whatever is raised
    in the block leaves the file as it was.
    """
    # A link stays a link: what it points to is replaced.
    target = Path(os.path.realpath(path))
    with _locked(target):
        ledger = read_ledger(target)
        yield ledger
        if ledger.is_changed:
            _replace(target, ledger.text())


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = target.with_name(f"{target.name}.lock").open("a")
    except OSError as error:
        raise StoreError(target, f"cannot be changed ({reason_of(error)})") from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _replace(target: Path, text: bytes) -> None:
    temporary: str | None = None
    try:
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            _take_over_rights(file.fileno(), target)
            os.fsync(file.fileno())
        Path(temporary).replace(target)
        temporary = None
        _sync_folder(target.parent)
    except OSError as error:
        raise StoreError(target, f"cannot be written ({reason_of(error)})") from None
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _take_over_rights(descriptor: int, target: Path) -> None:
    """Owner and mode of the file that is replaced; a new file gets the usual ones."""
    try:
        old = target.stat()
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        os.fchmod(descriptor, 0o666 & ~umask)
        return
    with suppress(PermissionError):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, old.st_mode & 0o777)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
