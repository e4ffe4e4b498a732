from graph_samples import STAGES, failing, run_graph
from noether_contract.json_values import JsonValue, value_hash
from noether_contract.messages import StageEnded, StageStarted, Usage, known_members_of
from noether_runner.execution.calls import CallOutcome, StageCall, StageFacts
from noether_runner.execution.environment import Execution
from noether_runner.execution.interpreter import run
from noether_runner.execution.lanes import Lane
from noether_runner.execution.recorder import Recorder
from noether_runner.graph.nodes import LetNode, Node, ParallelNode, SequentialNode, StageNode
from noether_runner.sandbox.cancellation import CancelSwitch

IDENTITY = StageNode("identity")
TIMES = ("start_ms", "duration_ms")


class Ticks:
    """A clock that advances by a quarter of a second each time it is read."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        self.now += 0.25
        return self.now


def test_events_tell_starts_and_ends_as_they_happen() -> None:
    events: list[StageStarted | StageEnded] = []
    recorder = Recorder(events.append, began=100.0, clock=Ticks())
    root = SequentialNode((IDENTITY, StageNode("fails")))
    run_graph(root, 1, recorder=recorder)
    kinds = [(event.kind, event.call) for event in events]
    assert kinds == [
        ("stage_started", 0),
        ("stage_ended", 0),
        ("stage_started", 1),
        ("stage_ended", 1),
    ]
    starts = [event.start_ms for event in events if isinstance(event, StageStarted)]
    assert starts == [250.0, 750.0]
    entries = recorder.stages()
    assert [entry.start_ms for entry in entries] == starts
    assert [entry.duration_ms for entry in entries] == [250, 250]
    assert [event.entry for event in events if isinstance(event, StageEnded)] == list(entries)


def test_each_event_of_branches_arrives_once_and_in_pairs() -> None:
    events: list[StageStarted | StageEnded] = []
    inner = ParallelNode({name: SequentialNode((IDENTITY, IDENTITY)) for name in "abc"})
    root = ParallelNode(dict.fromkeys("xyz", inner))
    run_graph(root, 1, recorder=Recorder(events.append), threads=4)
    started = [event.call for event in events if isinstance(event, StageStarted)]
    ended = [event.call for event in events if isinstance(event, StageEnded)]
    assert started == list(range(18))
    assert sorted(ended) == started
    for call in started:
        first, second = [event.kind for event in events if event.call == call]
        assert (first, second) == ("stage_started", "stage_ended")


def test_the_order_of_the_trace_does_not_depend_on_threads() -> None:
    inner: Node = ParallelNode({"q": SequentialNode((IDENTITY, IDENTITY)), "p": IDENTITY})
    root = SequentialNode((IDENTITY, LetNode({"b": inner, "a": IDENTITY}, inner), IDENTITY))
    traces = [run_graph(root, 1, threads=threads).trace for threads in (0, 1, 2, 8)]
    assert all(trace == traces[0] for trace in traces)
    places = [(entry[5].removeprefix("root.stages"), entry[1]) for entry in traces[0]]
    assert places == [
        ("[0]", 0),
        ("[1].bindings.a", 0),
        ("[1].bindings.b.branches.p", 0),
        ("[1].bindings.b.branches.q.stages[0]", 0),
        ("[1].bindings.b.branches.q.stages[1]", 1),
        ("[1].body.branches.p", 0),
        ("[1].body.branches.q.stages[0]", 0),
        ("[1].body.branches.q.stages[1]", 1),
        ("[2]", 1),
    ]


def test_calls_that_are_running_are_shown_as_open() -> None:
    recorder = Recorder()
    seen: list[tuple[list[int], int]] = []

    def look(call: StageCall) -> JsonValue:
        seen.append(([each.call for each in recorder.open_stages()], len(recorder.stages())))
        assert recorder.open_stages()[0].path == call.path
        return None

    root = SequentialNode((IDENTITY, StageNode("look")))
    run_graph(root, stages={**STAGES, "look": look}, recorder=recorder)
    assert seen == [([1], 1)]
    assert recorder.open_stages() == ()


def test_what_a_call_consumed_and_said() -> None:
    outcomes = [
        CallOutcome(
            "x",
            language="python",
            isolation="none",
            cpu_ms=1.5,
            peak_memory_bytes=10,
            stdout_tail="out",
            stderr_tail="err",
            log_truncated=True,
            warnings=("w",),
        ),
        CallOutcome("y", cpu_ms=2.0, peak_memory_bytes=7),
    ]
    recorder = Recorder()
    switch = CancelSwitch()
    environment = Execution(
        call_stage=lambda call: outcomes[call.call],
        facts=lambda _: StageFacts(),
        recorder=recorder,
        cancellation=switch,
    )
    assert run(SequentialNode((StageNode("a"), StageNode("b"))), None, environment) == "y"
    switch.close()
    first = recorder.stages()[0]
    assert {
        name: value for name, value in known_members_of(first).items() if name not in TIMES
    } == {
        "stage_id": "a",
        "step_index": 0,
        "status": "Ok",
        "input_hash": value_hash(None),
        "output_hash": value_hash("x"),
        "path": "root.stages[0]",
        "attempt": 1,
        "memoized": False,
        "language": "python",
        "isolation": "none",
        "cpu_ms": 1.5,
        "peak_memory_bytes": 10,
        "stdout_tail": "out",
        "stderr_tail": "err",
        "log_truncated": True,
        "warnings": ["w"],
        "nested": [],
    }
    assert recorder.usage() == Usage(cpu_ms=3.5, peak_memory_bytes=10, stage_calls=2)


def test_one_value_is_hashed_once_but_equal_ones_are_told_apart() -> None:
    lane = Lane()
    values: list[JsonValue] = [None, None, 1, 1.0, True, {"a": 1}, {"a": 1.0}, None, "", None]
    assert [lane.hash_of(value) for value in values] == [value_hash(value) for value in values]


def test_a_failing_run_keeps_everything() -> None:
    root = ParallelNode({"a": SequentialNode((IDENTITY, StageNode("s"))), "b": IDENTITY})
    ran = run_graph(root, 1, stages={**STAGES, "s": failing("x")})
    assert [(entry[0], entry[2]) for entry in ran.trace] == [
        ("identity", True),
        ("s", False),
        ("identity", True),
    ]
