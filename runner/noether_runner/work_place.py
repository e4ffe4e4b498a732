"""The private directory of one run: made before its first stage, gone after its last.

And the cache of a person, which stays.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from noether_contract.outcomes import ErrorCode
from noether_contract.removal import remove_tree
from noether_runner.errors import RunnerError

_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108 - the names made there are new, and ours


class WorkPlace:
    """A directory (0700) that holds the private directories of a run's stages.

    Entering raises `RunnerError` when it cannot be made, naming the path; leaving removes it with
    everything in it. With `may_be_given`, one that is there already is whoever's who made it, and
    removing it, which a busy disk can take milliseconds for, is left to him.
    """

    def __init__(self, path: str, *, may_be_given: bool = False) -> None:
        self._path = Path(path)
        self._may_be_given = may_be_given
        self._is_given = False

    def __enter__(self) -> Path:
        try:
            self._path.mkdir(mode=0o700, parents=True)
        except FileExistsError:
            self._is_given = self._may_be_given
        except OSError as error:
            message = (
                f"the run's private directory {self._path} cannot be made: "
                f"{os.strerror(error.errno or 0)}; check the disk and the directory's permissions"
            )
            raise RunnerError(ErrorCode.INTERNAL, message) from None
        return self._path

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._is_given:
            # what cannot be removed is swept at the next start
            remove_tree(self._path)


def new_folder(environ: Mapping[str, str], prefix: str) -> str:
    """A new private directory (0700), its name beginning so, in the folder for temporary files.

    That is `TMPDIR`, or else the system's. Raises `RunnerError` when none can be made there.
    """
    why = ""
    for place in filter(None, (environ.get("TMPDIR"), *_TEMPORARY)):
        folder = Path(place, f"{prefix}{os.urandom(8).hex()}").absolute()
        try:
            folder.mkdir(mode=0o700)
        except OSError as error:
            why = why or f"{folder} cannot be made: {os.strerror(error.errno or 0)}"
        else:
            return str(folder)
    message = f"a private directory for the run {why}; set TMPDIR to a folder that you may write to"
    raise RunnerError(ErrorCode.INTERNAL, message)


def cache_of(environ: Mapping[str, str]) -> Path:
    """Where the commands of a person keep what they can make again (XDG Base Directory)."""
    base = environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    return Path(base) / "noether"
