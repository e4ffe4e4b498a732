"""How a graph runs: one `match` over its nodes (`graph.md` §4).

Given a function that calls a stage, this is the whole meaning of the ten operators: what each
part receives, in which order, what happens when one fails, and where every call stands in the
trace. It knows no store and no process.
"""

from collections.abc import Mapping
from functools import partial
from typing import assert_never

from noether_contract.json_values import JsonValue
from noether_runner.errors import RunnerError
from noether_runner.execution import inputs
from noether_runner.execution.calling import Caller
from noether_runner.execution.crew import Broken, Crew
from noether_runner.execution.environment import Execution
from noether_runner.execution.errors import internal_error
from noether_runner.execution.lanes import Lane
from noether_runner.execution.retry import first_success, rest_for
from noether_runner.execution.stopping import error_of_run, stopped
from noether_runner.graph.nodes import (
    BranchNode,
    ConstNode,
    FanoutNode,
    LetNode,
    MergeNode,
    Node,
    ParallelNode,
    RemoteStageNode,
    RetryNode,
    SequentialNode,
    StageNode,
)
from noether_runner.graph.walk import ROOT, indexed_step, named_step


def run(root: Node, argument: JsonValue, environment: Execution) -> JsonValue:
    """The graph's output for an input.

    Raises `RunnerError`: an `ExecutionError` for what failed, `Stopped` when the run was told to
    stop or its deadline passed, whatever failed in consequence. Every call that was begun has
    then ended and stands in the trace.
    """
    try:
        return _Interpreter(environment).evaluate(
            root, argument, ROOT, environment.recorder.root, 1
        )
    except Exception as error:
        failure = error if isinstance(error, RunnerError) else internal_error(error, path=ROOT)
        final = error_of_run(failure, environment.cancellation, environment.recorder.stages)
        if final is error:
            raise
        raise final from error


class _Interpreter:
    def __init__(self, environment: Execution) -> None:
        self._cancellation = environment.cancellation
        self._caller = Caller(environment)
        self._crew = Crew(environment.threads)

    def evaluate(
        self, node: Node, value: JsonValue, path: str, lane: Lane, attempt: int
    ) -> JsonValue:
        """The node's result for the input `value`."""
        match node:
            case StageNode():
                return self._caller.stage(node, value, path, lane, attempt)
            case RemoteStageNode(url):
                return self._caller.remote(url, value, path, lane)
            case ConstNode(constant):
                return constant
            case SequentialNode(stages):
                for index, stage in enumerate(stages):
                    step = indexed_step("stages", index)
                    value = self.evaluate(stage, value, path + step, lane, attempt)
                return value
            case ParallelNode(branches):
                handed = {name: inputs.for_branch(value, name) for name in branches}
                return self._together("branches", branches, handed, path, lane, attempt)
            case BranchNode(predicate, if_true, if_false):
                verdict = self.evaluate(predicate, value, f"{path}.predicate", lane, attempt)
                if verdict is True:
                    return self.evaluate(if_true, value, f"{path}.if_true", lane, attempt)
                return self.evaluate(if_false, value, f"{path}.if_false", lane, attempt)
            case FanoutNode(source, targets):
                shared = self.evaluate(source, value, f"{path}.source", lane, attempt)
                results: list[JsonValue] = []
                for index, target in enumerate(targets):
                    step = indexed_step("targets", index)
                    results.append(self.evaluate(target, shared, path + step, lane, attempt))
                return results
            case MergeNode(sources, target):
                merged: dict[str, JsonValue] = {}
                for index, source in enumerate(sources):
                    handed_on = inputs.for_source(value, index)
                    step = indexed_step("sources", index)
                    merged[inputs.source_name(index)] = self.evaluate(
                        source, handed_on, path + step, lane, attempt
                    )
                return self.evaluate(target, merged, f"{path}.target", lane, attempt)
            case RetryNode(stage, max_attempts, delay_ms):
                return first_success(
                    lambda number: self.evaluate(stage, value, f"{path}.stage", lane, number),
                    max_attempts,
                    lambda: self._rest(delay_ms, path),
                )
            case LetNode(bindings, body):
                handed = dict.fromkeys(bindings, value)
                bound = self._together("bindings", bindings, handed, path, lane, attempt)
                outer = inputs.for_body(value, bound)
                return self.evaluate(body, outer, f"{path}.body", lane, attempt)
            case _:
                assert_never(node)

    def _together(
        self,
        member: str,
        nodes: Mapping[str, Node],
        handed: Mapping[str, JsonValue],
        path: str,
        lane: Lane,
        attempt: int,
    ) -> dict[str, JsonValue]:
        """The results of branches or bindings, once all have ended; the first name's error."""
        paths = {name: path + named_step(member, name) for name in nodes}
        tasks = [
            partial(self.evaluate, node, handed[name], paths[name], own_lane, attempt)
            for (name, node), own_lane in zip(nodes.items(), lane.fork(len(nodes)), strict=True)
        ]
        worth_a_thread = sum(not isinstance(node, ConstNode) for node in nodes.values())
        results: dict[str, JsonValue] = {}
        endings = self._crew.run_all(tasks, worth_a_thread)
        for name, ending in zip(nodes, endings, strict=True):
            if not isinstance(ending, Broken):
                results[name] = ending.value
            elif isinstance(ending.error, RunnerError) or not isinstance(ending.error, Exception):
                raise ending.error
            else:
                raise internal_error(ending.error, path=paths[name]) from ending.error
        return results

    def _rest(self, delay_ms: int | None, path: str) -> None:
        if rest_for(delay_ms or 0, self._cancellation.wait):
            raise stopped(self._cancellation, path=path)
