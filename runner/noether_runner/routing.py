"""From a stage call of the interpreter to whoever executes it: a child process or a built-in.

A stage with code always runs its code; a stage without is a standard stage or nothing. Example
outputs are never results. Declared types are checked here, around the call: a refinement that
does not hold fails the call, another misfit is a warning or, with `output_check: error`, a
failure (`types.md` §10).
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass
from noether_contract.outcomes import ErrorClass, ErrorCode
from noether_runner.builtins.lookup import builtin_for, name_for
from noether_runner.errors import StageError
from noether_runner.execution.calls import CallOutcome, StageCall, StageFacts
from noether_runner.languages.execute import StageOutcome, Surroundings, execute_stage
from noether_runner.languages.language import StageProgram
from noether_runner.languages.masking import Mask
from noether_runner.nested_calls import Neighbourhood
from noether_runner.nested_record import NestedRecord
from noether_runner.reach import RunReach
from noether_runner.run_processes import RunProcesses
from noether_runner.sandbox.cancellation import Cancellation
from noether_runner.sandbox.child import Children
from noether_runner.stages.stage import Stage
from noether_runner.standard_stages import StandardStages
from noether_runner.types.terms import Leaf
from noether_runner.types.values import Side, misfit, refinement_failure, unrefined

_NO_REFINEMENT_CHECK = "NOETHER_NO_REFINEMENT_CHECK"

_HIGHER_ORDER_PURE = ("map", "filter", "reduce")
"""Declared Pure, but only as pure as the stage they are told to call: never remembered."""

OutputCheck = Literal["error", "warn", "off"]


@dataclass(frozen=True, slots=True)
class Calls:
    """The stages of one run, ready to be called."""

    stages: Mapping[str, Stage]
    output_check: OutputCheck
    surroundings: Surroundings
    children: Children
    cancellation: Cancellation
    neighbourhood: Neighbourhood
    processes: RunProcesses

    def facts(self, stage_id: str) -> StageFacts:
        """What the interpreter must know of a stage."""
        stage = self.stages.get(stage_id)
        if stage is None:
            return StageFacts()
        pure = stage.effects.is_pure and not (
            stage.code is None and name_for(stage.id) in _HIGHER_ORDER_PURE
        )
        return StageFacts(stage.name, pure, stage.effects.cost_cents)

    def check_argument(self, call: StageCall) -> StageError | None:
        """What fails a call before it costs anything: an argument that breaks a refinement."""
        stage = self.stages.get(call.stage_id)
        return None if stage is None else _broken_input(stage, call.argument)

    def call(self, call: StageCall) -> CallOutcome:
        """Executes one stage call; never raises for what a stage does."""
        stage = self.stages.get(call.stage_id)
        if stage is None:
            return _failed(ErrorCode.STAGE_NOT_FOUND, "it is in no store that this run uses")
        return self._execute(stage, call, self.cancellation, 0)

    def _nested(
        self, stage: Stage, call: StageCall, cancellation: Cancellation, depth: int
    ) -> CallOutcome:
        """The same for a stage that a standard stage calls, `depth` levels below the graph."""
        broken = _broken_input(stage, call.argument)
        if broken is not None:
            return CallOutcome(None, broken)
        return self._execute(stage, call, cancellation, depth)

    def _execute(
        self, stage: Stage, call: StageCall, cancellation: Cancellation, depth: int
    ) -> CallOutcome:
        outcome = self._executed(stage, call, cancellation, depth)
        if outcome.error is not None:
            return outcome
        return self._checked(stage, call.argument, outcome)

    def _executed(
        self, stage: Stage, call: StageCall, cancellation: Cancellation, depth: int
    ) -> CallOutcome:
        if stage.code is not None:
            return self._in_child(stage, stage.code, call.argument, cancellation)
        builtin = builtin_for(stage.id)
        if builtin is None:
            return _failed(
                ErrorCode.STAGE_FAILED,
                "the record holds no code, so there is nothing to execute",
            )
        reach = RunReach(
            self.neighbourhood,
            self._nested,
            call,
            depth,
            cancellation,
            self.processes,
            self.surroundings.limits.stage_seconds,
            NestedRecord(self.neighbourhood.began),
        )
        grants = self.surroundings.grants
        mask = Mask(grants.environment.get(name, "") for name in grants.secret_names)
        standard = StandardStages(self.surroundings, self.children, mask)
        return standard.call(builtin, call.argument, reach, cancellation)

    def _in_child(
        self, stage: Stage, code: str, argument: JsonValue, cancellation: Cancellation
    ) -> CallOutcome:
        program = StageProgram(
            name=stage.label,
            language=stage.language,
            code=code,
            input_is_text=unrefined(stage.input) == Leaf("Text"),
            effects=stage.effects,
        )
        outcome = execute_stage(self.children, program, argument, self.surroundings, cancellation)
        return _as_call_outcome(outcome)

    def _checked(self, stage: Stage, argument: JsonValue, outcome: CallOutcome) -> CallOutcome:
        broken = _broken_refinement(outcome.output, stage, "output")
        if broken is not None:
            return replace(
                outcome, output=None, error=StageError(ErrorClass.INVALID_OUTPUT, broken)
            )
        if self.output_check == "off":
            return outcome
        found = (
            *_misfits(argument, stage, "input"),
            *_misfits(outcome.output, stage, "output"),
        )
        if not found:
            return outcome
        if self.output_check == "error":
            error = StageError(ErrorClass.INVALID_OUTPUT, "; ".join(found))
            return replace(outcome, output=None, error=error)
        return replace(outcome, warnings=(*outcome.warnings, *found))


def _broken_input(stage: Stage, argument: JsonValue) -> StageError | None:
    broken = _broken_refinement(argument, stage, "input")
    return None if broken is None else StageError(ErrorClass.BAD_INPUT, broken)


def _broken_refinement(value: JsonValue, stage: Stage, side: Side) -> str | None:
    """What a refinement objects to; nothing where they are switched off (`stdlib.md` §12.3)."""
    if os.environ.get(_NO_REFINEMENT_CHECK):
        return None
    return refinement_failure(value, stage.input if side == "input" else stage.output, side)


def _misfits(value: JsonValue, stage: Stage, side: Side) -> tuple[str, ...]:
    found = misfit(value, stage.input if side == "input" else stage.output)
    return () if found is None else (f"its {side} does not fit its type: {found.sentence}",)


def _as_call_outcome(outcome: StageOutcome) -> CallOutcome:
    return CallOutcome(
        outcome.output,
        outcome.error,
        language=outcome.language,
        isolation=outcome.isolation,
        cpu_ms=outcome.cpu_ms,
        peak_memory_bytes=outcome.peak_memory_bytes,
        stdout_tail=outcome.stdout_tail,
        stderr_tail=outcome.stderr_tail,
        log_truncated=outcome.log_truncated,
        warnings=outcome.warnings,
    )


def _failed(code: ErrorCode, message: str) -> CallOutcome:
    return CallOutcome(None, StageError(ErrorClass.RUNTIME_UNAVAILABLE, message, code=code))
