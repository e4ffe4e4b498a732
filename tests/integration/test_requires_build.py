"""Environments that are really built, from wheels in a folder: used, shared, failed, killed."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness_calls import HARNESS, call, no_process_left, run_harness
from noether_runner.languages.environments.place import Place
from wheels import LINE, packages_for

USES = f"{LINE}\nimport noether_tiny\ndef execute(n):\n    return noether_tiny.twice(n)\n"


SLOWLY_SECONDS = 300
"""A build may take long on a busy machine."""


def start(
    packages: Mapping[str, Any], made: Mapping[str, Any], temporary: Path | None = None
) -> "subprocess.Popen[str]":
    """A harness with one call, not waited for; `temporary` is where one that is killed leaves."""
    environment = dict(os.environ)
    if temporary is not None:
        environment["TMPDIR"] = str(temporary)
    harness = subprocess.Popen(
        [sys.executable, "-I", str(HARNESS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert harness.stdin is not None
    calls = [{**made, "run_seconds": SLOWLY_SECONDS}]
    json.dump({"calls": calls, "packages": packages}, harness.stdin)
    harness.stdin.close()
    harness.stdin = None
    return harness


def result(harness: "subprocess.Popen[str]") -> dict[str, Any]:
    """The only result of a harness."""
    out, _ = harness.communicate(timeout=SLOWLY_SECONDS)
    (only,) = json.loads(out)["results"]
    assert isinstance(only, dict)
    return only


def test_what_is_built_is_used_without_pip(prepared: dict[str, Any]) -> None:
    nothing_to_install = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null"}
    packages = {**prepared, "settings": nothing_to_install}
    (told,) = run_harness([call(USES, 21)], packages=packages)
    assert (told["output_text"], told["warnings"]) == ("42", [])


def test_a_stage_sees_its_environment_and_not_ours(prepared: dict[str, Any]) -> None:
    code = f"""{LINE}
import importlib.util, os, subprocess, sys
def execute(_):
    script = os.path.join(os.path.dirname(sys.executable), "noether-tiny-python")
    return {{
        "python": sys.executable,
        "path": sys.path,
        "script": subprocess.run([script], capture_output=True, text=True).stdout.strip(),
        "found": [
            name for name in ("noether_tiny", "noether_tiny_dep", "pydantic", "noether_supervisor")
            if importlib.util.find_spec(name)
        ],
        "pip": [name for name in os.environ if name.startswith("PIP_")],
    }}
"""
    (told,) = run_harness([call(code, {})], packages=prepared)
    seen = json.loads(told["output_text"])
    python = Place.of(Path(prepared["folder"]), ["noether-tiny==1.0"]).python
    assert (seen["python"], seen["script"]) == (python, python)
    assert seen["found"] == ["noether_tiny", "noether_tiny_dep"]
    assert not any("noether_runner" in entry or entry in ("", ".") for entry in seen["path"])
    assert seen["pip"] == []


@pytest.mark.parametrize("backend", ["landlock", "bwrap"])
def test_it_is_there_behind_walls(prepared: dict[str, Any], backend: str) -> None:
    (told,) = run_harness([call(USES, 21, isolation=backend)], packages=prepared)
    if told["error_class"] == "isolation_unavailable":
        pytest.skip(told["message"])
    assert (told["output_text"], told["isolation"]) == ("42", backend)


@pytest.fixture(scope="module")
def after_a_kill(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of environments of a runner that was killed while pip was running."""
    folder = tmp_path_factory.mktemp("killed")
    packages = packages_for(wheels, folder)
    with socket.create_server(("127.0.0.1", 0)) as index, no_process_left():
        # whoever connects is pip, and gets no answer
        index.settimeout(SLOWLY_SECONDS)
        address = f"http://127.0.0.1:{index.getsockname()[1]}/simple"
        packages["settings"] = {"PIP_INDEX_URL": address, "PIP_CONFIG_FILE": "/dev/null"}
        harness = start(packages, call(USES, 21), tmp_path_factory.mktemp("left"))
        connection, _ = index.accept()
        with connection:
            harness.kill()
            harness.communicate()
    return folder


def test_a_killed_build_leaves_nothing_usable(after_a_kill: Path) -> None:
    place = Place.of(after_a_kill, ["noether-tiny==1.0"])
    assert place.building.exists()
    assert not place.directory.exists()


def test_two_runs_that_need_the_same_build_it_once(after_a_kill: Path, wheels: Path) -> None:
    packages = packages_for(wheels, after_a_kill)
    with no_process_left():
        told = [result(each) for each in [start(packages, call(USES, 21)) for _ in range(2)]]
    assert [each["output_text"] for each in told] == ["42", "42"]
    warnings = [warning for each in told for warning in each["warnings"]]
    assert [warning.partition(",")[0] for warning in warnings] == [
        "its environment was built first"
    ]
