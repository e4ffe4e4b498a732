"""A place whose state directory is a small file system of its own, seen by nobody else.

A holder process has a mount namespace of its own (unshare(1)), with a tmpfs mounted over the
state directory; commands and services of the place enter it (nsenter(1)). It goes, with all that
is in it, when the holder does. Needs root, or a kernel that lets anybody have user namespaces.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from running_service import Place

_AS_ROOT = ("unshare", "--mount", "--propagation", "private")
_AS_ANYBODY = ("unshare", "--user", "--map-root-user", "--mount", "--propagation", "private")


@dataclass(frozen=True)
class EnclosedPlace(Place):
    """A `Place` within the holder's namespace."""

    holder: int = 0

    @property
    def state(self) -> Path:
        """The state directory, as it can be reached from outside."""
        return Path(f"/proc/{self.holder}/root{state_of(self)}")

    def within(self, *words: str) -> list[str]:
        """A command to be run inside."""
        user = () if os.geteuid() == 0 else ("--user", "--preserve-credentials")
        where = ("-t", str(self.holder), *user, "--mount", f"--wd={self.folder}")
        return ["nsenter", *where, *words]

    def do(self, *words: str) -> None:
        """Runs a command inside, which must succeed."""
        subprocess.run(self.within(*words), check=True, capture_output=True, timeout=60)

    def fill(self) -> None:
        """Takes all the space that is left."""
        with (self.state / "filler").open("ab", buffering=0) as filler:
            for size in (65536, 4096):
                with contextlib.suppress(OSError):
                    while True:
                        filler.write(bytes(size))

    def free(self) -> None:
        """Gives it back."""
        (self.state / "filler").unlink()


def state_of(place: Place) -> Path:
    """The default state directory of a place."""
    return place.folder / ".noether" / "scheduler"


@contextlib.contextmanager
def enclosed(place: Place, kilobytes: int) -> Iterator[EnclosedPlace]:
    """The place with a state directory of so many kilobytes; skips where that is impossible."""
    state = state_of(place)
    state.mkdir(parents=True, mode=0o700)
    unshare = _AS_ROOT if os.geteuid() == 0 else _AS_ANYBODY
    mount = f"mount -t tmpfs -o size={kilobytes}k,mode=0700 tmpfs '{state}' && echo up && exec cat"
    holder = subprocess.Popen(
        [*unshare, "sh", "-c", mount],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        if holder.stdout.readline() != b"up\n":
            told = holder.communicate()[1].decode(errors="replace").strip()
            pytest.skip(f"no file system can be mounted here in a private namespace: {told}")
        yield EnclosedPlace(place.folder, holder=holder.pid)
    finally:
        # its lifeline
        holder.communicate(timeout=60)
