"""`check --prepare`, and what is said of environments before and after it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from noether_runner.stages.stage import write_stage
from stage_samples import sample
from wheels import LINE, settings_for

CODE = "import noether_tiny\ndef execute(n):\n    return noether_tiny.twice(n)\n"

REJECTED = (
    "warning: bad: jobs[2].graph: stage \"bad\": the entry 'other' of '# requires:' is ignored: "
    "unpinned"
)


def command(
    folder: Path, module: str, *words: str, settings: Mapping[str, str] = {}
) -> "subprocess.CompletedProcess[str]":
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment = {**kept, "TZ": "UTC", "XDG_CACHE_HOME": str(folder / "cache"), **settings}
    return subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def scheduler(
    folder: Path, *words: str, settings: Mapping[str, str] = {}
) -> "subprocess.CompletedProcess[str]":
    return command(folder, "noether_supervisor.cli", *words, settings=settings)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three jobs: two need what can be installed, one needs what cannot."""
    made = tmp_path_factory.mktemp("jobs")
    members: dict[str, Any] = {"input": "Number", "output": "Number"}
    stages = {
        "good": sample("good", f"{LINE}\n{CODE}", **members),
        "also-good": sample("also-good", f"{CODE}\n# requires: Noether_Tiny == 1.0\n", **members),
        "bad": sample("bad", f"# requires: noether-tiny==9.9, other\n{CODE}", **members),
    }
    store = {"stages": [write_stage(stage) for stage in stages.values()]}
    (made / "store.json").write_text(json.dumps(store))
    for name, stage in stages.items():
        root = {"op": "Stage", "id": stage.id, "pinning": "both"}
        graph = {"description": name, "version": "0.1.0", "root": root}
        (made / f"{name}.json").write_text(json.dumps(graph))
    jobs = [
        {"name": name, "cron": "0 0 1 1 *", "graph": f"{name}.json", "input": 21, "memory_mb": 64}
        for name in stages
    ]
    for name, some in {"scheduler": jobs, "sound": jobs[:2]}.items():
        content = {"store_path": "store.json", "state_dir": "state", "jobs": some}
        (made / f"{name}.json").write_text(json.dumps(content))
    return made


def test_check_warns_of_what_is_not_built_yet(folder: Path) -> None:
    ended = scheduler(folder, "check")
    assert ended.returncode == 0, ended.stderr
    *lines, summary = ended.stdout.splitlines()
    assert [line.partition(" (")[0] for line in lines] == [
        'warning: good: jobs[0].graph: stage "good": its environment',
        'warning: also-good: jobs[1].graph: stage "also-good": its environment',
        REJECTED,
        'warning: bad: jobs[2].graph: stage "bad": its environment',
    ]
    assert summary.endswith("0 errors, 4 warnings")
    assert "check --prepare" in lines[0]
    assert not (folder / "state").exists()


def test_a_dry_run_lists_them(folder: Path) -> None:
    ended = command(folder, "noether_runner.cli", "good.json", "--store", "store.json", "--dry-run")
    assert ended.returncode == 0, ended.stderr
    (needed,) = json.loads(ended.stdout)["environments"]
    assert (needed["requires"], needed["built"]) == (["noether-tiny==1.0"], False)
    assert needed["path"].startswith(str(folder / "cache" / "noether" / "environments"))


@pytest.fixture(scope="module")
def first(folder: Path, wheels: Path) -> "subprocess.CompletedProcess[str]":
    """`check --prepare` of all jobs."""
    return scheduler(folder, "check", "--prepare", settings=settings_for(wheels))


def test_prepare_builds_each_environment_once(
    folder: Path, first: "subprocess.CompletedProcess[str]"
) -> None:
    assert (first.returncode, first.stderr) == (1, "")
    lines = first.stdout.splitlines()
    notes = [line for line in lines if line.startswith("note: ")]
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(notes) == len(errors) == 1
    assert notes[0].startswith("note: environment noether-tiny==1.0: built in ")
    assert str(folder / "state" / "cache" / "environments") in notes[0]
    assert "No matching distribution found for noether-tiny==9.9" in errors[0]
    assert lines[-1].endswith("scheduler.json: 1 error, 2 warnings")
    kept = [path.suffix for path in (folder / "state" / "cache" / "environments").iterdir()]
    assert sorted(kept) == ["", ".lock", ".lock"]


@pytest.mark.usefixtures("first")
def test_what_is_prepared_is_not_built_again(folder: Path) -> None:
    assert scheduler(folder, "check", "sound.json").stdout.endswith(": nothing to object to\n")
    ended = scheduler(folder, "check", "--prepare", "--json", "sound.json")
    assert (ended.returncode, ended.stderr) == (0, "")
    (note,) = json.loads(ended.stdout)
    assert (note["severity"], note["job"]) == ("note", None)
    assert note["message"].startswith("environment noether-tiny==1.0: was built already (")


@pytest.mark.usefixtures("first")
def test_a_fire_finds_what_was_prepared(folder: Path) -> None:
    ended = scheduler(folder, "run", "good")
    assert ended.returncode == 0, ended.stderr
    (run,) = json.loads(scheduler(folder, "history", "--json").stdout)
    shown = json.loads(scheduler(folder, "show", run["run_id"], "--json").stdout)
    assert shown["output"] == 42
    assert shown["trace"]["stages"][0]["warnings"] == []
