"""What each operator does beyond the vectors: order, failure, concurrency, wording."""

import threading
from collections.abc import Mapping

import pytest

from graph_samples import STAGES, Behaviour, failing, run_graph
from noether_contract.json_values import JsonValue
from noether_contract.messages import FailedStatus, known_members_of
from noether_contract.outcomes import ErrorClass, ErrorCode
from noether_runner.errors import RunnerError, StageError
from noether_runner.execution.budget import Budget
from noether_runner.execution.calls import CallOutcome, StageCall, StageFacts
from noether_runner.execution.environment import Execution
from noether_runner.execution.errors import ExecutionError
from noether_runner.execution.inputs import with_config
from noether_runner.execution.interpreter import run
from noether_runner.execution.memo import Memo
from noether_runner.execution.recorder import Recorder
from noether_runner.graph.nodes import (
    BranchNode,
    ConstNode,
    FanoutNode,
    LetNode,
    MergeNode,
    Node,
    ParallelNode,
    RetryNode,
    SequentialNode,
    StageNode,
)
from noether_runner.sandbox.cancellation import CancelSwitch

IDENTITY = StageNode("identity")
FAILS = StageNode("fails")


def test_config_wraps_under_the_first_free_name() -> None:
    names = ["items", "text", "data", "input", "records", "train", "document", "html", "csv"]
    config: dict[str, JsonValue] = dict.fromkeys(names, 0)
    assert with_config("x", config) == {"json_str": "x", **config}


def test_config_that_uses_all_names_loses_the_input() -> None:
    names = ["items", "text", "data", "input", "records", "train", "document", "html", "csv"]
    config: dict[str, JsonValue] = dict.fromkeys([*names, "json_str"], 0)
    assert with_config("x", config) == config


@pytest.mark.parametrize(
    ("value", "config", "argument"),
    [
        ({"a": 1}, None, {"a": 1}),
        ({"a": 1}, {}, {"a": 1}),
        ({"a": 1, "b": {"c": 1}}, {"b": {"d": 2}}, {"a": 1, "b": {"d": 2}}),
        ([1], {}, {"items": [1]}),
        ([1], None, [1]),
        (False, {"items": 1}, {"text": False, "items": 1}),
    ],
)
def test_config_merge(
    value: JsonValue, config: dict[str, JsonValue] | None, argument: JsonValue
) -> None:
    assert with_config(value, config) == argument


def test_merge_addresses_more_than_ten_sources_by_index() -> None:
    root = MergeNode(tuple(IDENTITY for _ in range(12)), IDENTITY)
    argument: JsonValue = {f"source_{n}": n for n in range(11)}
    expected = {f"source_{n}": n if n < 11 else None for n in range(12)}
    assert run_graph(root, argument).output == expected


def test_only_the_boolean_true_selects_the_first_arm() -> None:
    values: list[JsonValue] = [True, False, 1, 1.0, "true", None, [True], {"a": True}]
    taken = [
        run_graph(BranchNode(ConstNode(value), ConstNode("T"), ConstNode("F"))).output
        for value in values
    ]
    assert taken == ["T", *"FFFFFFF"]


def test_a_failing_predicate_runs_no_arm() -> None:
    ran = run_graph(BranchNode(FAILS, IDENTITY, IDENTITY))
    assert ran.failure().path == "root.predicate"
    assert len(ran.trace) == 1


def test_fanout_stops_at_the_first_failing_target() -> None:
    ran = run_graph(FanoutNode(ConstNode(1), (IDENTITY, FAILS, IDENTITY)))
    assert ran.failure().path == "root.targets[1]"
    assert [entry[0] for entry in ran.trace] == ["identity", "fails"]


def test_merge_stops_at_the_first_failing_source() -> None:
    ran = run_graph(MergeNode((FAILS, IDENTITY), IDENTITY))
    assert ran.failure().path == "root.sources[0]"
    assert len(ran.trace) == 1


def test_names_decide_by_code_point_which_error_counts() -> None:
    astral, private = "\U0001f600", "\ufb33"  # the other way round in UTF-16
    stages = {"x": failing("astral"), "y": failing("private")}
    ran = run_graph(ParallelNode({astral: StageNode("x"), private: StageNode("y")}), stages=stages)
    assert "private" in ran.failure().message


def test_branches_run_at_the_same_time() -> None:
    meeting = threading.Barrier(4, timeout=30)
    stages: Mapping[str, Behaviour] = {"meet": lambda call: meeting.wait() >= 0}
    root = ParallelNode({name: StageNode("meet") for name in "abcd"})
    assert run_graph(root, stages=stages, threads=3).output == dict.fromkeys("abcd", True)


def test_bindings_run_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=30)
    stages: Mapping[str, Behaviour] = {**STAGES, "meet": lambda call: meeting.wait() >= 0}
    root = LetNode({"a": StageNode("meet"), "b": StageNode("meet")}, IDENTITY)
    assert run_graph(root, stages=stages, threads=1).output == {"a": True, "b": True}


def test_targets_and_sources_run_one_after_another() -> None:
    active: list[str] = []

    def alone(call: StageCall) -> JsonValue:
        assert not active
        active.append(call.path)
        active.pop()
        return call.path

    targets = FanoutNode(ConstNode(0), tuple(StageNode("alone") for _ in range(5)))
    ran = run_graph(
        MergeNode((targets, StageNode("alone")), IDENTITY), stages={**STAGES, "alone": alone}
    )
    assert ran.output == {
        "source_0": [f"root.sources[0].targets[{n}]" for n in range(5)],
        "source_1": "root.sources[1]",
    }


def test_all_branches_run_to_their_end_when_one_fails() -> None:
    root = ParallelNode(
        {"a": FAILS, **{name: SequentialNode((IDENTITY, IDENTITY)) for name in "bcd"}}
    )
    for threads in (0, 1, 8):
        ran = run_graph(root, 1, threads=threads)
        assert ran.failure().path == "root.branches.a"
        assert [entry[1] for entry in ran.trace] == [0, 0, 1, 0, 1, 0, 1]


def test_entries_of_failed_attempts_are_kept_through_parallel() -> None:
    calls: list[int] = []

    def second_time(call: StageCall) -> JsonValue:
        calls.append(call.attempt)
        if len(calls) == 1:
            raise StageError(ErrorClass.RAISED, "not yet")
        return "ok"

    root = RetryNode(ParallelNode({"a": StageNode("s"), "b": IDENTITY}), 2)
    ran = run_graph(root, 0, stages={**STAGES, "s": second_time})
    assert ran.output == {"a": "ok", "b": 0}
    assert [(entry.path[-1], entry.attempt) for entry in ran.entries] == [
        ("a", 1),
        ("b", 1),
        ("a", 2),
        ("b", 2),
    ]


def test_the_innermost_retry_numbers_the_attempts() -> None:
    root = RetryNode(SequentialNode((RetryNode(FAILS, 2),)), 2)
    ran = run_graph(root)
    assert [entry.attempt for entry in ran.entries] == [1, 2, 1, 2]


def test_errors_name_the_stage_by_name_or_by_its_first_digits() -> None:
    stage_id = "0123456789abcdef" * 4
    stages = {stage_id: failing('boom "quoted"\nline 2')}
    nameless = run_graph(StageNode(stage_id), stages=stages).failure()
    assert nameless.message == 'stage 01234567 failed: boom "quoted"\nline 2'
    facts = {stage_id: StageFacts("fetch-news")}
    named = run_graph(StageNode(stage_id), stages=stages, facts=facts).failure()
    assert named.message == 'stage "fetch-news" failed: boom "quoted"\nline 2'
    assert known_members_of(named.record()) == {
        "code": "stage_failed",
        "message": named.message,
        "path": "root",
        "stage_id": stage_id,
        "stage_name": "fetch-news",
        "error_class": "raised",
    }


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (
            StageError(ErrorClass.TIMEOUT, "timed out after 30s"),
            ErrorCode.STAGE_TIMED_OUT,
            "stage s timed out after 30s",
        ),
        (
            StageError(ErrorClass.TIMEOUT, "no result for 2.5s", code=ErrorCode.STAGE_TIMED_OUT),
            ErrorCode.STAGE_TIMED_OUT,
            "stage s timed out: no result for 2.5s",
        ),
        (
            StageError(ErrorClass.CRASHED, "killed by signal 11 (SIGSEGV)"),
            ErrorCode.STAGE_FAILED,
            "stage s failed: killed by signal 11 (SIGSEGV)",
        ),
        (
            RunnerError(ErrorCode.STORE_UNREADABLE, "record 3 is damaged"),
            ErrorCode.STORE_UNREADABLE,
            "stage s failed: record 3 is damaged",
        ),
    ],
)
def test_wording_by_kind(error: RunnerError, code: ErrorCode, message: str) -> None:
    def raising(_: StageCall) -> JsonValue:
        raise error

    failure = run_graph(StageNode("s"), stages={"s": raising}).failure()
    assert (failure.code, failure.message) == (code, message)


def test_what_a_stage_says_about_its_failure_stands_in_the_entry() -> None:
    def raising(_: StageCall) -> JsonValue:
        raise StageError(
            ErrorClass.RAISED, "KeyError: 'x'", error_type="KeyError", traceback="at line 3"
        )

    (entry,) = run_graph(StageNode("s"), stages={"s": raising}).entries
    assert isinstance(entry.status, FailedStatus)
    assert entry.status.Failed.message == "stage s failed: KeyError: 'x'"
    assert entry.error_class is ErrorClass.RAISED
    assert (entry.error_type, entry.error_traceback) == ("KeyError", "at line 3")


@pytest.mark.parametrize("threads", [0, 1, 4])
def test_a_mistake_of_the_runner_is_an_internal_error_even_in_a_branch(threads: int) -> None:
    def broken(_: StageCall) -> JsonValue:
        raise ZeroDivisionError("a bug")

    root = ParallelNode({"a": IDENTITY, "b": StageNode("broken"), "c": IDENTITY})
    ran = run_graph(root, 1, stages={**STAGES, "broken": broken}, threads=threads)
    failure = ran.failure()
    assert isinstance(failure, ExecutionError)
    assert (failure.code, failure.path) == (ErrorCode.INTERNAL, "root.branches.b")
    assert "ZeroDivisionError: a bug" in failure.message
    assert failure.traceback is not None
    assert "ZeroDivisionError" in failure.traceback
    assert len(ran.trace) == 3
    assert ran.recorder.open_stages() == ()


@pytest.mark.parametrize("threads", [0, 2])
def test_facts_that_cannot_be_had_are_an_internal_error_of_their_branch(threads: int) -> None:
    switch = CancelSwitch()
    environment = Execution(
        call_stage=lambda call: CallOutcome(call.argument),
        facts=lambda stage_id: {"identity": StageFacts()}[stage_id],
        recorder=Recorder(),
        cancellation=switch,
        threads=threads,
    )
    root = ParallelNode({"a": IDENTITY, "b": StageNode("unknown"), "c": IDENTITY})
    with pytest.raises(ExecutionError, match="KeyError: 'unknown'") as caught:
        run(root, 1, environment)
    assert (caught.value.code, caught.value.path) == (ErrorCode.INTERNAL, "root.branches.b")
    switch.close()


def test_an_argument_that_does_not_fit_fails_before_it_costs_anything() -> None:
    switch, budget, recorder = CancelSwitch(), Budget(100), Recorder()
    environment = Execution(
        call_stage=lambda call: CallOutcome(call.argument),
        facts=lambda _: StageFacts("strict", cost_cents=10),
        recorder=recorder,
        cancellation=switch,
        budget=budget,
        check_argument=lambda call: StageError(
            ErrorClass.BAD_INPUT, f"input refinement violation ({call.argument})"
        ),
    )
    with pytest.raises(ExecutionError, match='stage "strict" failed: input refinement'):
        run(IDENTITY, 1, environment)
    assert budget.spent_cents == 0
    assert recorder.usage().stage_calls == 0
    assert len(recorder.stages()) == 1
    switch.close()


def test_system_exit_in_a_branch_is_not_lost() -> None:
    def leaves(_: StageCall) -> JsonValue:
        raise SystemExit(3)

    root = ParallelNode({"a": IDENTITY, "b": StageNode("leaves")})
    with pytest.raises(SystemExit):
        run_graph(root, 1, stages={**STAGES, "leaves": leaves})


@pytest.mark.parametrize("in_thread", [False, True])
def test_deepest_nesting_runs_in_a_branch_too(in_thread: bool) -> None:
    deep: Node = IDENTITY
    for _ in range(125):
        deep = RetryNode(deep, 2)
    wide: Node = IDENTITY
    for level in range(62):
        wide = ParallelNode({"a": wide, "b": IDENTITY}) if level % 2 else SequentialNode((wide,))
    both: Node = SequentialNode((deep, wide, ConstNode("end")))
    root = ParallelNode({"x": both, "y": both}) if in_thread else both
    ran = run_graph(root, 7, threads=2)
    assert ran.error is None
    assert ran.output == ({"x": "end", "y": "end"} if in_thread else "end")


def test_values_too_deep_to_be_written_fail_the_stage_and_nothing_else() -> None:
    deeper = [ParallelNode({name: SequentialNode(())}) for name in "ab"]
    root = SequentialNode((*deeper * 150, IDENTITY))
    failure = run_graph(root).failure()
    assert failure.code is ErrorCode.STAGE_FAILED
    assert failure.record().error_class is ErrorClass.BAD_INPUT

    def too_deep(_: StageCall) -> JsonValue:
        value: JsonValue = None
        for _level in range(300):
            value = [value]
        return value

    failure = run_graph(StageNode("s"), stages={"s": too_deep}).failure()
    assert failure.record().error_class is ErrorClass.INVALID_OUTPUT


def test_arguments_are_never_changed() -> None:
    argument: JsonValue = {"a": {"b": 1}}
    inner = SequentialNode((StageNode("identity", config={"c": 1}), IDENTITY))
    root = LetNode({"x": inner, "a": ConstNode(2)}, ParallelNode({"a": IDENTITY, "b": IDENTITY}))
    run_graph(root, argument)
    assert argument == {"a": {"b": 1}}


def test_budget_is_shared_by_branches() -> None:
    root = ParallelNode({f"b{n}": IDENTITY for n in range(8)})
    for threads in (0, 3, 8):
        budget = Budget(50)
        facts = {"identity": StageFacts(cost_cents=10)}
        ran = run_graph(root, 1, facts=facts, budget=budget, threads=threads)
        assert ran.failure().code is ErrorCode.BUDGET_EXCEEDED
        assert "spent 50¢ of 50¢ limit" in ran.failure().message
        assert budget.spent_cents == 50
        assert ran.recorder.usage().stage_calls == 5
        assert len(ran.trace) == 8


def test_a_budget_without_limit_only_counts() -> None:
    budget = Budget(None)
    run_graph(IDENTITY, facts={"identity": StageFacts(cost_cents=10)}, budget=budget)
    assert budget.spent_cents == 10


def test_a_free_call_passes_an_exhausted_budget() -> None:
    assert run_graph(IDENTITY, 3, budget=Budget(0)).output == 3


def test_memory_costs_nothing_and_its_entries_are_marked() -> None:
    facts = {"identity": StageFacts(pure=True, cost_cents=10)}
    budget, memo = Budget(10), Memo()
    root = SequentialNode((IDENTITY, IDENTITY))
    ran = run_graph(root, 1, facts=facts, budget=budget, memo=memo)
    assert ran.output == 1
    assert (memo.hits, memo.misses, budget.spent_cents) == (1, 1, 10)
    assert [entry.memoized for entry in ran.entries] == [False, True]
    assert ran.recorder.usage().stage_calls == 1


def test_memory_tells_integers_from_doubles() -> None:
    facts = {"identity": StageFacts(pure=True)}
    memo = Memo()
    root = SequentialNode(
        (ConstNode(1), IDENTITY, ConstNode(1.0), IDENTITY, ConstNode(True), IDENTITY)
    )
    ran = run_graph(root, facts=facts, memo=memo)
    assert ran.output is True
    assert memo.misses == 3


def test_a_let_body_remembers_but_its_bindings_do_not() -> None:
    facts = {"identity": StageFacts(pure=True)}
    memo = Memo()
    inner = LetNode(
        {"x": SequentialNode((IDENTITY, IDENTITY))}, SequentialNode((IDENTITY, IDENTITY))
    )
    run_graph(inner, {}, facts=facts, memo=memo)
    assert (memo.hits, memo.misses) == (1, 1)
