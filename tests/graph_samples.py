"""Graphs for tests: hypothesis strategies, and one run with its trace in a single call."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from noether_contract.json_values import JsonValue
from noether_contract.messages import StageEntry
from noether_contract.outcomes import ErrorClass, ErrorCode
from noether_runner.errors import RunnerError, StageError
from noether_runner.execution.budget import Budget
from noether_runner.execution.calls import CallOutcome, StageCall, StageFacts
from noether_runner.execution.environment import Execution
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
from noether_runner.sandbox.cancellation import Cancellation, CancelSwitch

untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For every law: a busy machine must not fail a test."""

Behaviour = Callable[[StageCall], JsonValue]


def failing(message: str) -> Behaviour:
    """A stage that always raises."""

    def behave(_: StageCall) -> JsonValue:
        raise StageError(ErrorClass.RAISED, message)

    return behave


STAGES: Mapping[str, Behaviour] = {
    "identity": lambda call: call.argument,
    "is_record": lambda call: isinstance(call.argument, dict),
    "pair": lambda call: [call.argument, 1],
    "fails": failing("it broke"),
}
"""Stages whose result depends on their argument alone."""


@dataclass
class Ran:
    """What one run left behind."""

    output: JsonValue
    error: RunnerError | None
    recorder: Recorder
    memo: Memo | None

    @property
    def trace(self) -> list[tuple[str, int, bool, str | None, str | None, str]]:
        """The entries without what depends on time."""
        return [
            (
                entry.stage_id,
                entry.step_index,
                entry.status == "Ok",
                entry.input_hash,
                entry.output_hash,
                entry.path,
            )
            for entry in self.recorder.stages()
        ]

    @property
    def entries(self) -> tuple[StageEntry, ...]:
        return self.recorder.stages()

    def failure(self) -> RunnerError:
        """The error of a run that must have failed."""
        assert self.error is not None
        return self.error


def run_graph(
    root: Node,
    argument: JsonValue = None,
    *,
    stages: Mapping[str, Behaviour] = STAGES,
    facts: Mapping[str, StageFacts] | None = None,
    budget: Budget | None = None,
    memo: Memo | None = None,
    threads: int = 4,
    cancellation: Cancellation | None = None,
    recorder: Recorder | None = None,
) -> Ran:
    """One run with stages that are plain functions."""

    def call_stage(call: StageCall) -> CallOutcome:
        behaviour = stages.get(call.stage_id)
        if behaviour is None:
            missing = StageError(
                ErrorClass.RUNTIME_UNAVAILABLE, "not here", code=ErrorCode.STAGE_NOT_FOUND
            )
            return CallOutcome(None, error=missing)
        try:
            return CallOutcome(behaviour(call))
        except StageError as error:
            return CallOutcome(None, error=error)

    known = facts or {}
    switch = CancelSwitch()
    notes = recorder or Recorder()
    environment = Execution(
        call_stage=call_stage,
        facts=lambda stage_id: known.get(stage_id, StageFacts()),
        recorder=notes,
        cancellation=cancellation or switch,
        budget=budget,
        memo=memo,
        threads=threads,
    )
    try:
        return Ran(run(root, argument, environment), None, notes, memo)
    except RunnerError as error:
        return Ran(None, error, notes, memo)
    finally:
        switch.close()


names = st.sampled_from(["a", "b", "source_0", "items", "é", "a b"])

numbers = st.one_of(
    st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False)
)

json_values: st.SearchStrategy[JsonValue] = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=4)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(names, st.text(max_size=3)), inner, max_size=3),
    ),
    max_leaves=6,
)

configs = st.one_of(st.none(), st.dictionaries(names, json_values, max_size=2))


def _leaves(ids: list[str]) -> st.SearchStrategy[Node]:
    return st.one_of(
        st.builds(StageNode, st.sampled_from(ids), st.sampled_from(["signature", "both"]), configs),
        st.builds(ConstNode, json_values),
    )


def _containers(inner: st.SearchStrategy[Node], least: int) -> st.SearchStrategy[Node]:
    some = st.lists(inner, min_size=least, max_size=3).map(tuple)
    named = st.dictionaries(names, inner, min_size=least, max_size=3)
    return st.one_of(
        st.builds(SequentialNode, some),
        st.builds(ParallelNode, named),
        st.builds(BranchNode, inner, inner, inner),
        st.builds(FanoutNode, inner, some),
        st.builds(MergeNode, some, inner),
        st.builds(RetryNode, inner, st.integers(0, 3), st.sampled_from([None, 0])),
        st.builds(LetNode, named, inner),
    )


def graphs(ids: list[str] | None = None, *, least: int = 0) -> st.SearchStrategy[Node]:
    """Random nodes over the stages of `STAGES` (or others); containers hold `least` or more."""
    leaves = _leaves(ids or sorted(STAGES))
    return st.recursive(leaves, lambda inner: _containers(inner, least), max_leaves=12)
