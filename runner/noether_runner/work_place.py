"""The private directory of one run: made before its first stage, gone after its last.

And the cache of a person, which stays.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from noether_contract.outcomes import ErrorCode
from noether_runner.errors import RunnerError


class WorkPlace:
    """A directory (0700) that holds the private directories of a run's stages.

    Entering raises `RunnerError` when it cannot be made, naming the path; leaving removes it with
    everything in it.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def __enter__(self) -> Path:
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
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
        # a stage may have taken permissions away; what cannot be removed is swept at the next start
        shutil.rmtree(self._path, ignore_errors=True)


def cache_of(environ: Mapping[str, str]) -> Path:
    """Where the commands of a person keep what they can make again (XDG Base Directory)."""
    base = environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    return Path(base) / "noether"
