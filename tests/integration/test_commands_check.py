"""`check`: findings about the configuration and, through the runner's dry run, about graphs."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from noether_supervisor.commands.checking import print_findings
from noether_supervisor.commands.screen import Screen

JOB: dict[str, Any] = {"name": "a", "cron": "* * * * *", "graph": "good.json"}
GOOD = {"description": "a constant", "version": "0.1.0", "root": {"op": "Const", "value": 1}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "good.json").write_text(json.dumps(GOOD))
    return tmp_path


def check(
    folder: Path, content: object, *words: str, env: Mapping[str, str] = {}
) -> "subprocess.CompletedProcess[str]":
    (folder / "scheduler.json").write_text(json.dumps(content, indent=1))
    command = [sys.executable, "-m", "noether_supervisor.cli", "check", *words]
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment = {**kept, "TZ": "UTC", **env}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def findings(folder: Path, content: object, env: Mapping[str, str] = {}) -> list[dict[str, Any]]:
    ended = check(folder, content, "--json", env=env)
    found: list[dict[str, Any]] = json.loads(ended.stdout)
    has_errors = any(finding["severity"] == "error" for finding in found)
    assert (ended.returncode, ended.stderr) == (int(has_errors), "")
    return found


def test_a_sound_configuration_has_no_findings(folder: Path) -> None:
    assert findings(folder, {"jobs": [JOB]}) == []
    ended = check(folder, {"jobs": [JOB]})
    assert ended.returncode == 0
    assert ended.stdout == f"1 job in {folder}/scheduler.json: nothing to object to\n"


def test_one_line_per_finding_with_job_and_path(folder: Path) -> None:
    jobs = [JOB, {**JOB, "name": "b", "cron": "61 * * * *"}, {**JOB, "name": "c", "timeout": "5"}]
    ended = check(folder, {"jobs": jobs})
    assert ended.returncode == 1
    first, second, summary = ended.stdout.splitlines()
    assert first.startswith("error: b: jobs[1].cron: job 'b': minute: 61 is outside 0-59 (line ")
    assert second.startswith("error: c: jobs[2].timeout: expected a number, got the string")
    assert summary == f"3 jobs in {folder}/scheduler.json: 2 errors, 0 warnings"


def test_graphs_of_sound_jobs_are_checked_beside_unsound_ones(folder: Path) -> None:
    jobs = [{**JOB, "cron": "x"}, {**JOB, "name": "b", "graph": "missing.json"}]
    cron, graph = findings(folder, {"jobs": jobs})
    assert (cron["job"], cron["path"]) == ("a", "jobs[0].cron")
    assert (graph["job"], graph["path"]) == ("b", "jobs[1].graph")
    assert f"{folder}/missing.json" in graph["message"]


def test_a_graph_that_is_no_graph_is_told_with_its_line(folder: Path) -> None:
    (folder / "bad.json").write_text('{"description": "x",\n "root": {"op": "Nonsense"}}')
    (finding,) = findings(folder, {"jobs": [{**JOB, "graph": "bad.json"}]})
    assert finding["severity"] == "error"
    assert finding["line"] == 2
    assert "Nonsense" in finding["message"]


def test_a_reference_that_resolves_to_nothing_is_told_with_its_node(folder: Path) -> None:
    graph = {**GOOD, "root": {"op": "Stage", "id": "nosuchstage"}}
    (folder / "bad.json").write_text(json.dumps(graph))
    (finding,) = findings(folder, {"jobs": [{**JOB, "graph": "bad.json"}]})
    assert "nosuchstage" in finding["message"]
    assert finding["node"] == "root"


def test_the_budget_of_a_job_goes_to_its_dry_run(folder: Path) -> None:
    assert findings(folder, {"jobs": [{**JOB, "budget_cents": 0}]}) == []


def test_a_registry_that_cannot_be_asked_is_told(folder: Path) -> None:
    graph = {**GOOD, "root": {"op": "Stage", "id": "0" * 64}}
    (folder / "good.json").write_text(json.dumps(graph))
    content = {"registry_url": "http://127.0.0.1:1", "jobs": [JOB]}
    (finding,) = findings(folder, content)
    assert finding["path"] == "jobs[0].graph"
    assert "http://127.0.0.1:1" in finding["message"]


def test_findings_outside_of_jobs_come_first(folder: Path) -> None:
    (finding,) = findings(folder, {"jobs": [JOB], "stateDir": "x"})
    assert (finding["job"], finding["path"]) == (None, "stateDir")
    ended = check(folder, {"jobs": [JOB], "stateDir": "x"})
    assert "graphs were not checked" in ended.stdout


def test_a_key_of_the_registry_that_is_not_there_is_a_finding(folder: Path) -> None:
    content = {
        "registry_url": "https://registry.invalid",
        "registry_api_key": {"env": "NOT_SET_HERE"},
        "jobs": [JOB],
    }
    (finding,) = findings(folder, content)
    assert finding["path"] == "registry_api_key"
    assert "NOT_SET_HERE is not set" in finding["message"]


def test_a_zone_of_the_process_that_means_nothing_is_a_finding(folder: Path) -> None:
    content = {"jobs": [{**JOB, "cron": "x"}]}
    found = findings(folder, content, env={"TZ": "Mars/Base"})
    assert "Mars/Base" in found[1]["message"]


def test_a_text_that_is_no_json_cannot_be_checked(folder: Path) -> None:
    (folder / "scheduler.json").write_text("{")
    command = [sys.executable, "-m", "noether_supervisor.cli", "check"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("Invalid scheduler config JSON: ")


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '{"jobs": {"a b": 1, "a b": 2}}',
        '{"jobs": [[]]}',
        '{"jobs": [{"name": "a", "name": 5}], "_x": 1}',
        '{"jobs[0]": 1, "jobs": []}',
    ],
)
def test_odd_documents_have_findings_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    path = tmp_path / "scheduler.json"
    path.write_text(text)
    out = io.StringIO()
    assert print_findings(path, os.environ, Screen(out), pytest.fail) == 1
    assert "error: " in out.getvalue()
