"""Every case of `runtime_cases.json` in a runner of its own (`runtimes.md` §9)."""

import functools
import hashlib
import json
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness_calls import command_of, need, run_harness
from noether_contract.json_values import JsonValue, compact_json, json_equal, parse_json
from noether_contract.messages import Grants
from noether_runner.languages.requirements import read_requirements
from noether_runner.sandbox.policy import policy_for
from noether_runner.stages.effects import read_effect_set
from sandbox_backends import OUT_OF_REACH_OF_LANDLOCK, as_user, need_backend, users
from vector_files import FOLDER, load_vectors

pytestmark = pytest.mark.vectors

VECTORS = load_vectors("runtime_cases.json")
OWN_FILE = Path(__file__).parent.parent / "vectors" / "runtime_cases.json"


OWN_CASES = {case["id"] for case in json.loads(OWN_FILE.read_bytes())["cases"]}

ABSTRACT = [name for name in VECTORS.get("probe_placeholders", {}) if "ABSTRACT" in name.upper()]
"""Placeholders for the name of an abstract socket on which the tests listen."""


WITHIN_REACH_OF_LANDLOCK = {
    "iso_net_host_loopback",
    "iso_net_localhost_name",
    "iso_root_read_only",
    "iso_env_clean",
    "iso_argv_clean",
    "iso_no_nested_userns",
    "iso_fs_read",
    "iso_fs_write",
    "iso_inherited_fds",
}
"""Probes are written for bubblewrap; the other backend passes these as well."""


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
    """A sandbox changes nothing of what a stage answers; many in one runner, to be done soon.

    Said of the cases of this repository: the vectors promise it of none.
    """
    need_backend(backend)
    suited = [
        case
        for case in VECTORS["cases"]
        if case["id"] in OWN_CASES and not case.keys() & {"host_env", "steps"}
    ]
    ready = [case for case in suited if all(map(shutil.which, case.get("needs", [])))]
    for first in range(0, len(ready), 40):
        some = ready[first : first + 40]
        calls = [{**as_call(case), "isolation": backend} for case in some]
        for case, result in zip(some, run_harness(calls), strict=True):
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
    assert objections(expected, result, described) == [], result


def objections(expected: Any, result: dict[str, Any], described: Mapping[str, Any]) -> list[str]:
    """What is wrong with a result; nothing if it is one of several things that are expected."""
    accepted = expected if isinstance(expected, list) else [expected]
    found = [problems_with(each, result, described) for each in accepted]
    return [] if [] in found else found[0]


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
        must(not any(map(functools.partial(is_named, text), all_processes())), f"survivor {text}")
    if expected.get("input_unchanged"):
        must(result["input_unchanged"], "input_unchanged")
    return problems


def nested(depth: int) -> JsonValue:
    value: JsonValue = 1
    for _ in range(depth):
        value = [value]
    return value


def all_processes() -> list[Path]:
    return [path for path in Path("/proc").iterdir() if path.name.isdigit()]


def is_named(text: str, process: Path) -> bool:
    """Whether a process has the text in its command line, or as its name."""
    try:
        name = (process / "comm").read_text().strip()
    except OSError:
        return False
    return name == text or text in command_of(int(process.name))


def run_probes(
    probes: Sequence[Mapping[str, Any]], backend: str, user: int | None
) -> list[dict[str, Any]]:
    """The results of probes for the same environment, from one runner."""
    calls = [
        {
            "language": "python",
            "code": probe["code"],
            "input_text": "null",
            "effects": [
                {"effect": each} if isinstance(each, str) else each
                for each in probe.get("effects", [])
            ],
            "isolation": backend,
            "pass_env": probe.get("pass_env", []),
        }
        for probe in probes
    ]
    host_env = probes[0].get("host_env")
    if user is None:
        return run_harness(calls, host_env=host_env)
    environ = {} if host_env is None else {"environ": host_env}
    return run_harness(calls, **as_user(user), **environ)


def objections_to(
    probes: Sequence[Mapping[str, Any]], backend: str, user: int | None
) -> dict[str, list[str]]:
    """What is wrong with the answer of each probe, by its id."""
    found: dict[str, list[str]] = {}
    with ExitStack() as places:
        prepared = [places.enter_context(filled_in(probe)) for probe in probes]
        for probe, result in zip(prepared, run_probes(prepared, backend, user), strict=True):
            wrong = objections(probe["expect"], result, probe)
            if result["isolation"] != backend:
                wrong.append(f"isolation {result['isolation']}: {result['message']}")
            after = probe.get("host_after")
            if after and Path(after["file"]).read_text() != after["content"]:
                wrong.append("host_after")
            found[probe["id"]] = [*wrong, repr(result)] if wrong else []
    return found


@functools.cache
def objections_to_most(backend: str, user: int | None) -> dict[str, list[str]]:
    """The same for all probes that need no environment of their own; a runner each takes long."""
    most = [probe for probe in VECTORS["isolation_probes"] if "host_env" not in probe]
    return objections_to(most, backend, user)


@contextmanager
def filled_in(probe: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The probe with its placeholders replaced by things that exist while it runs.

    Everybody may reach and use the folders: as root, the sandbox runs as nobody.
    """
    with (
        tempfile.TemporaryDirectory(prefix="noether-probe-") as folder,
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        Path(folder).chmod(0o755)
        read_only, writable = Path(folder, "ro"), Path(folder, "rw")
        read_only.mkdir()
        (read_only / "data.txt").write_text("shared")
        (writable / "sub").mkdir(parents=True)
        for path in (writable, writable / "sub"):
            path.chmod(0o777)
        name = f"noether-probe-{secrets.token_hex(8)}"
        abstract.bind(f"\0{name}")
        abstract.listen()
        values = {
            **dict.fromkeys(ABSTRACT, name),
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
    if backend == "landlock" and probe["id"] not in WITHIN_REACH_OF_LANDLOCK:
        why = OUT_OF_REACH_OF_LANDLOCK.get(probe["id"], "this probe is of bubblewrap")
        pytest.skip(f"out of Landlock's reach: {why}")
    need_backend(backend, user)
    need(*(program for program in probe.get("needs", []) if program not in ("bwrap", "landlock")))
    alone = "host_env" in probe
    found = objections_to([probe], backend, user) if alone else objections_to_most(backend, user)
    assert found[probe["id"]] == []


@pytest.mark.parametrize("line", VECTORS["requirement_lines"], ids=lambda line: line["code"][:40])
def test_requirement_line(line: dict[str, Any]) -> None:
    found = read_requirements(line["code"], allow_unpinned=line.get("allow_unpinned", False))
    expected = line.get("ours", line["reference"])
    assert list(found.accepted) == expected["specs"]
    assert [[each.entry, each.reason] for each in found.rejected] == expected["rejected"]
    key = hashlib.sha256(", ".join(found.accepted).encode()).hexdigest()[:16]
    assert (key if found.accepted else None) == expected["environment_key"]


@pytest.mark.parametrize(
    "item", VECTORS["reference_policies"]["items"], ids=lambda item: json.dumps(item["effects"])
)
def test_reference_policy(item: dict[str, Any], tmp_path: Path) -> None:
    """Ours opens the same paths; and the network for a language model, too (`runtimes.md` §6)."""
    effects: list[Any] = []
    for effect in item["effects"]:
        effects.append(dict(effect))
        if "path" in effect:
            moved = Path(f"{tmp_path}{effect['path']}")
            moved.mkdir(parents=True, exist_ok=True)
            effects[-1]["path"] = str(moved)
    ours = policy_for(read_effect_set({"effects": effects}), Grants())
    expected = item["policy"]
    read = {f"{tmp_path}{each['host']}" for each in expected["ro_binds"]}
    write = {f"{tmp_path}{each['host']}" for each in expected.get("rw_binds", [])}
    assert {each.path for each in ours.read} == read - {f"{tmp_path}/nix/store"}
    assert {each.path for each in ours.write} == write
    asks_a_model = any(effect["effect"] == "Llm" for effect in effects)
    assert ours.network == (expected["network"] or asks_a_model)


def test_the_file_is_read_as_written() -> None:
    """The reader of vectors keeps integers and floats apart, and `-0` is a float."""
    text = (FOLDER / "runtime_cases.json").read_text(encoding="utf-8")
    numbers = parse_json(text)
    assert isinstance(numbers, dict)
    assert compact_json(numbers["cases"]) == compact_json(VECTORS["cases"])
