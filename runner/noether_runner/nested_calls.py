"""Calls that a standard stage makes itself: `map`, `retry`, `race` and their like.

A child goes the whole way of a stage of the graph: the one resolver, the run's policies on
effects and capabilities, its budget, refinements, limits and sandbox. Its entry stands in the
nested list of the stage that called it.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from functools import partial
from typing import Final

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass
from noether_contract.messages import RunRequest
from noether_contract.outcomes import ErrorClass, ErrorCode
from noether_runner.builtins.builtin import BuiltinError
from noether_runner.builtins.lookup import is_unbuilt
from noether_runner.builtins.surroundings import (
    ChildCall,
    ChildFailedError,
    CutShortError,
    Ending,
    Pointless,
    StageCalls,
    TimeIsOverError,
)
from noether_runner.errors import RunnerError, StageError
from noether_runner.execution.budget import Budget
from noether_runner.execution.calls import CallOutcome, StageCall
from noether_runner.execution.crew import Broken, Crew
from noether_runner.execution.errors import budget_refusal
from noether_runner.execution.retry import rest_for
from noether_runner.execution.stopping import must_stop
from noether_runner.graph.nodes import StageNode
from noether_runner.graph.resolve import ResolveError, resolve
from noether_runner.narrowing import Narrowed
from noether_runner.nested_record import NestedCall, NestedRecord
from noether_runner.sandbox.cancellation import Cancellation
from noether_runner.stages.effects import Capability, EffectKind
from noether_runner.stages.stage import Stage
from noether_runner.stores.store import StageStore
from noether_runner.types.check.policies import (
    check_capabilities,
    check_effects,
    read_capability_policy,
    read_effect_policy,
)

DEEPEST: Final = 64
"""Levels of standard stages that call one another; one more is an error."""

THREADS: Final = 16
"""Threads of one run for the calls of `race` and `parallel`, beside those that make the calls."""


class NestedStageError(ChildFailedError):
    """A child's failure with all that is known of it."""

    def __init__(self, error: StageError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """What all calls of a run's standard stages have in common.

    `answers` are what was answered to questions, by stage and question (`builtins.Recall`).
    """

    store: StageStore
    began: float
    budget: Budget
    effects: frozenset[EffectKind] | None = None
    capabilities: frozenset[Capability] | None = None
    crew: Crew = field(default_factory=lambda: Crew(THREADS))
    answers: dict[tuple[str, str], JsonValue] = field(default_factory=dict)
    _found: dict[str, tuple[Stage, tuple[str, ...]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, reference: str) -> tuple[Stage, tuple[str, ...]]:
        """The stage a reference stands for, allowed and executable, and warnings about it.

        Raises `StageError`.
        """
        with self._lock:
            known = self._found.get(reference)
            if known is None:
                known = self._resolved(reference)
                self._found[reference] = known
            return known

    def _resolved(self, reference: str) -> tuple[Stage, tuple[str, ...]]:
        try:
            resolved = resolve(StageNode(reference), self.store)
            assert isinstance(resolved.root, StageNode)
            stage = self.store.stage(resolved.root.id)
        except RunnerError as error:
            raise _cannot_call(reference, error) from None
        if stage.code is None and is_unbuilt(stage.id):
            raise StageError(
                ErrorClass.RUNTIME_UNAVAILABLE,
                f'the standard stage "{stage.label}" is not built yet',
            )
        effects = check_effects(resolved.root, self.store, self.effects)
        capabilities = check_capabilities(resolved.root, self.store, self.capabilities)
        if effects or capabilities:
            told = [*(each.message for each in effects), *(each.message for each in capabilities)]
            raise StageError(ErrorClass.RUNTIME_UNAVAILABLE, "; ".join(told))
        return stage, tuple(each.message for each in resolved.warnings)


def neighbourhood_of(
    request: RunRequest, store: StageStore, budget: Budget, began: float
) -> Neighbourhood:
    """That of the run of a request; raises `PolicyError` when a policy cannot be read."""
    return Neighbourhood(
        store,
        began,
        budget,
        read_effect_policy(request.allow_effects),
        read_capability_policy(request.allow_capabilities),
    )


def _cannot_call(reference: str, error: RunnerError) -> StageError:
    code = ErrorCode.STAGE_FAILED
    if isinstance(error, ResolveError) and error.kind == "not_found":
        code = ErrorCode.STAGE_NOT_FOUND
    text = error.message.removeprefix("root: ")
    return StageError(
        ErrorClass.RUNTIME_UNAVAILABLE, f'stage "{reference}" cannot be called: {text}', code=code
    )


Execute = Callable[[Stage, StageCall, Cancellation, int], CallOutcome]
"""Executes a stage at a depth of nesting, with all checks around it (`routing.Calls.execute`)."""


@dataclass(frozen=True, slots=True)
class NestedCalls:
    """The `StageCalls` of one call of a standard stage."""

    neighbourhood: Neighbourhood
    execute: Execute
    outer: StageCall
    depth: int
    cancellation: Cancellation
    record: NestedRecord
    warnings: dict[str, None] = field(default_factory=dict)

    def call(self, reference: str, argument: JsonValue) -> JsonValue:
        """See `StageCalls`."""
        self._go_on()
        if self.depth >= DEEPEST:
            raise BuiltinError(
                f"stages that call one another are nested deeper than {DEEPEST} levels"
            )
        try:
            stage, warnings = self.neighbourhood.find(reference)
        except StageError as error:
            raise NestedStageError(error) from None
        self.warnings.update(dict.fromkeys(warnings))
        began = NestedCall(stage, argument, self.outer.path, time.monotonic())
        refusal = self._refusal(stage)
        outcome = CallOutcome(None, refusal) if refusal else self._outcome(stage, argument)
        self.record.add(began, outcome, outcome.error)
        if outcome.error is None:
            return outcome.output
        if outcome.error.error_class is ErrorClass.CANCELLED:
            self._go_on()
        raise NestedStageError(outcome.error)

    def _outcome(self, stage: Stage, argument: JsonValue) -> CallOutcome:
        call = replace(self.outer, stage_id=stage.id, argument=argument, attempt=1)
        return self.execute(stage, call, self.cancellation, self.depth + 1)

    def _refusal(self, stage: Stage) -> StageError | None:
        refusal = self.neighbourhood.budget.reserve(stage.effects.cost_cents)
        if refusal is None:
            return None
        told = budget_refusal(
            refusal, path=self.outer.path, stage_id=stage.id, stage_name=stage.name
        )
        return StageError(ErrorClass.RUNTIME_UNAVAILABLE, told.message, code=told.code)

    @contextmanager
    def within(self, seconds: float) -> Iterator[StageCalls]:
        """See `StageCalls`."""
        deadline = time.monotonic() + seconds
        with Narrowed(self.cancellation, deadline) as narrowed:
            try:
                yield replace(self, cancellation=narrowed)
            except (ChildFailedError, CutShortError, BuiltinError):
                self._go_on()
                if time.monotonic() < deadline:
                    raise
                raise TimeIsOverError from None
        if time.monotonic() >= deadline:
            raise TimeIsOverError

    def together(self, calls: Sequence[ChildCall], pointless: Pointless) -> list[Ending]:
        """See `StageCalls`."""
        group = _Group(self, calls, pointless)
        tasks = [partial(group.run, position) for position in range(len(calls))]
        outcomes = self.neighbourhood.crew.run_all(tasks)
        self.record.join(group.records)
        for outcome in outcomes:
            if isinstance(outcome, Broken):
                raise outcome.error
        self._go_on()
        return group.endings

    def wait(self, seconds: float) -> None:
        """See `StageCalls`."""
        if rest_for(int(seconds * 1000), self.cancellation.wait):
            raise CutShortError

    def _go_on(self) -> None:
        if must_stop(self.cancellation):
            raise CutShortError


class _Group:
    """Calls that run at the same time, each of which may be stopped by itself."""

    def __init__(
        self, outer: NestedCalls, calls: Sequence[ChildCall], pointless: Pointless
    ) -> None:
        self._outer = outer
        self._calls = calls
        self._pointless = pointless
        self._lock = threading.Lock()
        self._stopped: set[int] = set()
        self._running: dict[int, Narrowed] = {}
        self.records = [outer.record.fork() for _ in calls]
        self.endings = [Ending(cut_short=True) for _ in calls]

    def run(self, position: int) -> None:
        """Makes one call, unless it has become pointless already."""
        with Narrowed(self._outer.cancellation) as scope:
            with self._lock:
                if position in self._stopped:
                    return
                self._running[position] = scope
            try:
                ending = self._ending(position, scope)
            finally:
                with self._lock:
                    del self._running[position]
        with self._lock:
            self.endings[position] = ending
            for other in self._pointless(position, ending):
                self._stopped.add(other)
                if other in self._running:
                    self._running[other].cancel("its result is not needed any more")

    def _ending(self, position: int, scope: Narrowed) -> Ending:
        call = self._calls[position]
        inner = replace(self._outer, cancellation=scope, record=self.records[position])
        try:
            return Ending(output=inner.call(call.reference, call.argument))
        except ChildFailedError as error:
            return Ending(error=error)
        except CutShortError:
            return Ending(cut_short=True)
