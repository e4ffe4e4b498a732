"""The disk cache of one registry's stages, shared by all runs (`stages.md` §8.4).

    objects/<first 2 hex digits>/<id>.json    the record as received
    facts/<id>.json                           what may change, and when it was seen
    corrupt/<id>.json                         records that were found damaged

Every write is a temporary file and a rename, so a reader meets a whole file or none. What cannot
be written is not cached: `problem` says so, and the run goes on. Whoever reads a record proves it
(`library.py`): nothing here trusts what lies on disk.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from noether_contract.lean_dataclass import dataclass
from noether_runner.stores.registry.facts import Fact, read_fact, write_fact

_TOUCH_SECONDS = 3600.0
"""How old the mark of last use gets before it is renewed; coarse, so that reading writes little."""

_SWEEP_BYTES = 8 * 1024 * 1024
"""After so much writing the size is looked at again."""


@dataclass(frozen=True, slots=True)
class _Kept:
    used_at: float
    size: int
    path: Path


class Cache:
    """The folder of one registry; None keeps nothing. Ids are 64 hex digits, checked by callers."""

    def __init__(self, folder: Path | None, most_bytes: int) -> None:
        self.folder = folder
        self.problem: str | None = None
        self._most_bytes = most_bytes
        self._unswept: int | None = None

    def object_path(self, stage_id: str) -> Path | None:
        """Where the record of a stage lies, if there is one."""
        if self.folder is None:
            return None
        return self.folder / "objects" / stage_id[:2] / f"{stage_id}.json"

    def record(self, stage_id: str) -> bytes | None:
        """The text of a record, unproven."""
        path = self.object_path(stage_id)
        text = _read(path)
        if path is not None and text is not None:
            _touch(path)
        return text

    def keep(self, stage_id: str, record: bytes) -> None:
        """Stores a proven record; makes room when the cache has grown too large."""
        path = self.object_path(stage_id)
        if path is None or _read(path) == record:
            return
        if self._write(path, record):
            grown = self._unswept
            self._unswept = None if grown is None else grown + len(record)
            if self._unswept is None or self._unswept > _SWEEP_BYTES:
                self._sweep()

    def fact(self, stage_id: str) -> Fact | None:
        """What was last seen of a stage."""
        text = None if self.folder is None else _read(self._fact_path(stage_id))
        return None if text is None else read_fact(text)

    def note(self, stage_id: str, fact: Fact) -> None:
        """Stores what was seen of a stage."""
        if self.folder is not None:
            self._write(self._fact_path(stage_id), write_fact(fact))

    def set_aside(self, stage_id: str) -> Path | None:
        """Moves a damaged record out of the way, and says where to."""
        path = self.object_path(stage_id)
        if path is None or self.folder is None:
            return None
        aside = self.folder / "corrupt" / path.name
        try:
            make_folder(aside.parent)
            path.replace(aside)
        except OSError:
            with suppress(OSError):
                path.unlink()
            return path
        return aside

    def write(self, name: str, text: bytes) -> bool:
        """Replaces a file of the folder itself; False when that is not possible."""
        return self.folder is not None and self._write(self.folder / name, text)

    def read(self, name: str) -> bytes | None:
        """The content of a file of the folder itself."""
        return None if self.folder is None else _read(self.folder / name)

    def _fact_path(self, stage_id: str) -> Path:
        assert self.folder is not None
        return self.folder / "facts" / f"{stage_id}.json"

    def _write(self, path: Path, text: bytes) -> bool:
        try:
            make_folder(path.parent)
            descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(text)
                Path(temporary).replace(path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            reason = error.strerror or type(error).__name__
            self.problem = f"the cache {self.folder} cannot be written ({reason})"
            return False
        return True

    def _sweep(self) -> None:
        """Removes what was used longest ago until the folder is within its bound."""
        self._unswept = 0
        kept = sorted(self._files(), key=lambda each: each.used_at)
        excess = sum(each.size for each in kept) - self._most_bytes
        for each in kept:
            if excess <= 0:
                return
            if each.path.parent == self.folder:
                continue  # index, locks and the like: they count, but go their own ways
            with suppress(OSError):
                each.path.unlink()
                excess -= each.size

    def _files(self) -> Iterator[_Kept]:
        assert self.folder is not None
        for folder, _, names in os.walk(self.folder):
            for name in names:
                path = Path(folder, name)
                with suppress(OSError):
                    found = path.stat()
                    yield _Kept(found.st_mtime, found.st_size, path)


def make_folder(path: Path) -> None:
    """Makes a folder and those above it, each for this user alone."""
    if not path.is_dir():
        if path.parent != path:
            make_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def _read(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError:
        return None


def _touch(path: Path) -> None:
    with suppress(OSError):
        if time.time() - path.stat().st_mtime > _TOUCH_SECONDS:
            os.utime(path)
