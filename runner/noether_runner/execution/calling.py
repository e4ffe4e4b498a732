"""Calling one stage or one remote composition, with everything around the call.

In this order (`graph.md` §4.6): stop when the run must; memory; argument check; budget; the call.
Each call leaves one entry in the trace, however it ends.
"""

from noether_contract.json_values import JsonValue
from noether_contract.outcomes import ErrorClass
from noether_runner.errors import RunnerError, StageError
from noether_runner.execution.calls import CallOutcome, StageCall, StageFacts
from noether_runner.execution.environment import Execution
from noether_runner.execution.errors import (
    ExecutionError,
    RemoteFailure,
    budget_refusal,
    internal_error,
    remote_failure,
    stage_failure,
)
from noether_runner.execution.inputs import with_config
from noether_runner.execution.lanes import Lane
from noether_runner.execution.memo import Remembered
from noether_runner.execution.stopping import stop_if_told, unless_stopped
from noether_runner.graph.nodes import StageNode


class Caller:
    """Makes the calls of one run; safe to use from its threads, each with its own lane."""

    def __init__(self, environment: Execution) -> None:
        self._environment = environment
        self._recorder = environment.recorder
        self._cancellation = environment.cancellation

    def stage(
        self, node: StageNode, value: JsonValue, path: str, lane: Lane, attempt: int
    ) -> JsonValue:
        """The output of a `Stage` node for the input `value`; raises `ExecutionError`."""
        stop_if_told(self._cancellation, path)
        facts = self._environment.facts(node.id)
        argument = with_config(value, node.config)
        input_hash, unwritable = _hash_of(argument, lane)
        opened = self._recorder.start(
            lane,
            stage_id=node.id,
            stage_name=facts.name,
            path=path,
            attempt=attempt,
            input_hash=input_hash,
        )
        memo = self._environment.memo if lane.is_root and facts.pure else None
        if memo is not None and input_hash is not None:
            known = memo.recall(node.id, input_hash)
            if known is not None:
                self._recorder.end(opened, output_hash=known.output_hash, memoized=True)
                return known.output
        call = StageCall(node.id, path, argument, attempt, opened.started.call)
        outcome: CallOutcome | None = None
        try:
            self._admit(call, facts, unwritable)
            self._recorder.count_call()
            outcome = self._environment.call_stage(call)
            output_hash = _output_hash(outcome, lane)
        except Exception as error:
            failure = _failure(error, call, facts)
            self._recorder.end(opened, error=failure, outcome=outcome)
            raise unless_stopped(failure, self._cancellation) from error
        self._recorder.end(opened, output_hash=output_hash, outcome=outcome)
        if memo is not None and input_hash is not None:
            memo.keep(node.id, input_hash, Remembered(outcome.output, output_hash))
        return outcome.output

    def _admit(self, call: StageCall, facts: StageFacts, unwritable: StageError | None) -> None:
        """Raises when the argument does not fit or the call would cross the budget."""
        check, budget = self._environment.check_argument, self._environment.budget
        misfit = unwritable or (None if check is None else check(call))
        if misfit is not None:
            raise misfit
        refusal = None if budget is None else budget.reserve(facts.cost_cents)
        if refusal is not None:
            raise budget_refusal(
                refusal, path=call.path, stage_id=call.stage_id, stage_name=facts.name
            )

    def remote(self, url: str, value: JsonValue, path: str, lane: Lane) -> JsonValue:
        """The output of a `RemoteStage` node; raises `ExecutionError`."""
        stop_if_told(self._cancellation, path)
        ended = self._recorder.remote(lane, url, path)
        try:
            output = self._environment.call_remote(url, value, self._cancellation)
        except RemoteFailure as error:
            ended(error.reason)
            raise remote_failure(url, error.reason, path=path) from error
        ended(None)
        return output


def _hash_of(argument: JsonValue, lane: Lane) -> tuple[str | None, StageError | None]:
    try:
        return lane.hash_of(argument), None
    except TypeError as error:
        reason = f"its argument cannot be written as JSON: {error}"
        return None, StageError(ErrorClass.BAD_INPUT, reason)


def _output_hash(outcome: CallOutcome, lane: Lane) -> str:
    """The hash of a call's output; raises what the call failed with."""
    if outcome.error is not None:
        raise outcome.error
    try:
        return lane.hash_of(outcome.output)
    except TypeError as error:
        raise StageError(ErrorClass.INVALID_OUTPUT, f"result is not JSON: {error}") from None


def _failure(error: Exception, call: StageCall, facts: StageFacts) -> ExecutionError:
    if isinstance(error, ExecutionError):
        return error
    if not isinstance(error, RunnerError):
        return internal_error(error, path=call.path)
    return stage_failure(error, path=call.path, stage_id=call.stage_id, stage_name=facts.name)
