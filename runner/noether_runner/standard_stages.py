"""Executes a standard stage: in the runner itself, or in a process of its own.

Stages that touch files, the network or a database, or that may take long, get a process with the
limits of a stage, in the working directory of the service (or of `noether-run`): relative paths
mean what they mean to a person there. The others are functions, called here.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass
from noether_contract.outcomes import ErrorClass
from noether_runner.builtins.builtin import Builtin, BuiltinError, Place
from noether_runner.builtins.in_child import PROGRAM
from noether_runner.builtins.lookup import theme_of
from noether_runner.builtins.surroundings import CutShortError
from noether_runner.errors import StageError
from noether_runner.execution.calls import CallOutcome
from noether_runner.languages.execute import StageOutcome, Surroundings, execute_stage
from noether_runner.languages.language import StageProgram
from noether_runner.languages.masking import Mask
from noether_runner.nested_calls import NestedStageError
from noether_runner.reach import RunReach
from noether_runner.sandbox.cancellation import Cancellation
from noether_runner.sandbox.child import Children
from noether_runner.sandbox.isolation import Isolation
from noether_runner.sandbox.logs import LogBuffer

LANGUAGE = "builtin"
"""What the trace calls the language of standard stages."""


@dataclass(frozen=True, slots=True)
class StandardStages:
    """Whoever executes the standard stages of one run."""

    surroundings: Surroundings
    children: Children
    mask: Mask

    def call(
        self, builtin: Builtin, argument: JsonValue, reach: RunReach, cancellation: Cancellation
    ) -> CallOutcome:
        """How the call ended; never raises for what the stage does."""
        if builtin.place is Place.RUNNER:
            return self._here(builtin, argument, reach)
        recall = builtin.recall
        if recall is None:
            return self._in_child(builtin, argument, cancellation)
        question = (builtin.name, recall.question(argument))
        if question in reach.neighbourhood.answers:
            known = recall.again(reach.neighbourhood.answers[question])
            return CallOutcome(known, language=LANGUAGE, isolation="none")
        outcome = self._in_child(builtin, argument, cancellation)
        if outcome.error is None:
            reach.neighbourhood.answers[question] = outcome.output
        return outcome

    def _here(self, builtin: Builtin, argument: JsonValue, reach: RunReach) -> CallOutcome:
        context = RunContext(
            self.surroundings.grants.environment, reach, self.surroundings.limits.log_bytes
        )
        outcome = CallOutcome(None, language=LANGUAGE, isolation="none")
        try:
            outcome = replace(outcome, output=builtin.run(argument, context))
        except StageError as error:
            outcome = replace(outcome, error=error)
        except (BuiltinError, NestedStageError, CutShortError) as error:
            outcome = replace(outcome, error=self._failure(error))
        log, record = context.logged.log(), reach.record
        warnings = [*context.warnings, *reach.warnings]
        return replace(
            outcome,
            cpu_ms=record.cpu_ms if record.calls else None,
            peak_memory_bytes=record.peak_memory_bytes if record.calls else None,
            stdout_tail=self.mask.log(log) or None,
            log_truncated=log.truncated,
            warnings=tuple(map(self.mask.text, warnings)),
            nested=record.entries,
        )

    def _failure(self, error: BuiltinError | NestedStageError | CutShortError) -> StageError:
        match error:
            case BuiltinError(message=message):
                return StageError(ErrorClass.RAISED, self.mask.text(message))
            case NestedStageError(error=inner):
                return StageError(
                    inner.error_class,
                    inner.message,
                    error_type=inner.error_type,
                    traceback=inner.traceback,
                    code=inner.code,
                    of_child=True,
                )
            case CutShortError():
                return StageError(ErrorClass.CANCELLED, "stopped before it had ended")

    def _in_child(
        self, builtin: Builtin, argument: JsonValue, cancellation: Cancellation
    ) -> CallOutcome:
        try:
            directory = str(Path.cwd())
        except OSError:
            failure = "the working directory of the run is gone"
            return CallOutcome(None, StageError(ErrorClass.RAISED, failure), language=LANGUAGE)
        # a list, so that neither null nor a text is taken for anything else on the way
        request: JsonValue = [theme_of(builtin.name), builtin.name, argument, directory]
        program = StageProgram(name=builtin.name, language="python", code=PROGRAM)
        outcome = execute_stage(self.children, program, request, self._outside(), cancellation)
        return self._unwrapped(outcome)

    def _outside(self) -> Surroundings:
        """Limits and user of a stage, but no sandbox: this is our own code, which works on the
        files and services of the host (`runtimes.md` §4.2). What a graph may do with it is a
        matter of allowed effects and capabilities.
        """
        isolation = Isolation(user=self.surroundings.isolation.user)
        return replace(self.surroundings, isolation=isolation)

    def _unwrapped(self, outcome: StageOutcome) -> CallOutcome:
        """The stage's own answer out of that of its process."""
        told = outcome.output
        output: JsonValue = None
        error, warnings = outcome.error, outcome.warnings
        if error is None and isinstance(told, dict):
            output = told.get("output")
            own = told.get("warnings")
            texts = own if isinstance(own, list) else []
            warnings = (*warnings, *(self.mask.text(str(text)) for text in texts))
            if "failed" in told:
                error = StageError(ErrorClass.RAISED, self.mask.text(str(told["failed"])))
        return CallOutcome(
            output,
            error,
            language=LANGUAGE,
            isolation=outcome.isolation,
            cpu_ms=outcome.cpu_ms,
            peak_memory_bytes=outcome.peak_memory_bytes,
            stdout_tail=outcome.stdout_tail,
            stderr_tail=outcome.stderr_tail,
            log_truncated=outcome.log_truncated,
            warnings=warnings,
        )


class RunContext:
    """What a standard stage in the runner may ask of its run."""

    def __init__(self, environment: Mapping[str, str], reach: RunReach, log_bytes: int) -> None:
        self.environment = environment
        self.reach = reach
        self.warnings: list[str] = []
        self.logged = LogBuffer(log_bytes)

    def warn(self, text: str) -> None:
        """See `Context`."""
        self.warnings.append(text)

    def log(self, text: str) -> None:
        """See `Context`."""
        self.logged.feed(text.encode("utf-8"))
