"""Building one environment: `python -m venv`, then its pip.

Both run as the program of a stage runs, below a stage-init of their own, with a clean environment:
so they have a time limit, end with the run however it ends, and leave no process behind. What pip
needs of the operator's surroundings comes with the request (`Packages.settings`).
"""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from noether_contract.lean_dataclass import dataclass
from noether_contract.messages import Packages
from noether_contract.outcomes import ErrorClass
from noether_contract.package_settings import passwords_in
from noether_contract.stage_environment import DEFAULT_PATH
from noether_runner.errors import StageError
from noether_runner.languages.environments.place import Place, python_in
from noether_runner.languages.language import run_apart
from noether_runner.languages.masking import Mask
from noether_runner.languages.verdict import ended_with_run, number_text
from noether_runner.sandbox.calls import ChildCall, ChildResult, EndedFor
from noether_runner.sandbox.cancellation import Cancellation
from noether_runner.sandbox.child import Children
from noether_runner.sandbox.limits import StageLimits
from noether_runner.sandbox.private_directory import private_directory

_PIP = (
    "install",
    "--no-input",
    "--only-binary",
    ":all:",
    "--disable-pip-version-check",
    "--no-color",
    "--progress-bar",
    "off",
    "--",
)
_ANY_SIZE = 1 << 44
"""Wheels of gigabytes are unpacked in memory and written to disk; no limit of a stage fits."""

_LAST_LINES = 8
_LINE_CHARACTERS = 400
_QUOTED_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Builder:
    """What every build of a run needs; `work_dir` takes what pip unpacks."""

    children: Children
    packages: Packages
    work_dir: Path

    def build(self, place: Place, cancellation: Cancellation) -> None:
        """Build what belongs in `place`; the caller has its lock.

        Raises StageError: `dependency_error` with the last lines of whatever failed, `cancelled`
        when the run was over before. What was built by then is removed.
        """
        try:
            place.clear()
            try:
                self._fill(place, cancellation)
                place.complete()
            finally:
                place.clear_building()
        except OSError as error:
            raise self._failed(place, f"{error.strerror or error} ({error.filename})") from error

    def _fill(self, place: Place, cancellation: Cancellation) -> None:
        deadline = time.monotonic() + self.packages.build_seconds
        with private_directory(self.work_dir, {}) as scratch:
            for program, call in self._steps(place, scratch, deadline):
                result = self.children.call(call, cancellation)
                if result.ended_for is EndedFor.RUN_DEADLINE:
                    raise ended_with_run(None)
                if result.ended_for is EndedFor.CANCELLED:
                    raise ended_with_run(cancellation.reason or "cancelled")
                objection = self._objection(program, result)
                if objection is not None:
                    raise self._failed(place, objection)

    def _steps(
        self, place: Place, scratch: Path, deadline: float
    ) -> Iterator[tuple[str, ChildCall]]:
        yield (
            "venv",
            self._call(
                (sys.executable, "-I", "-m", "venv", str(place.building)),
                {},
                (scratch, scratch),
                deadline,
            ),
        )
        yield (
            "pip",
            self._call(
                run_apart(python_in(place.building), "pip_install"),
                {"arguments": [*_PIP, *place.requires], "settings": self.packages.settings},
                (_operators_directory() or scratch, scratch),
                deadline,
            ),
        )

    def _call(
        self,
        argv: tuple[str, ...],
        payload: Mapping[str, object],
        directories: tuple[Path, Path],
        deadline: float,
    ) -> ChildCall:
        """One step; the directories are the working directory and that for temporary files."""
        directory, scratch = directories
        return ChildCall(
            token=os.urandom(8).hex(),
            directory=directory,
            environment={
                "PATH": os.environ.get("PATH", DEFAULT_PATH),
                "LC_ALL": "C.UTF-8",
                "TMPDIR": str(scratch),
            },
            limits=StageLimits(
                wall_seconds=max(0.001, deadline - time.monotonic()),
                memory_bytes=_ANY_SIZE,
                file_bytes=_ANY_SIZE,
            ),
            payload=json.dumps(payload).encode("ascii"),
            argv=argv,
        )

    def _objection(self, program: str, result: ChildResult) -> str | None:
        """What went wrong with a step, with its last words; None when nothing did."""
        if result.ended_for is EndedFor.STAGE_DEADLINE:
            limit = number_text(self.packages.build_seconds)
            return self._quoted(f"{program} was not done within the limit of {limit}s", result)
        if result.not_started is not None:
            return f"{program} could not be started: {result.not_started}"
        if result.error is not None:
            told = json.loads(result.error).get("message")
            return f"{program} could not be started: {told}"
        if result.wait_status is None:
            return f"{program} was ended from outside"
        code = os.waitstatus_to_exitcode(result.wait_status)
        if code == 0:
            return None
        how = f"ended with status {code}" if code > 0 else f"was killed by signal {-code}"
        return self._quoted(f"{program} {how}", result)

    def _quoted(self, what: str, result: ChildResult) -> str:
        lines = _last_lines(result.stderr.tail_bytes(_QUOTED_BYTES))
        # venv says on its standard output what it misses
        lines = lines or _last_lines(result.stdout.tail_bytes(_QUOTED_BYTES))
        text = what + "".join(f"\n  {line}" for line in lines)
        return Mask(passwords_in(self.packages.settings)).text(text)

    def _failed(self, place: Place, why: str) -> StageError:
        return StageError(
            ErrorClass.DEPENDENCY_ERROR,
            f"the environment for {', '.join(place.requires)} cannot be built (only wheels are "
            f"installed; the next use tries again): {why}",
        )


def _operators_directory() -> Path | None:
    """The working directory of the run: what relative paths in pip's settings are meant from."""
    try:
        return Path.cwd()
    except OSError:
        return None


def _last_lines(text: bytes) -> list[str]:
    lines = [line.rstrip() for line in text.decode("utf-8", "replace").splitlines()]
    return [line[:_LINE_CHARACTERS] for line in lines if line][-_LAST_LINES:]
