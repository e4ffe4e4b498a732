"""`noether-stage` and its user's mistakes: wrong paths, typing errors, other signatures."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest

from noether_runner import stage_cli
from noether_runner.stages.lifecycle import Deprecated, Lifecycle, Tombstone
from noether_runner.stages.signing import SigningKey, create_key
from noether_runner.stages.stage import Stage, read_stage, write_stage
from stage_samples import sample, spec


class Ended(NamedTuple):
    """One command: exit code, its envelope, the sentences before it."""

    code: int
    envelope: dict[str, Any]
    said: str


Run = Callable[..., Ended]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in an empty working directory without an author key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOETHER_HOME", str(tmp_path / "home"))

    def run_it(*words: str) -> Ended:
        code = stage_cli.main(words)
        out, err = capsys.readouterr()
        if out:
            return Ended(code, json.loads(out), err)
        said, brace, rest = err.partition("{\n")
        return Ended(code, json.loads(brace + rest), said)

    return run_it


def write_store(*stages: Stage) -> None:
    Path(".noether").mkdir()
    document = {"stages": [write_stage(each) for each in stages]}
    Path(".noether/store.json").write_bytes(orjson.dumps(document))


def stored() -> Stage:
    (record,) = json.loads(Path(".noether/store.json").read_text())["stages"]
    return read_stage(record)


@pytest.mark.parametrize("command", ["activate", "sign"])
def test_a_store_that_is_not_there_is_not_made(run: Run, tmp_path: Path, command: str) -> None:
    create_key(tmp_path / "home" / "author-key.hex")
    ended = run(command, "x", "--store", "shop/store.json")
    assert (ended.code, ended.envelope["error"]["code"]) == (1, "NOT_FOUND")
    assert str(tmp_path / "shop" / "store.json") in ended.envelope["error"]["message"]
    assert not Path("shop").exists()


@pytest.mark.parametrize("command", ["verify", "list"])
def test_reading_a_store_that_is_not_there_says_so(run: Run, tmp_path: Path, command: str) -> None:
    words = ["--json"] if command == "list" else []
    ended = run(command, "--store", "shop.json", *words)
    assert ended.code == 0
    assert f"there is no store {tmp_path}/shop.json" in ended.said


def test_a_name_with_a_typing_error_finds_its_neighbours(run: Run) -> None:
    write_store(sample("render_digest"), sample("read_board"))
    error = run("get", "reder_digest").envelope["error"]
    assert error["hint"] == f"{sample('render_digest').id[:16]} render_digest"
    assert error["hints"][-1].startswith("noether-stage list")
    assert "text_upper" in run("get", "text_uper").envelope["error"]["hint"]


def test_only_drafts_are_activated(run: Run) -> None:
    write_store(sample("one"))
    ended = run("activate", "one")
    assert (ended.code, ended.envelope["error"]["kind"]) == (1, "InvalidTransition")
    assert "only a Draft can be activated" in ended.envelope["error"]["message"]


@pytest.mark.parametrize(
    ("lifecycle", "said"),
    [
        (Deprecated("ab" * 32), "stays deprecated in favour of abababab; noether-stage sync --rea"),
        (Tombstone(), "stays a tombstone"),
    ],
)
def test_adding_what_is_there_but_out_of_use_says_so(
    run: Run, lifecycle: Lifecycle, said: str
) -> None:
    write_store(sample("one", lifecycle=lifecycle))
    Path("one.json").write_bytes(orjson.dumps(spec("one")))
    ended = run("add", "one.json")
    assert ended.envelope["data"] == {"id": sample("one").id, "note": "already exists"}
    assert said in ended.said


def test_a_mistake_in_a_spec_names_the_file(run: Run) -> None:
    Path("one.json").write_bytes(orjson.dumps(spec("one", properties=[{"kind": "x"}])))
    message = run("add", "one.json").envelope["error"]["message"]
    assert (
        message == "one.json: a property is declared, but there is no example to check on; add one"
    )


def test_folders_files_and_graphs_in_the_wrong_place(run: Run) -> None:
    Path("specs").mkdir()
    Path("specs/one.json").write_bytes(orjson.dumps(spec("one")))
    graph = {"description": "", "version": "0.1.0", "root": {"op": "Const", "value": 1}}
    Path("graph.json").write_bytes(orjson.dumps(graph))
    assert "sync" in run("add", "specs").envelope["error"]["hint"]
    assert "add" in run("sync", "specs/one.json").envelope["error"]["hint"]
    error = run("add", "graph.json").envelope["error"]
    assert "composition graph" in error["message"]
    assert "noether-run" in error["hint"]


def test_signing_twice_changes_nothing_and_says_so(run: Run, tmp_path: Path) -> None:
    create_key(tmp_path / "home" / "author-key.hex")
    write_store(sample("one"))
    assert "note" not in run("sign", "one").envelope["data"]
    before = Path(".noether/store.json").stat().st_ino
    assert run("sign", "one").envelope["data"]["note"] == "already signed"
    assert Path(".noether/store.json").stat().st_ino == before


def test_a_broken_signature_is_not_papered_over(run: Run, tmp_path: Path) -> None:
    create_key(tmp_path / "home" / "author-key.hex")
    broken = replace(sample("one"), ed25519_signature="00" * 64, signer_public_key="01" * 32)
    write_store(broken)
    ended = run("sign", "one")
    assert (ended.code, ended.envelope["error"]["kind"]) == (2, "bad_signature")
    assert stored() == broken


def test_the_signature_of_somebody_else_stays(run: Run, tmp_path: Path) -> None:
    create_key(tmp_path / "home" / "author-key.hex")
    other = SigningKey(bytes(32)).sign(sample("one").id)
    signed = replace(
        sample("one"),
        ed25519_signature=other.ed25519_signature,
        signer_public_key=other.signer_public_key,
    )
    write_store(signed)
    ended = run("sign", "one")
    assert (ended.code, ended.envelope["error"]["kind"]) == (1, "signed_by_another")
    assert stored() == signed


def test_a_signature_can_be_required_beside_one_other_check(run: Run) -> None:
    write_store(sample("one"))
    assert run("verify", "--properties").envelope["data"]["skipped"] == 1
    assert run("verify", "--properties", "--require-signed").envelope["data"]["failed"] == 1
