"""One service a state directory: a lock that the kernel drops when its holder dies."""

import fcntl
import os
import time
from pathlib import Path

from noether_supervisor.errors import HistoryError
from noether_supervisor.storage.opening import private_directory
from noether_supervisor.storage.trouble import file_trouble

LOCK_NAME = "service.lock"

_MOMENT_SECONDS = 0.5


class StateLock:
    """The right to be the one service on a state directory, from `take` to `release`.

    An flock(2) on `service.lock`, whose text is the holder's pid. The file stays when the lock is
    gone: removing it would let two services lock two files of one name.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def take(cls, state_dir: Path) -> "StateLock":
        """The lock; raises `HistoryError` naming the pid of the service that has it."""
        private_directory(state_dir)
        path = state_dir / LOCK_NAME
        try:
            # Not inheritable (as all of Python's descriptors): a child must not keep the lock.
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise file_trouble(error, path) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            holder = _holder(descriptor)
            os.close(descriptor)
            raise HistoryError(
                f"another noether-scheduler (pid {holder}) already works on the state directory "
                f"{state_dir}: stop it, or give this one another state_dir"
            ) from None
        except OSError as error:
            os.close(descriptor)
            raise file_trouble(error, path) from error
        return cls(descriptor)

    @property
    def mark(self) -> str:
        """What tells this state directory from every other one of this machine: its lock's inode.

        The processes of a service carry it in their command lines (`runs/leftovers.py`).
        """
        assert self._descriptor is not None
        status = os.fstat(self._descriptor)
        return f"{status.st_dev:x}-{status.st_ino:x}"

    def release(self) -> None:
        """Give the lock back; a second call does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> "StateLock":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _holder(descriptor: int) -> str:
    """The pid of the service that has the lock, which it writes a moment after it got the lock."""
    ends = time.monotonic() + _MOMENT_SECONDS
    while True:
        text = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        if text.isdigit() and Path(f"/proc/{text}").exists():
            return text
        if time.monotonic() > ends:
            return "unknown"
        time.sleep(_MOMENT_SECONDS / 50)
