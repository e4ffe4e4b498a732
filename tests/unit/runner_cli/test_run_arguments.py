"""The command line of `noether-run`: words in, one record or one sentence out."""

from pathlib import Path

import pytest

from noether_runner.arguments import DEFAULT_STORE, Arguments, parse, read_input


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as left:
        parse(list(words))
    assert left.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


def test_the_defaults_are_those_of_a_job() -> None:
    found = parse(["graph.json"])
    assert (found.graph, found.input, found.store) == ("graph.json", None, DEFAULT_STORE)
    assert (found.run_seconds, found.stage_seconds) == (300.0, 30.0)
    assert found.memory_bytes == 1024 * 1024 * 1024
    assert (found.isolation, found.verify) == ("none", "content")
    assert (found.environment, found.pass_names, found.inherit_environment) == ((), (), False)
    assert (found.allow_effects, found.allow_capabilities, found.budget_cents) == (None, None, None)
    assert (found.dry_run, found.envelope, found.trace_file) == (False, False, None)


def test_everything_at_once() -> None:
    words = (
        "g.json --input [1] --store s.json --timeout 1.5 --stage-timeout 0.5 --memory-mb 64 "
        "--isolation auto --env A=b --env C==d= --pass-env E --pass-env F --verify signed "
        "--allow-effects pure,network --allow-capabilities llm --budget-cents 0 --trace t.json "
        "--dry-run --envelope"
    )
    found: Arguments = parse(words.split())
    assert (found.input, found.store) == ("[1]", "s.json")
    assert (found.run_seconds, found.stage_seconds) == (1.5, 0.5)
    assert found.memory_bytes == 64 * 1024 * 1024
    assert found.environment == (("A", "b"), ("C", "=d="))
    assert found.pass_names == ("E", "F")
    assert found.allow_effects == ("pure", "network")
    assert (found.allow_capabilities, found.budget_cents) == (("llm",), 0)
    assert (found.trace_file, found.dry_run, found.envelope) == ("t.json", True, True)


@pytest.mark.parametrize("words", ["--allow-effects=", "--allow-effects=,", "--allow-effects= , "])
def test_an_empty_list_allows_nothing(words: str) -> None:
    assert parse(["g.json", words]).allow_effects == ()


@pytest.mark.parametrize("option", ["--timeout", "--stage-timeout"])
@pytest.mark.parametrize("value", ["0", "-1", "soon", "nan", "inf", "1e9", ""])
def test_a_time_that_is_none_is_refused(
    capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    assert repr(value) in refusal(capsys, "g.json", f"{option}={value}")


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "٣", "1" * 19, ""])
def test_a_size_that_is_none_is_refused(capsys: pytest.CaptureFixture[str], value: str) -> None:
    assert "--memory-mb" in refusal(capsys, "g.json", f"--memory-mb={value}")


@pytest.mark.parametrize("value", ["A", "=b", ""])
def test_a_variable_needs_a_name_and_a_value(
    capsys: pytest.CaptureFixture[str], value: str
) -> None:
    assert "NAME=VALUE" in refusal(capsys, "g.json", f"--env={value}")


def test_one_source_of_stages(capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(capsys, "g.json", "--store", "s.json", "--registry", "http://127.0.0.1")
    assert "--store and --registry exclude each other" in said


@pytest.mark.parametrize(
    "words", [[], ["a.json", "b.json"], ["g.json", "--nonsense"], ["g.json", "--isolation=box"]]
)
def test_usage_that_means_nothing(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert "usage: noether-run" in refusal(capsys, *words)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (None, "null"),
        ("[1]", "[1]"),
        ("", ""),
        ("-", "from standard input"),
        ("@file", "from file"),
    ],
)
def test_where_the_input_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, read: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("from file", encoding="utf-8")
    assert read_input(text, lambda: "from standard input") == read


def test_an_input_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_input(f"@{tmp_path}/nowhere", lambda: "")
    (tmp_path / "latin").write_bytes(b"\xfc")
    with pytest.raises(UnicodeDecodeError):
        read_input(f"@{tmp_path}/latin", lambda: "")
