"""One folder of wheels and one environment built from them, for all tests that need some."""

from pathlib import Path
from typing import Any

import pytest

from harness_calls import no_process_left
from noether_contract.messages import Packages
from noether_runner.languages.environments.finder import PythonEnvironments
from noether_runner.languages.requirements import read_requirements
from noether_runner.sandbox.cancellation import CancelSwitch
from noether_runner.sandbox.child import Children
from wheels import LINE, make_wheels, packages_for


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of wheels."""
    folder = tmp_path_factory.mktemp("packages") / "wheels"
    make_wheels(folder)
    return folder


@pytest.fixture(scope="session")
def prepared(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The `packages` of a harness whose environment for `LINE` is built already."""
    packages = packages_for(wheels, tmp_path_factory.mktemp("environments"))
    folder, work_dir = Path(packages["folder"]), tmp_path_factory.mktemp("work")
    switch = CancelSwitch()
    with no_process_left(), Children.start(clean_fork=False) as children:
        environments = PythonEnvironments(children, folder, Packages(**packages), work_dir)
        environments.find(read_requirements(LINE).accepted, switch)
    switch.close()
    return packages
