"""docs/stages.md is true: its specs register, its transcripts repeat, its tables are complete."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from documents import Document, Outcome, Step, check, run_step
from noether_contract.json_values import parse_json
from noether_contract.outcomes import ErrorClass
from noether_contract.stage_environment import ALWAYS
from noether_runner.languages.table import LANGUAGES
from noether_runner.sandbox.limits import StageLimits
from noether_runner.stage_cli import COMMANDS
from noether_runner.stages.effects import EffectKind
from noether_runner.stages.spec import read_spec_text
from noether_runner.stages.spec_checks import check_before_storing
from noether_runner.stages.stage import write_stage
from noether_runner.types.shorthand import read_spec_type
from noether_runner.types.value_kinds import excerpt
from noether_runner.types.values import misfit, refinement_failure
from running_service import TOP, Place

DOCUMENT = Document(TOP / "docs" / "stages.md")
STEPS = DOCUMENT.steps
SPECS = [block for block in DOCUMENT.blocks if block.name.startswith(("stages/", "next/"))]


def table(heading: str) -> list[list[str]]:
    """The rows of the table whose first heading this is, cell by cell, without backquotes."""
    rows = DOCUMENT.text.partition(f"\n| {heading} |")[2].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r" \| ?", row[2:])] for row in rows]


def words_of(heading: str) -> list[str]:
    return [row[0].strip("`") for row in table(heading)]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Outcome]]:
    """What each command of the document printed; all ran in one place, in their order."""
    for program in ("node", "bash"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not there, and the document shows stages for it")
    place = Place(tmp_path_factory.mktemp("stages"))
    DOCUMENT.write_files(place)
    yield [run_step(step, place) for step in STEPS]
    assert list((place.folder / "tmp").iterdir()) == []


def title(step: Step) -> str:
    return step.command.split(";")[0][:50]


@pytest.mark.parametrize("number", range(len(STEPS)), ids=[title(step) for step in STEPS])
def test_the_document_says_what_happens(number: int, outcomes: list[Outcome]) -> None:
    check(STEPS[number], outcomes[number])


@pytest.mark.parametrize("name", [block.name for block in SPECS])
def test_every_spec_could_be_stored(name: str) -> None:
    (text,) = [block.text for block in SPECS if block.name == name]
    check_before_storing(read_spec_text(text.encode()))


def test_every_language_has_a_spec() -> None:
    shown = {json.loads(block.text).get("language", "python") for block in SPECS}
    assert shown == {language.name for language in LANGUAGES}


TYPES = [[cell.strip("`| ") for cell in row[:3]] for row in table("written")]


@pytest.mark.parametrize(("written", "takes", "refuses"), TYPES)
def test_types_take_what_the_table_says(written: str, takes: str, refuses: str) -> None:
    term = read_spec_type(parse_json(written))

    def objection(text: str) -> object:
        value = parse_json(text)
        return misfit(value, term) or refinement_failure(value, term, "input")

    assert objection(takes) is None
    assert not refuses or objection(refuses) is not None


def test_the_table_of_effects_has_the_names_that_specs_may_use() -> None:
    names = words_of("effect")
    assert set(names) == {kind.value for kind in EffectKind} - {"FsRead", "FsWrite"}
    spec = {"name": "a", "input": "Any", "output": "Any", "implementation": "", "language": "bash"}
    for name in names:
        stage = read_spec_text(json.dumps({**spec, "effects": [name]}).encode())
        assert [kind.value for kind in stage.effects.kinds] == [name]


def test_the_table_of_the_spec_names_what_is_read() -> None:
    members = [word.strip("`") for row in table("member") for word in row[0].split(", ")]
    values = {
        "name": "a",
        "input": "Text",
        "output": "Text",
        "effects": ["Pure"],
        "implementation": "execute() { cat; }",
        "language": "bash",
        "description": "d",
        "examples": [{"input": "x", "output": "x"}],
        "tags": ["t"],
        "aliases": ["b"],
        "properties": [{"kind": "equals", "left_field": "input", "right_field": "output"}],
        "capabilities": ["Gpu"],
        "cost": {"time_ms_p50": 1},
        "ui_style": "p {}",
    }
    assert set(members) == set(values)
    record = write_stage(read_spec_text(json.dumps(values).encode()))
    for name in ("name", "description", "examples", "tags", "aliases", "properties", "ui_style"):
        assert record[name] == values[name]
    assert record["capabilities"] == ["Gpu"]
    assert "time_ms_p50" in excerpt(record["cost"])


def test_the_table_of_limits_has_the_defaults() -> None:
    default = {row[0]: row[1] for row in table("limit")}
    limits, mebibyte = StageLimits(), 1024 * 1024
    assert default["time"] == f"{limits.wall_seconds:g} s"
    assert default["memory of each process"] == f"{limits.memory_bytes // mebibyte} MiB"
    assert default["CPU time of each process"] == "none"
    assert limits.cpu_seconds is None
    assert default["result"] == f"{limits.output_bytes // mebibyte} MiB"
    assert default["log, each stream"].startswith(f"{limits.log_bytes // 1024} KiB")
    assert default["processes"].startswith(f"{limits.max_processes} ")
    assert default["size of a written file"] == f"{limits.file_bytes // mebibyte} MiB"
    assert default["going on after the result"].startswith(f"{limits.linger_ms // 1000} s")


def test_every_class_of_error_is_explained() -> None:
    assert words_of("`error_class`") == [each.value for each in ErrorClass]


def test_every_state_is_explained() -> None:
    assert words_of("state") == ["Draft", "Active", "Deprecated", "Tombstone"]


def test_every_variable_that_stages_see_is_named() -> None:
    paragraph = DOCUMENT.text.partition("**Environment.**")[2].partition("\n\n")[0]
    for name in (*ALWAYS, "TMPDIR"):
        assert f"`{name}`" in paragraph or "SSL_CERT" in name or name == "NIX_PATH"


def test_the_table_of_commands_is_that_of_the_program(tmp_path: Path) -> None:
    rows = table("command")
    assert {row[0].strip("`").split(" ")[0] for row in rows} == set(COMMANDS)
    for row in rows:
        command = row[0].strip("`").split(" ")[0]
        usage = Place(tmp_path).call("noether-stage", command, "--help").stdout
        for option in re.findall(r"`(--[\w-]+)`", row[1]):
            assert option in usage, (command, option)


def test_links_lead_somewhere() -> None:
    for target in DOCUMENT.links:
        file, _, anchor = target.partition("#")
        other = Document(TOP / "docs" / file) if file else DOCUMENT
        assert not anchor or anchor in other.anchors, target
