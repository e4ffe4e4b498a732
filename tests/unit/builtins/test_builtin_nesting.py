"""Standard stages that call others: the way of a child, its limits, and what the trace keeps."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from builtin_calls import Caller, calling, started_children
from noether_contract.json_values import JsonValue
from noether_contract.messages import Limits
from noether_contract.outcomes import ErrorClass, ErrorCode
from noether_runner.execution.errors import stage_failure
from noether_runner.nested_calls import DEEPEST
from noether_runner.nested_record import KEPT, KEPT_FAILURES
from noether_runner.sandbox.child import Children
from noether_runner.stages.effects import EffectKind
from noether_runner.stages.stage import Stage
from noether_runner.stores.builtin import BuiltinStore, builtin_stage


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with started_children() as started:
        yield started


@pytest.fixture
def caller() -> Iterator[Caller]:
    with calling() as it:
        yield it


class WithCode:
    """The standard library with code in place of some stages, found by its name."""

    def __init__(self, **code: str) -> None:
        self._standard = BuiltinStore()
        self._code = code

    def stage(self, stage_id: str) -> Stage:
        stage = self._standard.stage(stage_id)
        code = self._code.get(stage.name or "")
        return stage if code is None else replace(stage, code=code, language="python")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._standard, name)


def nested(depth: int, stage: str, argument: JsonValue) -> tuple[str, JsonValue]:
    for _ in range(depth):
        stage, argument = "retry", {"stage_id": stage, "input": argument, "max_attempts": 1}
    return stage, argument


def test_a_child_is_named_in_every_way_that_a_graph_knows(caller: Caller) -> None:
    stage = builtin_stage("8343c85c532f70763a2b03e54f232efe0b4e2346fa18f334b3200a64356868e6")
    legacy = "1b68a050"
    for reference in (stage.id, stage.signature_id, "text_upper", stage.id[:9], legacy):
        assert caller.output("map", {"items": ["a"], "stage_id": reference}) == ["A"]


def test_an_older_id_of_a_child_is_told_as_a_warning(caller: Caller) -> None:
    outcome = caller.call("map", {"items": ["a", "b"], "stage_id": "1b68a050"})
    assert len(outcome.warnings) == 1
    assert "older scheme" in outcome.warnings[0]


def test_children_are_recorded_apart_from_the_trace(caller: Caller) -> None:
    outcome = caller.call("filter", {"items": [1, 0], "stage_id": "to_bool"})
    assert [entry.stage_name for entry in outcome.nested] == ["to_bool", "to_bool"]
    assert [entry.step_index for entry in outcome.nested] == [0, 1]
    assert outcome.nested[0].input_hash != outcome.nested[1].input_hash
    outer = caller.call("map", {"items": [[1]], "stage_id": "list_length"})
    assert outer.nested[0].output_hash


def test_of_very_many_children_the_first_and_the_failed_are_recorded(caller: Caller) -> None:
    outcome = caller.call("map", {"items": [1] * (KEPT + 50), "stage_id": "to_text"})
    assert len(outcome.nested) == KEPT
    assert outcome.warnings == (f"{KEPT + 50} stages were called; 50 of them are not in the trace",)
    many: JsonValue = {
        "stage_id": "to_number",
        "input": "x",
        "max_attempts": KEPT + KEPT_FAILURES + 7,
    }
    outcome = caller.call("retry", many)
    assert len(outcome.nested) == KEPT + KEPT_FAILURES


def test_a_childs_failure_is_handed_on_unchanged(caller: Caller) -> None:
    outcome = caller.call("map", {"items": ["a", 5], "stage_id": "text_upper"})
    assert outcome.error is not None
    assert outcome.error.message == "input must be a string"
    assert outcome.error.of_child
    told = stage_failure(outcome.error, path="root", stage_id="x" * 64, stage_name="map")
    assert told.message == 'stage "map" failed: input must be a string'


def test_an_unknown_child_is_a_stage_that_was_not_found(caller: Caller) -> None:
    outcome = caller.call("map", {"items": [1], "stage_id": "no-such-stage"})
    assert outcome.error is not None
    assert outcome.error.code is ErrorCode.STAGE_NOT_FOUND
    told = stage_failure(outcome.error, path="root", stage_id="x" * 64, stage_name="map")
    assert told.message.startswith('stage "map" failed: stage "no-such-stage" cannot be called: ')


def test_nesting_ends_at_its_limit(caller: Caller) -> None:
    stage, argument = nested(DEEPEST, "to_text", 5)
    assert caller.output(stage, argument) == "5"
    stage, argument = nested(DEEPEST + 1, "to_text", 5)
    assert "nested deeper than 64 levels" in caller.message(stage, argument)


def test_a_childs_effects_are_held_against_the_policy_of_the_run(caller: Caller) -> None:
    pure = frozenset({EffectKind.PURE, EffectKind.PROCESS, EffectKind.FALLIBLE})
    asked: JsonValue = {"stage_id": "env_get", "input": {"name": "PATH"}}
    assert "non-deterministic" in caller.message("retry", asked, effects=pure)
    assert caller.output("retry", asked)
    assert caller.output("map", {"items": [1], "stage_id": "to_text"}, effects=pure) == ["1"]


def test_a_childs_cost_counts_against_the_budget() -> None:
    with calling() as caller:
        asked: JsonValue = {"stages": ["llm_complete", "identity"], "input": {}}
        outcome = caller.call("fallback", asked, budget_cents=4)
        assert outcome.output == {}
        assert "cost budget exceeded" in str(outcome.nested[0].status)


def test_a_childs_input_must_fit_its_refinement(caller: Caller) -> None:
    message = caller.message("map", {"items": [50, 150], "stage_id": "clamp_percent"})
    assert message == "input refinement violation (Range(0..=100)): value 150 above maximum 100"


def test_stages_with_code_are_run_not_imagined(children: Children) -> None:
    store = WithCode(identity="def execute(value):\n    return value * 2\n")
    with calling(children, store) as caller:
        outcome = caller.call("map", {"items": [1, 2], "stage_id": "identity"})
    assert outcome.output == [2, 4]
    assert [entry.language for entry in outcome.nested] == ["python", "python"]
    assert outcome.cpu_ms is not None


def test_retry_rests_between_attempts_and_tells_the_last_failure(caller: Caller) -> None:
    began = time.monotonic()
    asked: JsonValue = {"stage_id": "to_number", "input": "x", "max_attempts": 3, "delay_ms": 20}
    message = caller.message("retry", asked)
    assert time.monotonic() - began >= 0.04
    assert message.startswith('retry exhausted after 3 attempts for stage StageId("to_number")')
    assert message.endswith("cannot parse 'x' as number")


def test_timeout_stops_the_child_and_its_process(children: Children) -> None:
    store = WithCode(identity="import time\ndef execute(value):\n    time.sleep(60)\n")
    with calling(children, store) as caller:
        asked: JsonValue = {"stage_id": "identity", "input": 1, "timeout_ms": 200}
        outcome = caller.call("timeout", asked)
    assert outcome.error is not None
    assert outcome.error.message.startswith("stage exceeded timeout of 200ms")
    assert outcome.nested[0].error_class is ErrorClass.CANCELLED


def test_a_timeout_of_zero_calls_nothing(caller: Caller) -> None:
    outcome = caller.call("timeout", {"stage_id": "to_text", "input": 1, "timeout_ms": 0})
    assert outcome.error is not None
    assert outcome.nested == ()


def test_race_takes_the_first_success_and_stops_the_others(children: Children) -> None:
    store = WithCode(identity="import time\ndef execute(value):\n    time.sleep(60)\n")
    with calling(children, store) as caller:
        outcome = caller.call("race", {"stages": ["identity", "head", "to_json"], "input": "a"})
    assert outcome.output == '"a"'
    slow = [entry for entry in outcome.nested if entry.stage_name == "identity"]
    assert [entry.error_class for entry in slow] in ([], [ErrorClass.CANCELLED])


def test_a_lost_race_tells_the_failure_of_the_last_stage(caller: Caller) -> None:
    asked: JsonValue = {"stages": ["head", "num_avg", "to_number"], "input": "x"}
    assert caller.message("race", asked) == "cannot parse 'x' as number"


def test_what_is_named_behind_something_that_is_no_text_is_never_reached(caller: Caller) -> None:
    assert caller.output("race", {"stages": ["to_text", 5], "input": 1}) == "1"
    cases: list[list[JsonValue]] = [[5, "to_text"], ["to_number", 5]]
    for stages in cases:
        asked: JsonValue = {"stages": stages, "input": "x"}
        assert caller.message("race", asked) == "stage IDs must be strings"
        failure = "stage IDs must be strings" if stages[0] == 5 else "cannot parse 'x' as number"
        asked = {"stages": stages, "inputs": ["x", 1]}
        assert caller.message("parallel", asked) == failure


def test_parallel_tells_the_failure_with_the_smallest_position(children: Children) -> None:
    slow = "import time\ndef execute(value):\n    time.sleep(0.2)\n    raise ValueError('slow')\n"
    with calling(children, WithCode(identity=slow)) as caller:
        asked: JsonValue = {"stages": ["identity", "to_number"], "inputs": [1, "x"]}
        assert caller.message("parallel", asked) == "ValueError: slow"


def test_parallel_stops_what_stands_behind_a_failure(children: Children) -> None:
    endless = "import time\ndef execute(value):\n    time.sleep(60)\n"
    with calling(children, WithCode(identity=endless)) as caller:
        asked: JsonValue = {"stages": ["to_number", "identity"], "inputs": ["x", 1]}
        assert caller.message("parallel", asked) == "cannot parse 'x' as number"


def test_many_calls_at_the_same_time_need_few_descriptors(caller: Caller) -> None:
    count = 2000
    asked: JsonValue = {"stages": ["to_text"] * count, "inputs": list(range(count))}
    assert caller.output("parallel", asked) == [str(number) for number in range(count)]


def test_a_run_that_is_stopped_stops_the_children(children: Children) -> None:
    store = WithCode(identity="import time\ndef execute(value):\n    time.sleep(60)\n")
    with calling(children, store) as caller:
        asked: JsonValue = {"stage_id": "identity", "input": 1, "max_attempts": 9}
        stopper = threading.Timer(0.2, caller.switch.cancel, ("a test stops it",))
        stopper.start()
        outcome = caller.call("retry", asked)
        stopper.join()
    assert outcome.error is not None
    assert outcome.error.error_class is ErrorClass.CANCELLED
    assert len(outcome.nested) == 1


def test_a_child_has_the_time_of_a_stage(children: Children) -> None:
    store = WithCode(identity="import time\ndef execute(value):\n    time.sleep(60)\n")
    with calling(children, store) as caller:
        asked: JsonValue = {"stages": ["identity", "to_text"], "input": 1}
        outcome = caller.call("fallback", asked, limits=Limits(stage_seconds=0.3))
    assert outcome.output == "1"
    assert outcome.nested[0].error_class is ErrorClass.TIMEOUT


def test_only_as_pure_as_the_child(caller: Caller) -> None:
    facts = caller.facts("map")
    assert not facts.pure
    assert caller.facts("sort").pure
