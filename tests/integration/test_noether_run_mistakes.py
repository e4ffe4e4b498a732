"""`noether-run` and its user's mistakes; and what a dry run answers."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from noether_runner.stages.effects import Effect, EffectKind, EffectSet
from noether_runner.stages.spec import read_spec_text
from noether_runner.stages.spec_checks import rehashed
from noether_runner.stages.stage import write_stage
from process_watch import nothing_left
from running_service import Place
from service_stages import spec, stage

FAILS = spec(
    "fails",
    "def inner():\n    raise ValueError('no such luck')\n\n"
    "def execute(input):\n    return inner()\n",
)
FAILS_IN_NODE = spec(
    "fails_in_node",
    "function inner(x) {\n  return x.a.b;\n}\nfunction execute(input) {\n  return inner({});\n}\n",
    "javascript",
)
CHEAP = spec("cheap", "def execute(input):\n    return input\n", effects=["Pure"])
SHELL = spec("shell", "execute() { cat /nonexistent; }\n", "bash", effects=["Pure"])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    it = Place(tmp_path_factory.mktemp("mistakes"))
    it.stages(FAILS, FAILS_IN_NODE, CHEAP, SHELL)
    it.graph("cheap", stage("cheap"))
    with nothing_left():
        yield it


def refused(place: Place, *words: str) -> str:
    """What a call that is refused says."""
    ended = place.call("noether-run", *words)
    assert (ended.returncode, ended.stdout) == (2, "")
    return ended.stderr


def test_an_option_with_a_typing_error(place: Place) -> None:
    said = refused(place, "cheap.json", "--inptu", "5")
    assert said.splitlines()[0] == "usage: noether-run GRAPH [--input JSON] [options]"
    assert "unrecognized arguments: --inptu 5; did you mean --input?" in said
    assert "did you mean" not in refused(place, "cheap.json", "another.json")


def test_an_input_without_its_quotes(place: Place) -> None:
    assert "needs quotes of its own" in refused(place, "cheap.json", "--input", "hello")


def test_a_reference_with_a_typing_error(place: Place) -> None:
    place.graph("typo", stage("cheep"))
    assert "did you mean cheap?" in refused(place, "typo.json")
    place.graph("standard", stage("text_uper"))
    assert "did you mean text_upper?" in refused(place, "standard.json")
    place.graph("nothing", stage("zzzz_nothing_like_it"))
    assert "did you mean" not in refused(place, "nothing.json")


@pytest.mark.parametrize(
    ("document", "hint"),
    [
        (stage("cheap"), "this is a node"),
        (CHEAP, "noether-stage add registers it"),
        ({"jobs": []}, "configuration of noether-scheduler"),
    ],
    ids=["node", "spec", "configuration"],
)
def test_another_kind_of_document(place: Place, document: Any, hint: str) -> None:
    place.write("other.json", document)
    assert hint in refused(place, "other.json")


@pytest.mark.parametrize("name", ["fails", "fails_in_node"])
def test_a_failed_stage_shows_its_own_lines_and_nothing_of_ours(place: Place, name: str) -> None:
    if name == "fails_in_node" and shutil.which("node") is None:
        pytest.skip("node is not there")
    place.graph(name, stage(name))
    ended = place.call("noether-run", f"{name}.json")
    error = ended.stderr.partition("error: ")[2]
    assert ended.returncode == 1
    assert "execute" in error
    assert "inner" in error
    assert "noether_runner" not in error
    assert "node:internal" not in error
    assert "Traceback" not in error


def test_a_script_that_fails_is_not_said_to_have_printed_its_result(place: Place) -> None:
    if shutil.which("bash") is None:
        pytest.skip("bash is not there")
    place.graph("shell", stage("shell"))
    ended = place.call("noether-run", "shell.json")
    assert ended.returncode == 1
    assert "warning" not in ended.stderr


# the dry run


TANGLED: dict[str, Any] = {
    "op": "Sequential",
    "stages": [
        {"op": "Sequential", "stages": [stage("cheap"), stage("cheap")]},
        {
            "op": "Branch",
            "predicate": {"op": "Const", "value": False},
            "if_true": stage("fails"),
            "if_false": {"op": "Retry", "stage": stage("cheap"), "max_attempts": 0},
        },
    ],
}


def described(place: Place, *words: str, **environment: str) -> dict[str, Any]:
    place.graph("tangled", TANGLED)
    words = ("tangled.json", "--dry-run", *words)
    ended = place.call("noether-run", *words, environment=environment)
    assert ended.returncode == 0, ended.stderr
    document: dict[str, Any] = json.loads(ended.stdout)
    return document


def test_the_document_of_a_dry_run(place: Place) -> None:
    document = described(place)
    assert set(document) == {
        *("composition_id", "description", "effects", "mode", "optimizer", "plan"),
        *("type_check", "resolutions", "warnings"),
    }
    assert (document["description"], document["mode"]) == ("test tangled", "dry-run")
    assert document["effects"] == ["fallible", "non-deterministic", "pure"]
    assert document["optimizer"] == {
        "hit_cap": False,
        "iterations": 2,
        "passes_applied": ["canonical_structural", "dead_branch"],
    }
    assert (document["plan"]["steps"], document["plan"]["parallel_groups"]) == (3, 1)
    assert document["type_check"] == {"input": "Any", "output": "Any"}
    assert [each["reference"] for each in document["resolutions"]] == ["cheap", "fails"]


@pytest.mark.parametrize("value", ["1", "TRUE"])
def test_without_the_optimizer_the_graph_is_planned_as_it_is(place: Place, value: str) -> None:
    document = described(place, NOETHER_NO_OPTIMIZE=value)
    assert document["optimizer"] == {"hit_cap": False, "iterations": 0, "passes_applied": []}
    assert document["plan"]["steps"] == 4


def test_the_expected_cost_is_that_of_each_stage_once(place: Place) -> None:
    assert "expected_cost_cents" not in described(place, "--budget-cents", "5")
    plain = read_spec_text(orjson.dumps(spec("costly", "execute() { cat; }", "bash")))
    costly = rehashed(replace(plain, effects=EffectSet.of([Effect(EffectKind.COST, 3)])))
    place.write("costly.json", write_stage(costly))
    assert place.call("noether-stage", "add", "costly.json").returncode == 0
    dead = {**TANGLED["stages"][1], "if_true": stage("costly")}
    place.graph("cost", {"op": "Sequential", "stages": [stage("costly"), stage("costly"), dead]})
    words = ("cost.json", "--dry-run")
    document = json.loads(place.call("noether-run", *words, "--budget-cents", "9").stdout)
    assert document["expected_cost_cents"] == 3
    assert "expected_cost_cents" not in json.loads(place.call("noether-run", *words).stdout)
    assert "would cost too much" in refused(place, *words, "--budget-cents", "8")
