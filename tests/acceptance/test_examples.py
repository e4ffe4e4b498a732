"""The examples do what they say: by hand, through the service, and in the demonstration."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from receivers import receiver
from running_service import BIN, TOP, Place

CONFIG = json.loads((TOP / "examples" / "scheduler.json").read_text(encoding="utf-8"))
JOBS = {job["name"]: job for job in CONFIG["jobs"]}
GRAPHS = sorted(path.name for path in (TOP / "examples" / "graphs").iterdir())
SUCCEEDED = ["job", "composition_id", "ok", "output", "duration_ms", "fired_at"]
FAILED = ["job", "composition_id", "ok", "error", "duration_ms", "fired_at"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A copy of the examples, as a fresh checkout has them."""
    shutil.copytree(TOP / "examples", tmp_path / "examples")
    return Place(tmp_path)


@contextmanager
def example_receiver(place: Place) -> Iterator[str]:
    """The receiver of the examples on a free port; its address."""
    script = str(place.folder / "examples" / "webhook_receiver.py")
    process = subprocess.Popen(
        [sys.executable, script, "0"], stdout=subprocess.PIPE, text=True, env=place.environment()
    )
    with process:
        assert process.stdout is not None
        yield process.stdout.readline().removeprefix("listening on ").strip()
        process.terminate()


def program(name: str) -> ModuleType:
    found = importlib.util.spec_from_file_location(name, TOP / "examples" / f"{name}.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def sync(place: Place) -> None:
    synced = place.call("noether-stage", "sync", "examples/stages", "--store", ".demo/store.json")
    assert synced.returncode == 0, synced.stderr
    counts = json.loads(synced.stdout)["data"]["counts"]
    assert (counts["failed"], counts["skipped"]) == (0, 0)


def check_output(job: str, output: Any) -> None:
    """What each example promises to find in its own data."""
    match job:
        case "sprint-tick":
            assert output["tick"] == 1
            assert "stalled" in output["message"]
        case "health-check":
            assert (output["healthy"], output["broken"]) == (True, [])
            assert [check["check"] for check in output["checks"]] == ["webhook receiver", "disk"]
        case "nightly-digest":
            assert output.startswith("# Digest: 2 notes, ")
        case _:
            raise AssertionError(f"no expectation for {job}")


def test_every_graph_has_a_job_and_every_job_a_graph() -> None:
    assert sorted(Path(job["graph"]).name for job in JOBS.values()) == GRAPHS


def test_the_stage_specs_are_what_their_sources_make() -> None:
    build = program("build_stages")
    stages = TOP / "examples" / "stages"
    written = {path.name: path.read_text(encoding="utf-8") for path in stages.iterdir()}
    built = {f"{name.rpartition('.')[0]}.json": build.spec_text(name) for name in build.SPECS}
    assert written == built
    sources = sorted(path.name for path in (TOP / "examples" / "sources").iterdir())
    assert sources == sorted(build.SPECS)


def test_the_examples_in_the_specs_are_true(place: Place) -> None:
    sync(place)
    branches: dict[str, Any] = {}
    expected: dict[str, Any] = {}
    for path in sorted((place.folder / "examples" / "stages").iterdir()):
        spec = json.loads(path.read_text(encoding="utf-8"))
        for number, example in enumerate(spec["examples"]):
            name = f"{spec['name']}-{number}"
            given = {"op": "Const", "value": example["input"]}
            call = {"op": "Stage", "id": spec["name"]}
            branches[name] = {"op": "Sequential", "stages": [given, call]}
            expected[name] = example["output"]
    place.graph("truth", {"op": "Parallel", "branches": branches})
    ended = place.call("noether-run", "truth.json", "--store", ".demo/store.json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == expected


def test_every_graph_runs_by_hand(place: Place) -> None:
    sync(place)
    with example_receiver(place) as address:
        for name, job in JOBS.items():
            argument = json.dumps(job["input"]).replace("http://127.0.0.1:8765", address)
            words = ("--store", ".demo/store.json", "--pass-env", "PWD", "--input", argument)
            here = {"PWD": str(place.folder)}
            ended = place.call("noether-run", job["graph"], *words, environment=here)
            assert ended.returncode == 0, ended.stderr
            check_output(name, json.loads(ended.stdout))


def test_every_graph_runs_as_a_job_and_tells_its_webhook(place: Place) -> None:
    sync(place)
    here = {"PWD": str(place.folder)}
    with example_receiver(place) as address, receiver() as hooks:
        base = hooks.url.removesuffix("/hook")
        jobs = []
        for job in JOBS.values():
            moved = json.loads(json.dumps(job["input"]).replace("http://127.0.0.1:8765", address))
            hook = job["webhook"].replace("http://127.0.0.1:8765", base)
            # this test fires by hand: the minute must not fire a second time
            jobs.append({**job, "input": moved, "webhook": hook, "cron": "0 0 1 1 *"})
        place.write("scheduler.json", {**CONFIG, "jobs": jobs})
        checked = place.call("noether-scheduler", "check", environment=here)
        assert checked.returncode == 0, checked.stdout
        with place.service(environment=here) as service:
            for name, job in JOBS.items():
                ran = place.run_job(name)
                assert (ran.returncode, ran.stdout) == (0, f"{name}: succeeded\n"), service.log
                call = hooks.next_call()
                told = json.loads(call.body)
                assert call.path == "/" + job["webhook"].rpartition("/")[2]
                assert list(told) == SUCCEEDED
                assert (told["job"], told["ok"]) == (name, True)
                check_output(name, told["output"])
                (entry,) = place.history(name)
                assert told["composition_id"] == entry["composition_id"]
                assert told["fired_at"] == entry["due"]
                trace = place.show(entry["run_id"])["trace"]
                assert (trace["status"], trace["incomplete"]) == ("Ok", False)
            assert service.stop() == 0
        assert hooks.calls.empty()


def test_a_job_whose_grant_is_missing_says_so_in_its_webhook(place: Place) -> None:
    sync(place)
    job = {name: JOBS["nightly-digest"][name] for name in ("name", "cron", "graph", "input")}
    with receiver() as hooks:
        place.write("scheduler.json", {**CONFIG, "jobs": [{**job, "webhook": hooks.url}]})
        ran = place.run_job("nightly-digest")
        assert ran.returncode == 1
        told = json.loads(hooks.next_call().body)
    assert list(told) == FAILED
    assert told["ok"] is False
    assert "pass_env" in told["error"]
    assert "PWD" in told["error"]


def operators(node: Any) -> set[str]:
    """The operators of a graph, without the stages."""
    if isinstance(node, list):
        return {each for member in node for each in operators(member)}
    if not isinstance(node, dict):
        return set()
    own = {node["op"]} - {"Stage"} if "op" in node else set()
    return own | operators(list(node.values()))


def test_the_readme_knows_the_graphs_and_the_files() -> None:
    folder = TOP / "examples"
    text = (folder / "README.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    told = {row[0].strip("`"): row for row in rows if row and row[0].strip("`") in JOBS}
    assert told.keys() == JOBS.keys()
    for name, job in JOBS.items():
        graph = json.loads((TOP / job["graph"]).read_text(encoding="utf-8"))
        assert set(told[name][2].split(", ")) == operators(graph["root"])
        assert f"({Path(job['graph']).relative_to('examples')})" in told[name][1]
    named = {row[0].strip("`").rstrip("/") for row in rows if len(row) == 2}
    there = {path.name for path in folder.iterdir() if path.name[0] not in "._"}
    assert there - {"README.md"} <= named


def test_the_commands_of_the_readme_work(place: Place) -> None:
    if shutil.which("bash") is None:
        pytest.skip("bash is not there")
    text = (TOP / "examples" / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 7
    config = place.folder / "examples" / "scheduler.json"
    with example_receiver(place) as address:
        port = address.rpartition(":")[2]
        config.write_text(config.read_text(encoding="utf-8").replace(":8765", f":{port}"))
        for block in blocks:
            commands = block.replace(".venv/bin/", f"{BIN}/").replace(":8765", f":{port}")
            ended = subprocess.run(
                ["bash", "-euc", commands],
                cwd=place.folder,
                env=place.environment(),
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert ended.returncode == 0, block + ended.stdout + ended.stderr


def test_the_demonstration_ends_well(place: Place) -> None:
    ended = subprocess.run(
        [sys.executable, "examples/demo.py", "--once", "--port", "0"],
        cwd=place.folder,
        env=place.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for name in JOBS:
        assert f"{name}: succeeded" in ended.stdout
        assert f"webhook: {name} ok in " in ended.stdout
    assert "everything has ended" in ended.stdout
    assert (place.folder / "home" / ".local/state/noether-examples/sprint-tick.json").exists()
