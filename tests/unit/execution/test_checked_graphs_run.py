"""What the checker accepts does not fail by shape (`types.md` §7, §13.2).

Every stage of the drawn graphs gives values of the type that it declares. When the checker finds no
error, no stage meets an argument that misfits its declared type, nothing fails, and the output has
the type that the checker told. Refinements apart: they are checked at the call (TQ-08). Where the
specification is more lenient than that, `typed_graphs` says so and does not go there.
"""

from hypothesis import HealthCheck, assume, event, given, settings

from noether_contract.json_values import JsonValue
from noether_runner.execution.calls import CallOutcome, StageCall, StageFacts
from noether_runner.execution.environment import Execution
from noether_runner.execution.interpreter import run
from noether_runner.execution.recorder import Recorder
from noether_runner.sandbox.cancellation import Cancellation, CancelSwitch
from noether_runner.types.check import check_graph
from noether_runner.types.substitution import erased
from noether_runner.types.terms import write_type
from noether_runner.types.values import misfit
from type_samples import StageTable
from typed_graphs import Drawn, typed_graphs
from typed_stages import value_of

some = settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])


def table_of(drawn: Drawn) -> StageTable:
    return StageTable(
        {
            name: {"input": write_type(stage.input), "output": write_type(stage.output)}
            for name, stage in drawn.stages.items()
        }
    )


def output_of(drawn: Drawn) -> JsonValue:
    """The output of the graph for null; every argument is compared with its declared type."""

    def call_stage(call: StageCall) -> CallOutcome:
        stage = drawn.stages[call.stage_id]
        assert misfit(call.argument, erased(stage.input)) is None, call
        output = stage.behave(call.argument)
        assert isinstance(output, bool) or not call.path.endswith(".predicate"), call
        return CallOutcome(output)

    def call_remote(url: str, argument: JsonValue, _: Cancellation) -> JsonValue:
        node = drawn.remotes[url]
        assert misfit(argument, erased(node.input)) is None, url
        return value_of(node.output, drawn.chance)

    switch = CancelSwitch()
    environment = Execution(
        call_stage=call_stage,
        facts=lambda _: StageFacts(),
        recorder=Recorder(),
        cancellation=switch,
        call_remote=call_remote,
        threads=0,
    )
    try:
        return run(drawn.executed, None, environment)
    finally:
        switch.close()


@some
@given(typed_graphs())
def test_an_accepted_graph_meets_no_value_of_a_wrong_shape(drawn: Drawn) -> None:
    checked = check_graph(drawn.checked, table_of(drawn))
    event(f"accepted: {checked.ok}")
    assume(checked.ok)
    output = output_of(drawn)
    assert checked.output is not None
    assert misfit(output, erased(checked.output)) is None
