"""Builds environments without pip: the two steps of a build are scripted, the folders are real."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from noether_contract.messages import Packages
from noether_runner.errors import StageError
from noether_runner.languages.environments.finder import PythonEnvironments
from noether_runner.sandbox.calls import ChildCall, ChildResult
from noether_runner.sandbox.cancellation import Cancellation
from noether_runner.sandbox.child import Children
from noether_runner.sandbox.logs import Log

ENTRIES = ("tiny==1.0", "Other_Thing==2")


def done(status: int = 0, **facts: Any) -> ChildResult:
    """A step that ended with this exit status."""
    return ChildResult(Log(), Log(), wait_status=status << 8, **facts)


Step = Callable[[ChildCall], ChildResult]


@dataclass
class Steps:
    """Stands for `Children`: makes what venv makes, and answers for pip."""

    pip: Step = field(default=lambda _: done())
    venv: Step = field(default=lambda _: done())
    calls: list[ChildCall] = field(default_factory=list)
    asked_by: Cancellation | None = None

    def call(self, call: ChildCall, cancellation: Cancellation) -> ChildResult:
        self.calls.append(call)
        self.asked_by = cancellation
        if call.argv[0] != sys.executable:
            return self.pip(call)
        fill(Path(call.argv[-1]))
        return self.venv(call)


def fill(folder: Path) -> None:
    """What an environment needs to be one."""
    scripts = folder / "bin"
    scripts.mkdir(parents=True)
    (scripts / "python").symlink_to(sys.executable)
    (scripts / "tool").write_text(f"#!{scripts}/python\n")


def environments(tmp_path: Path, steps: Steps, **packages: Any) -> PythonEnvironments:
    return PythonEnvironments(
        cast("Children", steps),
        tmp_path / "kept",
        Packages(**packages),
        tmp_path / "work",
    )


def failure(found: PythonEnvironments, switch: Cancellation) -> StageError:
    with pytest.raises(StageError) as caught:
        found.find(ENTRIES, switch)
    return caught.value
