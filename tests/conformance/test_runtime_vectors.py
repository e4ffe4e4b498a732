"""Every case of `runtime_cases.json` in a runner of its own (`runtimes.md` §9)."""

import hashlib
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness_calls import command_of, need, run_harness
from noether_contract.json_values import JsonValue, compact_json, json_equal, parse_json
from noether_runner.languages.requirements import read_requirements
from sandbox_backends import OUT_OF_REACH_OF_LANDLOCK, as_user, need_backend, users
from vector_files import FOLDER, load_vectors

pytestmark = pytest.mark.vectors

VECTORS = load_vectors("runtime_cases.json")


def cases() -> list[Any]:
    return [pytest.param(case, id=case["id"]) for case in VECTORS["cases"]]


@pytest.mark.parametrize("case", cases())
def test_case(case: dict[str, Any]) -> None:
    need(*case.get("needs", []))
    passed = case.get("pass_env", [])
    calls = [{"pass_env": passed, **as_call(each)} for each in [case, *case.get("steps", [])]]
    results = run_harness(calls, host_env=case.get("host_env"))
    for described, result in zip([case, *case.get("steps", [])], results, strict=True):
        check(described["expect"], result, described)


@pytest.mark.parametrize("backend", ["bwrap", "landlock"])
def test_cases_behind_walls(backend: str) -> None:
    """A sandbox changes nothing of what a stage answers; all in one runner, to be done soon."""
    need_backend(backend)
    suited = [case for case in VECTORS["cases"] if not case.keys() & {"host_env", "steps"}]
    ready = [case for case in suited if all(map(shutil.which, case.get("needs", [])))]
    calls = [{**as_call(case), "isolation": backend} for case in ready]
    for case, result in zip(ready, run_harness(calls), strict=True):
        assert result["isolation"] == backend, (case["id"], result["message"])
        check(case["expect"], result, case)


def as_call(described: Mapping[str, Any]) -> dict[str, Any]:
    if "input_json" in described:
        text = described["input_json"]
    elif "input_string_length" in described:
        text = json.dumps("x" * described["input_string_length"])
    else:
        text = json.dumps(described.get("input"))
    members = ("language", "code", "input_type", "limits", "timeout_ms")
    return {"input_text": text, **{key: described[key] for key in members if key in described}}


def check(expected: Any, result: dict[str, Any], described: Mapping[str, Any]) -> None:
    """Fails unless the result is what is expected, or one of several things that are."""
    if isinstance(expected, list):
        problems = [problems_with(each, result, described) for each in expected]
        assert [] in problems, problems
    else:
        assert problems_with(expected, result, described) == [], result


def problems_with(
    expected: Mapping[str, Any], result: dict[str, Any], described: Mapping[str, Any]
) -> list[str]:
    """What of `runtimes.md` §9.1's table does not hold."""
    problems: list[str] = []

    def must(holds: bool, what: str) -> None:
        if not holds:
            problems.append(what)

    must(result["status"] == expected["status"], "status")
    if expected["status"] == "ok" and result["status"] == "ok":
        output = parse_json(result["output_text"])
        if "output_string_length" in expected:
            length = expected["output_string_length"]
            must(isinstance(output, str) and len(output) == length, "output_string_length")
        elif "output_depth" in expected:
            must(output == nested(expected["output_depth"]), "output_depth")
        else:
            must(json_equal(output, expected["output"]), "output")
    if "error_class" in expected:
        must(result["error_class"] in expected["error_class"], "error_class")
    told = "\n".join(str(result[key]) for key in ("message", "error_type", "traceback"))
    for text in expected.get("message_contains", []):
        must(text in told, f"message_contains {text}")
    if "message_bytes_max" in expected:
        must(len(result["message"].encode()) <= expected["message_bytes_max"], "message_bytes_max")
    for stream in ("stdout", "stderr"):
        for text in expected.get(f"{stream}_contains", []):
            must(text in result[stream], f"{stream}_contains {text}")
    if expected.get("stdout_truncated"):
        limit = described.get("limits", {}).get("log_bytes", 65536)
        must(result["log_truncated"], "log_truncated")
        must("bytes left out" in result["stdout"], "mark")
        must(len(result["stdout"].encode()) <= limit, "kept respects the limit")
    if "wall_ms_max" in expected:
        must(result["wall_ms"] <= expected["wall_ms_max"], "wall_ms_max")
    for text in expected.get("no_survivor_matching", []):
        must(not any(text in command for command in all_commands()), f"survivor {text}")
    if expected.get("input_unchanged"):
        must(result["input_unchanged"], "input_unchanged")
    return problems


def nested(depth: int) -> JsonValue:
    value: JsonValue = 1
    for _ in range(depth):
        value = [value]
    return value


def all_commands() -> list[str]:
    return [command_of(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdigit()]


def run_probe(probe: Mapping[str, Any], backend: str, user: int | None) -> list[dict[str, Any]]:
    call = {
        "language": "python",
        "code": probe["code"],
        "input_text": "null",
        "effects": [{"effect": e} if isinstance(e, str) else e for e in probe.get("effects", [])],
        "isolation": backend,
        "pass_env": probe.get("pass_env", []),
    }
    if user is None:
        return run_harness([call], host_env=probe.get("host_env"))
    environ = {"environ": probe["host_env"]} if "host_env" in probe else {}
    return run_harness([call], **as_user(user), **environ)


@contextmanager
def filled_in(probe: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The probe with its placeholders replaced by things that exist while it runs.

    Everybody may reach and use the folders: as root, the sandbox runs as nobody.
    """
    with (
        tempfile.TemporaryDirectory(prefix="noether-probe-") as folder,
        socket.create_server(("127.0.0.1", 0)) as server,
    ):
        Path(folder).chmod(0o755)
        read_only, writable = Path(folder, "ro"), Path(folder, "rw")
        read_only.mkdir()
        (read_only / "data.txt").write_text("shared")
        (writable / "sub").mkdir(parents=True)
        for path in (writable, writable / "sub"):
            path.chmod(0o777)
        values = {
            "PORT": str(server.getsockname()[1]),
            "HOSTPID": str(os.getpid()),
            "REALHOME": repr(str(Path.home())),
            "@RO@": str(read_only),
            "@RW@": str(writable),
        }
        text = json.dumps(dict(probe))
        for name, value in values.items():
            text = text.replace(name, json.dumps(value)[1:-1])
        yield json.loads(text)


@pytest.mark.parametrize("user", users())
@pytest.mark.parametrize("backend", ["bwrap", "landlock"])
@pytest.mark.parametrize("probe", VECTORS["isolation_probes"], ids=lambda probe: probe["id"])
def test_isolation_probe(probe: dict[str, Any], backend: str, user: int | None) -> None:
    if backend == "landlock" and probe["id"] in OUT_OF_REACH_OF_LANDLOCK:
        pytest.skip(f"out of Landlock's reach: {OUT_OF_REACH_OF_LANDLOCK[probe['id']]}")
    need_backend(backend, user)
    with filled_in(probe) as prepared:
        (result,) = run_probe(prepared, backend, user)
        assert result["isolation"] == backend, result["message"]
        check(prepared["expect"], result, prepared)
        if "host_after" in prepared:
            after = prepared["host_after"]
            assert Path(after["file"]).read_text() == after["content"]


@pytest.mark.parametrize("line", VECTORS["requirement_lines"], ids=lambda line: line["code"][:40])
def test_requirement_line(line: dict[str, Any]) -> None:
    found = read_requirements(line["code"], allow_unpinned=line.get("allow_unpinned", False))
    expected = line.get("ours", line["reference"])
    assert list(found.accepted) == expected["specs"]
    assert [[each.entry, each.reason] for each in found.rejected] == expected["rejected"]
    key = hashlib.sha256(", ".join(found.accepted).encode()).hexdigest()[:16]
    assert (key if found.accepted else None) == expected["environment_key"]


def test_the_file_is_read_as_written() -> None:
    """The reader of vectors keeps integers and floats apart, and `-0` is a float."""
    text = (FOLDER / "runtime_cases.json").read_text(encoding="utf-8")
    numbers = parse_json(text)
    assert isinstance(numbers, dict)
    assert compact_json(numbers["cases"]) == compact_json(VECTORS["cases"])
