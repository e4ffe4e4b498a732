"""A run that must stop: what is begun, what is not, what is reported."""

import threading
import time

import pytest

from graph_samples import STAGES, failing, run_graph
from noether_contract.json_values import JsonValue
from noether_contract.outcomes import ErrorClass, ErrorCode
from noether_runner.errors import StageError
from noether_runner.execution.calls import StageCall, StageFacts
from noether_runner.execution.errors import Stopped
from noether_runner.execution.retry import rest_for
from noether_runner.graph.nodes import ParallelNode, RetryNode, SequentialNode, StageNode
from noether_runner.sandbox.cancellation import CancelSwitch

IDENTITY = StageNode("identity")


def cut_short(switch: CancelSwitch, reason: str) -> JsonValue:
    """What a stage call does that is running when the run is told to stop."""
    switch.cancel(reason)
    raise StageError(ErrorClass.CANCELLED, "execution was stopped")


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("timed_out", ErrorCode.RUN_TIMED_OUT),
        ("out_of_memory", ErrorCode.RUN_OUT_OF_MEMORY),
        ("interrupted", ErrorCode.RUN_INTERRUPTED),
    ],
)
def test_the_stage_that_was_running_is_named(reason: str, code: ErrorCode) -> None:
    switch = CancelSwitch()
    stages = {**STAGES, "hangs": lambda _: cut_short(switch, reason)}
    root = SequentialNode((IDENTITY, RetryNode(StageNode("hangs"), 5), IDENTITY))
    facts = {"hangs": StageFacts("slow-one")}
    ran = run_graph(root, 1, stages=stages, facts=facts, cancellation=switch)
    failure = ran.failure()
    assert isinstance(failure, Stopped)
    assert (failure.code, failure.path) == (code, "root.stages[1].stage")
    assert (failure.stage_id, failure.stage_name) == ("hangs", "slow-one")
    assert 'while stage "slow-one" was running' in failure.message
    assert [entry.stage_id for entry in ran.entries] == ["identity", "hangs"]
    assert ran.entries[1].error_class is ErrorClass.CANCELLED
    switch.close()


def test_branches_end_and_their_entries_stay() -> None:
    switch = CancelSwitch()
    stages = {**STAGES, "hangs": lambda _: cut_short(switch, "interrupted")}
    root = RetryNode(
        ParallelNode(
            {
                "a": SequentialNode((IDENTITY, StageNode("hangs"), IDENTITY)),
                "b": StageNode("fails"),
            }
        ),
        3,
    )
    ran = run_graph(root, 1, stages=stages, cancellation=switch, threads=0)
    assert isinstance(ran.failure(), Stopped)
    assert ran.failure().path == "root.stage.branches.a.stages[1]"
    assert [entry.stage_id for entry in ran.entries] == ["identity", "hangs"]
    switch.close()


def test_a_failure_in_an_earlier_branch_does_not_hide_the_stop() -> None:
    switch = CancelSwitch()
    stages = {**STAGES, "hangs": lambda _: cut_short(switch, "timed_out")}
    root = ParallelNode({"a": StageNode("fails"), "b": StageNode("hangs")})
    ran = run_graph(root, 1, stages=stages, cancellation=switch, threads=0)
    assert ran.failure().code is ErrorCode.RUN_TIMED_OUT
    assert ran.failure().path == "root.branches.b"
    assert len(ran.entries) == 2
    switch.close()


def test_nothing_begins_after_the_deadline() -> None:
    switch = CancelSwitch(deadline=time.monotonic() - 1)
    ran = run_graph(IDENTITY, cancellation=switch)
    assert ran.failure().code is ErrorCode.RUN_TIMED_OUT
    assert ran.failure().message == "the run reached its time limit, at root"
    assert ran.entries == ()
    switch.close()


def test_a_result_that_was_there_before_the_stop_counts() -> None:
    switch = CancelSwitch()

    def last(call: StageCall) -> JsonValue:
        switch.cancel("interrupted")
        return "done"

    assert run_graph(StageNode("s"), stages={"s": last}, cancellation=switch).output == "done"
    switch.close()


def test_a_stop_ends_the_wait_between_attempts() -> None:
    switch = CancelSwitch()
    root = RetryNode(StageNode("fails"), 2, delay_ms=2**64 - 1)
    threading.Thread(target=switch.cancel, args=("interrupted",)).start()
    failure = run_graph(root, cancellation=switch).failure()
    assert failure.code is ErrorCode.RUN_INTERRUPTED
    switch.close()


class Clockless:
    """A cancellation that notes how long it is asked to wait, and does not."""

    def __init__(self, answer: bool = False) -> None:
        self.waits: list[float] = []
        self.cancelled = False
        self.reason: str | None = None
        self.deadline: float | None = None
        self.answer = answer

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return self.answer

    def fileno(self) -> int:
        return -1


@pytest.mark.parametrize(
    ("attempts", "delay", "waits"),
    [(3, 1500, [1.5, 1.5]), (1, 1500, []), (0, 1500, []), (3, 0, []), (3, None, [])],
)
def test_the_delay_lies_between_attempts(
    attempts: int, delay: int | None, waits: list[float]
) -> None:
    never = Clockless()
    root = RetryNode(StageNode("s"), attempts, delay)
    ran = run_graph(root, stages={"s": failing("no")}, cancellation=never)
    assert never.waits == waits
    assert "no" in ran.failure().message
    assert len(ran.entries) == max(1, attempts)


def test_no_delay_after_success() -> None:
    never = Clockless()
    assert run_graph(RetryNode(IDENTITY, 3, 1500), 1, cancellation=never).output == 1
    assert never.waits == []


def test_a_wait_that_meets_the_deadline_stops_the_run() -> None:
    at_once = Clockless(answer=True)
    failure = run_graph(RetryNode(StageNode("fails"), 3, 1), cancellation=at_once).failure()
    assert failure.code is ErrorCode.RUN_TIMED_OUT
    assert failure.path == "root"


def test_long_delays_are_waited_in_pieces() -> None:
    never = Clockless()
    assert not rest_for(10_000_000, never.wait)
    assert sum(never.waits) == 10_000
    assert max(never.waits) <= 3600
