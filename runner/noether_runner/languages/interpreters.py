"""Finding an interpreter on the PATH that the stage itself will have."""

import os
from collections.abc import Mapping
from pathlib import Path

from noether_contract.outcomes import ErrorClass
from noether_runner.errors import StageError


def find_interpreter(program: str, environment: Mapping[str, str]) -> str:
    """The absolute path of `program`; raises StageError (`runtime_unavailable`) if there is none.

    Relative entries of PATH are not looked at: they would mean the private directory.
    """
    path = environment.get("PATH", "")
    for folder in path.split(os.pathsep):
        candidate = f"{folder.rstrip('/')}/{program}"
        if folder.startswith("/") and _is_executable(candidate):
            return candidate
    raise StageError(
        ErrorClass.RUNTIME_UNAVAILABLE,
        f"the interpreter {program!r} is not on the stage's PATH ({path}); install it, or set PATH "
        "in the job's env",
    )


def _is_executable(candidate: str) -> bool:
    # first the question that never raises: a folder of PATH may be closed to this user
    return os.access(candidate, os.X_OK) and Path(candidate).is_file()
