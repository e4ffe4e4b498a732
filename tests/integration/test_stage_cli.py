import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest

from noether_runner import stage_cli
from noether_runner.stages.identity import stage_id_v1
from noether_runner.stages.lifecycle import Active, Deprecated, Draft, Tombstone
from noether_runner.stages.signing import SigningKey, create_key
from noether_runner.stages.stage import Stage, read_stage, write_stage
from stage_samples import broken_record, sample, spec, version


class Ended(NamedTuple):
    """One command: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The payload of the success envelope."""
        envelope = json.loads(self.out)
        assert list(envelope) == ["ok", "command", "data", "meta"]
        assert envelope["command"] == "noether"
        assert isinstance(envelope["meta"]["duration_ms"], int)
        return envelope["data"]

    @property
    def error(self) -> Any:
        """The error of the envelope, after any sentences before it."""
        assert self.out == ""
        envelope = json.loads(self.err[self.err.index("{\n") :])
        assert list(envelope) == ["ok", "command", "error", "meta"]
        assert envelope["ok"] is False
        return envelope["error"]


Run = Callable[..., Ended]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in an empty working directory without an author key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOETHER_HOME", str(tmp_path / "home"))

    def run_it(*words: str) -> Ended:
        try:
            code = stage_cli.main(words)
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 0
        return Ended(code, *capsys.readouterr())

    return run_it


def write_spec(name: str, document: object) -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(document if isinstance(document, bytes) else orjson.dumps(document))
    return name


def write_store(*entries: Stage | dict[str, Any]) -> None:
    records = [write_stage(each) if isinstance(each, Stage) else each for each in entries]
    write_spec(".noether/store.json", {"stages": records})


def stored() -> dict[str, Stage]:
    document = json.loads(Path(".noether/store.json").read_text())
    stages = [read_stage(record) for record in document["stages"]]
    return {stage.id: stage for stage in stages}


def states() -> dict[str, object]:
    return {stage_id: stage.lifecycle for stage_id, stage in stored().items()}


# add


def test_adding_a_spec_makes_its_stage_active(run: Run) -> None:
    ended = run("add", write_spec("a.json", spec("one")))
    stage = sample("one")
    assert ended.code == 0
    assert ended.data == {
        "id": stage.id,
        "lifecycle": "active",
        "name": "one",
        "signature_id": stage.signature_id,
    }
    assert stored() == {stage.id: stage}
    assert ended.err == ""


def test_adding_it_again_changes_nothing(run: Run) -> None:
    name = write_spec("a.json", spec("one"))
    first = run("add", name).data
    before = Path(".noether/store.json").stat().st_ino
    ended = run("add", name)
    assert ended.code == 0
    assert ended.data == {"id": first["id"], "note": "already exists"}
    assert Path(".noether/store.json").stat().st_ino == before


def test_a_newer_version_supersedes_and_a_draft_does_not(run: Run) -> None:
    one, two, three = version(1), version(2), version(3)
    write_store(one)
    draft = run("add", "--draft", write_spec("2.json", spec("versioned", two.code or "")))
    assert draft.data["lifecycle"] == "draft"
    assert "supersedes" not in draft.data
    assert states() == {one.id: Active(), two.id: Draft()}

    ended = run("add", write_spec("3.json", spec("versioned", three.code or "")))
    assert ended.data["supersedes"] == one.id
    assert ended.data["superseded"] == [one.id]
    assert states() == {one.id: Deprecated(three.id), two.id: Draft(), three.id: Active()}

    again = run("add", "2.json")
    assert again.data["lifecycle"] == "active"
    assert again.data["note"] == "already exists"
    assert again.data["supersedes"] == three.id
    assert run("add", "3.json").data == {"id": three.id, "note": "already exists"}
    assert states()[three.id] == Deprecated(two.id)


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        (b"{", "invalid_json"),
        (b"\xff", "invalid_json"),
        ({**spec(), "name": 3}, "missing_name"),
        (spec(effects=["Teleport"]), "unknown_effect"),
        (spec(code="x = 1"), "python_missing_execute"),
        (spec(examples=[{"input": 1, "output": "a"}]), "example_type_mismatch"),
        (spec(properties=[{"kind": "range", "field": 1}]), "shadowed_property_kind"),
        ({**write_stage(sample()), "id": "0" * 64}, "id_mismatch"),
        ({**write_stage(sample()), "lifecycle": "active"}, "invalid_stage_json"),
    ],
)
def test_a_bad_spec_is_an_error_envelope_and_no_store(
    run: Run, document: object, kind: str
) -> None:
    ended = run("add", write_spec("bad.json", document))
    assert ended.code == 1
    assert ended.error["kind"] == kind
    assert ended.error["code"] == "GENERAL_ERROR"
    assert ended.error["message"]
    assert not Path(".noether/store.json").exists()


def test_a_file_that_is_not_there(run: Run) -> None:
    ended = run("add", "missing.json")
    assert ended.code == 1
    assert ended.error["kind"] == "unreadable_file"
    assert str(Path("missing.json").absolute()) in ended.error["message"]


def test_examples_need_not_be_checked(run: Run) -> None:
    name = write_spec("a.json", spec(examples=[{"input": 1, "output": "a"}]))
    assert run("add", "--no-check-examples", name).code == 0


def test_signature_trouble_ends_with_2(run: Run) -> None:
    half = {**write_stage(sample()), "ed25519_signature": "00" * 64}
    ended = run("add", write_spec("half.json", half))
    assert (ended.code, ended.error["kind"]) == (2, "half_signed")
    bad = {**half, "signer_public_key": "01" * 32}
    ended = run("add", write_spec("bad.json", bad))
    assert (ended.code, ended.error["kind"]) == (2, "bad_signature")


def test_a_full_record_keeps_its_state(run: Run) -> None:
    ended = run("add", write_spec("full.json", write_stage(sample(lifecycle=Tombstone()))))
    assert ended.data["lifecycle"] == "tombstone"
    assert states() == {sample().id: Tombstone()}
    ended = run("add", "--draft", write_spec("2.json", write_stage(sample("two"))))
    assert ended.data["lifecycle"] == "draft"


def test_a_record_of_an_older_scheme(run: Run) -> None:
    stage = sample()
    old = replace(stage, id=stage_id_v1(stage.signature, stage.implementation_hash))
    name = write_spec("old.json", write_stage(old))
    ended = run("add", name)
    assert (ended.code, ended.error["kind"]) == (1, "legacy_id")
    assert stage.id in ended.error["message"]
    assert "--rehash" in ended.error["hint"]
    assert ended.error["hints"] == [ended.error["hint"]]
    assert run("add", "--rehash", name).data["id"] == stage.id


def test_the_same_source_in_another_language_is_refused(run: Run) -> None:
    run("add", write_spec("a.json", spec(code="x", language="bash")))
    ended = run("add", write_spec("b.json", spec(code="x", language="javascript")))
    assert ended.code == 1
    assert (ended.error["code"], ended.error["kind"]) == ("CONFLICT", "language_conflict")


def test_an_unusual_union_is_remarked(run: Run) -> None:
    ended = run("add", write_spec("a.json", spec(input={"Union": ["Text", "Null"]})))
    assert ended.code == 0
    assert "Null | Text" in ended.err


# keys


def test_stages_are_signed_when_there_is_an_author_key(run: Run, tmp_path: Path) -> None:
    key = create_key(tmp_path / "home" / "author-key.hex")
    run("add", write_spec("a.json", spec()))
    (stage,) = stored().values()
    assert stage.signer_public_key == key.public_key
    assert run("verify", "--signatures", "--require-signed").code == 0


def test_a_key_is_never_made_in_silence(run: Run, tmp_path: Path) -> None:
    run("add", write_spec("a.json", spec()))
    assert not (tmp_path / "home").exists()
    (stage,) = stored().values()
    assert stage.ed25519_signature is None


def test_a_corrupt_key_stops_everything_and_stays(run: Run, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    key = tmp_path / "home" / "author-key.hex"
    key.write_text("mine")
    for words in (("add", write_spec("d/a.json", spec())), ("sync", "d")):
        ended = run(*words)
        assert ended.code == 2
        assert str(key) in ended.error["message"]
    assert key.read_text() == "mine"
    assert not Path(".noether/store.json").exists()


def test_a_key_that_others_can_read_is_remarked(run: Run, tmp_path: Path) -> None:
    create_key(tmp_path / "home" / "author-key.hex").sign("x")
    (tmp_path / "home" / "author-key.hex").chmod(0o644)
    assert "chmod 600" in run("add", write_spec("a.json", spec())).err


def test_making_a_key_and_signing_with_it(run: Run) -> None:
    write_store(sample())
    ended = run("sign", "sample")
    assert ended.code == 2
    assert "keygen" in ended.error["message"]
    made = run("keygen").data
    assert Path(made["path"]).stat().st_mode & 0o777 == 0o600
    assert run("keygen").code == 2
    assert run("sign", "sample").data["signer_public_key"] == made["public_key"]
    assert run("sign", "sample").code == 0
    assert run("verify", "--require-signed").data["passed"] == 1


# sync


def test_sync_reports_every_file(run: Run) -> None:
    write_spec("specs/a.json", spec("one"))
    write_spec("specs/b.json", b"{not json")
    write_spec("specs/.x.json", spec("two"))
    write_spec("specs/.json", spec("three"))
    write_spec("specs/c.json/inner.json", spec("four"))
    ended = run("sync", "specs")
    assert ended.code == 1
    data = ended.data
    assert data["directory"] == "specs"
    assert [each["file"] for each in data["imported"]] == ["specs/.x.json", "specs/a.json"]
    assert [each["file"] for each in data["failed"]] == ["specs/b.json", "specs/c.json"]
    assert [each["kind"] for each in data["failed"]] == ["invalid_json", "unreadable_file"]
    assert data["counts"] == {"imported": 2, "skipped": 0, "failed": 2}
    assert json.loads(ended.out)["ok"] is True
    assert {stage.name for stage in stored().values()} == {"one", "two"}


def test_a_second_sync_changes_nothing(run: Run) -> None:
    write_spec("specs/a.json", spec("one"))
    run("sync", "specs/")
    before = Path(".noether/store.json").stat()
    ended = run("sync", "specs/")
    assert ended.code == 0
    assert ended.data["skipped"] == [
        {"file": "specs/a.json", "id": sample("one").id, "lifecycle": "active"}
    ]
    assert Path(".noether/store.json").stat() == before


def test_metadata_is_compared_and_taken_over_when_asked(run: Run) -> None:
    write_spec("specs/a.json", spec("one"))
    run("sync", "specs")
    write_spec("specs/a.json", spec("one", description="new", tags=["t"]))
    (skipped,) = run("sync", "specs").data["skipped"]
    assert skipped["metadata_differs"] is True
    assert stored()[sample("one").id].description == "one"
    (skipped,) = run("sync", "--update-metadata", "specs").data["skipped"]
    assert skipped["metadata_updated"] is True
    stage = stored()[sample("one").id]
    assert (stage.description, stage.tags, stage.lifecycle) == ("new", ("t",), Active())
    (skipped,) = run("sync", "specs").data["skipped"]
    assert "metadata_differs" not in skipped


def test_an_older_implementation_comes_back_only_when_asked(run: Run) -> None:
    one, two = version(1), version(2)
    write_store(replace(one, lifecycle=Deprecated(two.id)), two)
    write_spec("specs/a.json", spec("versioned", one.code or ""))
    assert run("sync", "specs").data["skipped"][0]["lifecycle"] == "deprecated"
    assert states()[two.id] == Active()
    (skipped,) = run("sync", "--reactivate", "specs").data["skipped"]
    assert (skipped["lifecycle"], skipped["reactivated"]) == ("active", True)
    assert states() == {one.id: Active(), two.id: Deprecated(one.id)}


def test_drafts_stay_drafts_in_a_sync(run: Run) -> None:
    write_spec("specs/a.json", spec("one"))
    assert run("sync", "--draft", "specs").data["imported"][0]["lifecycle"] == "draft"
    assert run("sync", "specs").data["skipped"][0]["lifecycle"] == "draft"


def test_stages_without_a_file_are_listed_and_left_alone(run: Run) -> None:
    write_store(sample("old"), sample("gone", lifecycle=Tombstone()))
    write_spec("specs/a.json", spec("one"))
    data = run("sync", "--prune", "specs").data
    assert data["absent"] == [{"id": sample("old").id, "lifecycle": "active", "name": "old"}]
    assert states()[sample("old").id] == Active()


def test_a_dry_run_writes_nothing(run: Run) -> None:
    write_spec("specs/a.json", spec("one"))
    data = run("sync", "--dry-run", "specs").data
    assert data["counts"]["imported"] == 1
    assert data["dry_run"] is True
    assert not Path(".noether").exists()


def test_a_record_that_cannot_be_read_is_kept_and_named(run: Run) -> None:
    bad = broken_record("one")
    write_store(bad)
    write_spec("specs/a.json", spec("one"))
    write_spec("specs/b.json", spec("two"))
    ended = run("sync", "specs")
    (failed,) = ended.data["failed"]
    assert failed["id"] == bad["id"]
    assert "Telepathy" in failed["error"]
    assert "Telepathy" in ended.err
    document = json.loads(Path(".noether/store.json").read_text())
    assert bad in document["stages"]
    assert len(document["stages"]) == 2


def test_a_directory_that_is_none(run: Run) -> None:
    write_spec("file", b"")
    for name in ("file", "missing"):
        ended = run("sync", name)
        assert (ended.code, ended.error["kind"]) == (1, "unreadable_directory")


@pytest.mark.parametrize("words", [("sync", "specs"), ("add", "specs/a.json"), ("list",)])
def test_a_broken_store_is_an_error_and_stays_as_it_is(run: Run, words: Sequence[str]) -> None:
    write_spec("specs/a.json", spec())
    write_spec(".noether/store.json", b'{"stages": [')
    ended = run(*words)
    assert ended.code == 1
    assert ended.error["kind"] == "store_unreadable"
    assert str(Path(".noether/store.json").absolute()) in ended.error["message"]
    assert Path(".noether/store.json").read_bytes() == b'{"stages": ['


# list, get, activate


def test_the_table_and_the_array(run: Run) -> None:
    write_store(
        sample("b", description="second", tags=["t"]),
        sample("a", description="first"),
        sample("c", description="third", lifecycle=Draft()),
    )
    table = run("list").out.splitlines()
    assert table[0].split() == ["ID", "NAME", "LIFECYCLE", "SIGNATURE", "DESCRIPTION"]
    assert [line.split()[1] for line in table[1:]] == ["a", "b"]
    entries = json.loads(run("list", "--json").out)
    assert entries == [
        {
            "id": sample("a").id[:8],
            "name": "a",
            "signature_id": sample("a").signature_id,
            "description": "first",
            "signature": "Text → Text",
            "lifecycle": "Active",
        },
        {
            "id": sample("b").id[:8],
            "name": "b",
            "signature_id": sample("b").signature_id,
            "description": "second",
            "signature": "Text → Text",
            "lifecycle": "Active",
            "tags": ["t"],
        },
    ]


def test_what_can_be_listed(run: Run) -> None:
    key = SigningKey(bytes(32))
    made = key.sign(sample("signed").id)
    signed = replace(
        sample("signed"),
        ed25519_signature=made.ed25519_signature,
        signer_public_key=made.signer_public_key,
    )
    old = sample("old", lifecycle=Deprecated("x"), tags=["t"])
    write_store(signed, sample("plain", tags=["t"]), old)

    def names(*words: str) -> list[str]:
        return [entry["name"] for entry in json.loads(run("list", "--json", *words).out)]

    assert names() == ["plain", "signed"]
    assert names("--lifecycle", "all") == names("--lifecycle", "any") == ["old", "plain", "signed"]
    assert names("--lifecycle", "deprecated") == ["old"]
    assert names("--tag", "t") == ["plain"]
    assert names("--signed-by", "custom") == ["plain", "signed"]
    assert names("--signed-by", key.public_key[:6].upper()) == ["signed"]
    assert len(names("--signed-by", "stdlib")) == 85
    (entry,) = json.loads(run("list", "--json", "--lifecycle", "deprecated", "--full-ids").out)
    assert entry["id"] == old.id
    assert entry["lifecycle"] == 'Deprecated { successor_id: StageId("x") }'
    assert run("list", "--lifecycle", "draft").out == "no stages\n"
    assert run("list", "--json", "--lifecycle", "draft").out == "[]\n"


def test_getting_by_id_prefix_or_name(run: Run) -> None:
    stage = sample("one", lifecycle=Draft())
    write_store(stage, sample("two"))
    for reference in (stage.id, stage.id[:5], "one"):
        assert run("get", reference).data == write_stage(stage)
    assert run("get", "to_text").data["name"] == "to_text"


def test_references_that_mean_nothing_or_too_much(run: Run) -> None:
    stages = [version(number) for number in range(17)]
    write_store(*stages)
    ended = run("get", "nothing")
    assert ended.code == 1
    assert (ended.error["code"], ended.error["kind"]) == ("NOT_FOUND", "not_found")
    assert ended.error["hints"]
    assert "hints" not in run("get", "zz").error
    shared = [stage.id[0] for stage in stages]
    twice = next(digit for digit in shared if shared.count(digit) > 1)
    assert run("get", twice).error["kind"] == "ambiguous"
    assert run("get", "versioned").error["kind"] == "ambiguous"
    assert run("get", "").error["kind"] == "not_found"


def test_getting_a_record_that_cannot_be_read(run: Run) -> None:
    bad = broken_record()
    write_store(bad)
    ended = run("get", str(bad["id"]))
    assert (ended.code, ended.error["kind"]) == (1, "unreadable_stage")
    assert "Telepathy" in ended.error["message"]


def test_only_a_draft_can_be_activated(run: Run) -> None:
    one, two = version(1), version(2, Draft())
    write_store(one, two)
    ended = run("activate", two.id[:10])
    assert ended.data == {
        "id": two.id,
        "lifecycle": "active",
        "supersedes": one.id,
        "superseded": [one.id],
    }
    ended = run("activate", one.id)
    assert ended.code == 1
    assert (ended.error["code"], ended.error["kind"]) == (
        "PRECONDITION_FAILED",
        "InvalidTransition",
    )


# verify


def test_verifying_tells_what_is_wrong_and_where(run: Run) -> None:
    fine = sample("fine", examples=[{"input": "a", "output": "a"}])
    edited = replace(sample("edited"), code="x")
    equal = [{"kind": "equals", "left_field": "output", "right_field": "input"}]
    violated = sample("violated", properties=equal, examples=[{"input": "a", "output": "b"}])
    write_store(fine, edited, violated, sample("draft", lifecycle=Draft()))
    ended = run("verify")
    assert ended.code == 1
    assert json.loads(ended.out)["ok"] is False
    report = ended.data
    assert (report["total"], report["passed"], report["failed"]) == (3, 1, 2)
    found = {entry["name"]: entry for entry in report["stages"]}
    assert found["fine"]["details"]["skip_reasons"] == ["no signature", "no properties declared"]
    (violation,) = found["edited"]["details"]["violations"]
    assert violation["check"] == "implementation_hash"
    (violation,) = found["violated"]["details"]["violations"]
    assert (violation["check"], violation["example_index"]) == ("property", 0)

    assert run("verify", "fine", "--signatures").data["skipped"] == 1
    assert run("verify", "fine", "--signatures", "--require-signed").data["failed"] == 1
    assert run("verify", "edited", "--properties").data["skipped"] == 1
    assert run("verify", "to_text").data["passed"] == 1


def test_verifying_a_store_with_an_unreadable_record_fails(run: Run) -> None:
    write_store(broken_record(), sample("fine"))
    ended = run("verify")
    assert ended.code == 1
    assert "Telepathy" in ended.data["unreadable"][0]


# the command line


def test_usage_errors_end_with_2_and_an_envelope(run: Run) -> None:
    for words in ((), ("add",), ("list", "--lifecycle", "alive"), ("fly",)):
        ended = run(*words)
        assert ended.code == 2
        assert ended.err.startswith("usage: noether-stage")
        assert ended.error["code"] == "INVALID_ARGS"


def test_help_and_version(run: Run) -> None:
    assert "COMMAND" in run("--help").out
    assert "--update-metadata" in run("sync", "--help").out
    assert run("--version").out.startswith("noether-stage ")


def test_the_store_can_be_named_before_or_after_the_command(run: Run) -> None:
    name = write_spec("a.json", spec())
    assert run("--store", "x/one.json", "add", name).code == 0
    assert run("add", "--store", "x/two.json", name).code == 0
    assert Path("x/one.json").read_bytes() == Path("x/two.json").read_bytes()
    assert not Path(".noether").exists()


def test_as_a_real_process_in_a_plain_locale(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "NOETHER_HOME": str(tmp_path)}
    (tmp_path / "größe.json").write_bytes(orjson.dumps(spec("größe")))

    def call(*words: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "noether_runner.stage_cli", *words]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, check=False
        )

    ended = call("sync", ".")
    assert ended.returncode == 0, ended.stderr
    data = json.loads(ended.stdout.decode())["data"]
    assert data["imported"][0]["file"] == "./größe.json"
    assert ended.stdout.endswith(b"}\n")
    assert "Text → Text" in call("list").stdout.decode()


def test_a_reader_that_goes_away_is_no_crash(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as nobody:
        ended = subprocess.run(
            [sys.executable, "-m", "noether_runner.stage_cli", "list", "--signed-by", "stdlib"],
            cwd=tmp_path,
            stdout=nobody,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert ended.returncode == 1
    assert b"Traceback" not in ended.stderr
    assert b"Exception" not in ended.stderr
