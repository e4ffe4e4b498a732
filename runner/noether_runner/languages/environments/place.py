"""The name of an environment, and the folder that holds it.

The name is a hash of everything that decides what is in it: interpreter, its version, platform,
and the packages, in whatever order and spelling a stage writes them. A folder counts only with its
completion marker, which is written last, so what a killed build leaves is never used.
"""

import functools
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from noether_contract.lean_dataclass import dataclass

MARKER = "noether-complete.json"
_SEPARATORS = re.compile(r"[-_.]+")
_KEY_DIGITS = 32
KEY = re.compile(rf"[0-9a-f]{{{_KEY_DIGITS}}}")
"""What a name of an environment looks like."""


def normalised(entries: Iterable[str]) -> tuple[str, ...]:
    """Accepted entries of `# requires:` lines, each in one spelling (PEP 503), once, sorted."""
    return tuple(sorted({_normalised(entry) for entry in entries}))


def _normalised(entry: str) -> str:
    name, pin, version = (part.strip() for part in entry.partition("=="))
    # versions know no upper case either (PEP 440)
    return f"{_SEPARATORS.sub('-', name)}{pin}{version}".lower()


def environment_key(requires: tuple[str, ...]) -> str:
    """The name of the environment of normalised entries for the running interpreter."""
    described = json.dumps([*_interpreter(), list(requires)])
    return hashlib.sha256(described.encode("ascii")).hexdigest()[:_KEY_DIGITS]


@functools.cache
def _interpreter() -> tuple[str, str, str]:
    import sysconfig  # here: most runs need no environment

    version = sys.version.partition(" ")[0]
    # tells glibc from musl, and builds without the interpreter lock from others
    abi = str(sysconfig.get_config_var("SOABI") or "")
    return sys.implementation.name, version, f"{sysconfig.get_platform()} {abi}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the environment of some normalised entries is, or will be."""

    requires: tuple[str, ...]
    directory: Path

    @classmethod
    def of(cls, folder: Path, entries: Iterable[str]) -> "Place":
        """The place below `folder` for entries as a stage writes them."""
        requires = normalised(entries)
        return cls(requires, folder / environment_key(requires))

    @property
    def python(self) -> str:
        """The interpreter of the environment."""
        return python_in(self.directory)

    @property
    def lock(self) -> Path:
        """The file that whoever builds it has locked."""
        return self.directory.with_suffix(".lock")

    @property
    def building(self) -> Path:
        """The folder in which it is built, under the lock."""
        return self.directory.with_suffix(".building")

    def is_complete(self) -> bool:
        """Whether it may be used: marked, and the interpreter that it was made from still there."""
        return (self.directory / MARKER).is_file() and os.access(self.python, os.X_OK)

    def clear(self) -> None:
        """Remove what is not complete; only whoever holds the lock may. Raises OSError."""
        self.clear_building()
        remove_folder(self.directory)

    def clear_building(self) -> None:
        """Remove what a build has left, if it has left something. Raises OSError."""
        remove_folder(self.building)

    def complete(self) -> None:
        """Mark what was built and put it in its place. Raises OSError."""
        _move_scripts(self.building / "bin", self.building, self.directory)
        marker = self.building / MARKER
        told = {"requires": self.requires, "bytes": size_of(self.building)}
        marker.write_text(json.dumps(told) + "\n", encoding="ascii")
        _to_disk(marker)
        _to_disk(self.building)
        self.building.rename(self.directory)
        _to_disk(self.directory.parent)


def python_in(directory: Path) -> str:
    """The interpreter of an environment in `directory`."""
    return str(directory / "bin" / "python")


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(
        os.lstat(os.path.join(above, name)).st_size  # noqa: PTH118 - thousands of files
        for above, _, names in os.walk(folder)
        for name in names
    )


def remove_folder(folder: Path) -> None:
    """Remove a folder with everything below it, if it is there. Raises OSError."""
    if folder.exists():
        import shutil  # here: most runs build nothing

        shutil.rmtree(folder)


def _move_scripts(folder: Path, old: Path, new: Path) -> None:
    """Let the scripts of packages name the interpreter where it will be."""
    for script in folder.iterdir():
        if script.is_file() and not script.is_symlink():
            content = script.read_bytes()
            moved = content.replace(os.fsencode(old), os.fsencode(new))
            if moved != content:
                script.write_bytes(moved)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
