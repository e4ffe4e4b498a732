"""Runs from a registry as a user starts them: by hand and by the scheduler."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from noether_contract.exit_codes import ExitCode
from process_watch import nothing_left
from receivers import receiver
from registry_samples import serving_stages
from registry_server import Answer, Registry
from running_service import Place
from stage_samples import sample, spec

KEY = "sesame-4711-open"
DOUBLE = sample(
    "double", "def execute(number):\n    return number * 2\n", input="Number", output="Number"
)
LEAK = sample(
    "leak",
    "import os\n\n\ndef execute(input):\n    return repr(dict(os.environ)) + str(input)\n",
    output="Text",
)
GRAPH = {"op": "Stage", "id": DOUBLE.id}
AWAY = Answer(502, b"<html>bad gateway</html>")


@pytest.fixture
def registry() -> Iterator[Registry]:
    with nothing_left(), serving_stages(DOUBLE, LEAK) as (it, _):
        yield it


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.graph("double", GRAPH)
    place.graph("leak", {"op": "Stage", "id": LEAK.id})
    place.graph("named", {"op": "Stage", "id": "double"})
    return place


def test_a_graph_runs_from_a_registry(place: Place, registry: Registry) -> None:
    words = ["noether-run", "double.json", "--input", "21", "--registry", registry.url]
    for _ in range(2):
        ended = place.call(*words)
        assert (ended.returncode, ended.stdout) == (0, "42\n"), ended.stderr
    assert registry.log == [f"/stages/{DOUBLE.id}"]
    # Another spelling of the URL has the same cache.
    place.call(*words[:-1], f"{registry.url}/")
    assert len(registry.asked) == 1


def test_the_trace_says_where_stages_came_from(place: Place, registry: Registry) -> None:
    words = ["noether-run", "double.json", "--registry", registry.url, "--input", "1"]
    for source in ("registry", "cache, "):
        ended = place.call(*words, "--trace", "trace.json")
        assert ended.returncode == 0, ended.stderr
        (resolution,) = json.loads((place.folder / "trace.json").read_text())["resolutions"]
        assert resolution["stage_id"] == DOUBLE.id
        assert resolution["signature_id"] == DOUBLE.signature_id
        assert resolution["source"].startswith(source)


def test_a_warm_cache_serves_with_a_warning(place: Place, registry: Registry) -> None:
    words = ["noether-run", "double.json", "--registry", registry.url, "--input", "4"]
    assert place.call(*words).returncode == 0
    for fact in place.folder.rglob("facts/*.json"):
        seen = json.loads(fact.read_text())
        fact.write_text(json.dumps({**seen, "seen_at": seen["seen_at"] - 3600}))
    registry.trouble = lambda _asked: AWAY
    ended = place.call(*words, "--envelope")
    assert ended.returncode == 0, ended.stderr
    envelope = json.loads(ended.stdout)
    assert envelope["output"] == 8
    (warning,) = [each for each in envelope["trace"]["warnings"] if "registry" in each]
    assert "up to 60 min old: double" in warning
    assert f"warning: {warning}" in ended.stderr


def test_a_cold_cache_fails_and_no_other_store_is_tried(place: Place, registry: Registry) -> None:
    place.stages(spec("double"))
    registry.trouble = lambda _asked: AWAY
    for graph in ("double.json", "named.json"):
        ended = place.call("noether-run", graph, "--registry", registry.url)
        assert (ended.returncode, ended.stdout) == (ExitCode.REFUSED, "")
        assert "registry_unavailable" in ended.stderr
        assert registry.url in ended.stderr


def test_the_key_of_a_file_is_sent_and_shown_nowhere(place: Place, registry: Registry) -> None:
    (place.folder / "key").write_text(f"{KEY}\n")
    words = ["--registry", registry.url, "--registry-api-key-file", "key", "--input", '"x"']
    ended = place.call("noether-run", "leak.json", *words, "--envelope", "--inherit-env")
    assert ended.returncode == 0, ended.stderr
    assert registry.asked[0].headers["x-api-key"] == KEY
    assert KEY not in ended.stdout + ended.stderr
    registry.trouble = lambda _asked: Answer(401, {"ok": False, "error": {"code": "UNAUTHORIZED"}})
    ended = place.call("noether-run", "double.json", *words, "--trace", "trace.json")
    assert ended.returncode == ExitCode.REFUSED
    assert "is the registry's API key right?" in ended.stderr
    assert KEY not in ended.stdout + ended.stderr
    assert_key_is_nowhere(place.folder, place.folder / "key")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--registry-api-key-file", "key"], "is for --registry, which is missing"),
        (["--registry", "http://r.example", "--store", "s.json"], "exclude each other"),
        (["--registry", "r.example"], "expected an http or https base URL"),
        (["--registry", "http://u:hidden@r.example?x"], "expected an http or https base URL"),
        (
            ["--registry", "http://r.example", "--registry-api-key-file", "missing"],
            "/missing cannot be read: No such file or directory",
        ),
        (
            ["--registry", "http://r.example", "--registry-api-key-file", "empty"],
            "/empty is empty; expected the registry's key in it",
        ),
        (
            ["--registry", "http://r.example", "--registry-api-key-file", "binary"],
            "/binary is not UTF-8",
        ),
        (
            ["--registry", "http://r.example", "--registry-api-key-file", "lines"],
            "holds characters that no HTTP header may have",
        ),
    ],
)
def test_what_cannot_be_used_is_told(place: Place, words: list[str], told: str) -> None:
    (place.folder / "empty").write_text(" \n")
    (place.folder / "binary").write_bytes(b"\xff\xfe")
    (place.folder / "lines").write_text("hidden\nkey")
    ended = place.call("noether-run", "double.json", *words)
    assert (ended.returncode, ended.stdout) == (ExitCode.REFUSED, "")
    assert told in ended.stderr
    assert "hidden" not in ended.stderr


def test_a_job_runs_from_a_registry(place: Place, registry: Registry) -> None:
    with receiver() as hook:
        job = {"name": "double", "graph": "double.json", "input": 21, "webhook": hook.url}
        key = {"env": "REGISTRY_KEY"}
        place.configure(job, registry_url=registry.url, registry_api_key=key)
        environment = {"REGISTRY_KEY": KEY}
        for _ in range(2):
            ended = place.call("noether-scheduler", "run", "double", environment=environment)
            assert ended.returncode == 0, ended.stderr
            told = json.loads(hook.next_call().body)
            assert (told["ok"], told["output"]) == (True, 42)
            assert KEY not in ended.stdout + ended.stderr
    assert registry.log == [f"/stages/{DOUBLE.id}"]
    assert registry.asked[0].headers["x-api-key"] == KEY
    folder = place.folder / ".noether" / "scheduler" / "cache" / "registries"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert_key_is_nowhere(place.folder)


def test_a_fire_that_finds_no_registry_fails_with_its_webhook(
    place: Place, registry: Registry
) -> None:
    registry.trouble = lambda _asked: AWAY
    with receiver() as hook:
        job = {"name": "double", "graph": "double.json", "webhook": hook.url}
        place.configure(job, registry_url=registry.url, registry_api_key=KEY)
        ended = place.run_job("double")
        assert ended.returncode != 0
        told = json.loads(hook.next_call().body)
    assert told["ok"] is False
    assert "registry_unavailable" in told["error"]
    assert DOUBLE.id in told["error"]
    assert KEY not in told["error"] + ended.stdout + ended.stderr
    (entry,) = place.history("double")
    shown = json.dumps(place.show(entry["run_id"]))
    assert '"registry_unavailable"' in shown
    assert KEY not in shown


def test_a_stage_never_sees_the_key(place: Place, registry: Registry) -> None:
    job = {"name": "leak", "graph": "leak.json", "input": "x"}
    place.configure(job, registry_url=registry.url, registry_api_key={"env": "REGISTRY_KEY"})
    ended = place.call("noether-scheduler", "run", "leak", environment={"REGISTRY_KEY": KEY})
    assert ended.returncode == 0, ended.stderr
    (entry,) = place.history("leak")
    output = json.dumps(place.show(entry["run_id"]))
    assert "PATH" in output
    assert KEY not in output
    assert_key_is_nowhere(place.folder)


def test_check_asks_the_registry(place: Place, registry: Registry) -> None:
    jobs: list[Any] = [
        {"name": "sound", "graph": "double.json"},
        {"name": "named", "graph": "named.json"},
    ]
    place.configure(*jobs, registry_url=registry.url)
    ended = place.call("noether-scheduler", "check")
    assert ended.returncode == 0, ended.stdout
    place.graph("named", {"op": "Stage", "id": "nosuchstage"})
    ended = place.call("noether-scheduler", "check")
    assert ended.returncode == 1
    assert "nosuchstage" in ended.stdout


def assert_key_is_nowhere(folder: Path, *but: Path) -> None:
    """No file that the product wrote holds the key."""
    for path in folder.rglob("*"):
        if path.is_file() and path not in but and path.name != "scheduler.json":
            assert KEY.encode() not in path.read_bytes(), path
