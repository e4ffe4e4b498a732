"""Calls standard stages as a run does: by the routing, with real processes and a real store."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from noether_contract.json_values import JsonValue
from noether_contract.messages import Grants, Limits, Packages
from noether_runner.execution.budget import Budget
from noether_runner.execution.calls import CallOutcome, StageCall, StageFacts
from noether_runner.graph.nodes import StageNode
from noether_runner.graph.resolve import resolve
from noether_runner.languages.environments.finder import PythonEnvironments
from noether_runner.languages.execute import Surroundings
from noether_runner.nested_calls import Neighbourhood
from noether_runner.routing import Calls
from noether_runner.run_processes import RunProcesses
from noether_runner.sandbox.cancellation import CancelSwitch
from noether_runner.sandbox.child import Children
from noether_runner.sandbox.isolation import Isolation
from noether_runner.stages.stage import Stage
from noether_runner.stores.builtin import BuiltinStore
from noether_runner.stores.store import StageStore

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class NoChildren:
    """Stands for `Children` where a test must start no process of a stage."""

    def call(self, *_arguments: object) -> Any:
        raise AssertionError("this stage must not be executed in a process of its own")

    def leave_alone(self, pid: int) -> None:
        """Nobody clears up here."""


@dataclass(frozen=True)
class Caller:
    """Calls stages by any reference; `store` holds them."""

    children: Any
    processes: RunProcesses
    switch: CancelSwitch
    store: StageStore
    work_dir: Path

    def call(
        self,
        reference: str,
        argument: JsonValue = None,
        *,
        environment: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        budget_cents: int | None = None,
        isolation: Isolation | None = None,
        **policies: Any,
    ) -> CallOutcome:
        """The outcome of one call, as the interpreter would get it."""
        stage = self._stage(reference)
        calls = self._calls(stage, environment, limits, budget_cents, isolation, **policies)
        call = StageCall(stage.id, "root", argument, 1, 0)
        broken = calls.check_argument(call)
        return calls.call(call) if broken is None else CallOutcome(None, broken)

    def facts(self, reference: str) -> StageFacts:
        """What the interpreter is told of a stage."""
        stage = self._stage(reference)
        return self._calls(stage, None, None, None, None).facts(stage.id)

    def _stage(self, reference: str) -> Stage:
        resolved = resolve(StageNode(reference), self.store)
        assert isinstance(resolved.root, StageNode)
        return self.store.stage(resolved.root.id)

    def _calls(
        self,
        stage: Stage,
        environment: Mapping[str, str] | None,
        limits: Limits | None,
        budget_cents: int | None,
        isolation: Isolation | None,
        **policies: Any,
    ) -> Calls:
        grants = Grants(environment={"PATH": PATH, **(environment or {})})
        return Calls(
            {stage.id: stage},
            "warn",
            Surroundings(
                limits or Limits(),
                grants,
                self.work_dir,
                PythonEnvironments(
                    self.children, self.work_dir / "environments", Packages(), self.work_dir
                ),
                isolation or Isolation(),
            ),
            self.children,
            self.switch,
            Neighbourhood(self.store, time.monotonic(), Budget(budget_cents), **policies),
            self.processes,
        )

    def output(self, reference: str, argument: JsonValue = None, **given: Any) -> JsonValue:
        """The output of a call that succeeds."""
        outcome = self.call(reference, argument, **given)
        assert outcome.error is None, outcome.error.message
        return outcome.output

    def message(self, reference: str, argument: JsonValue = None, **given: Any) -> str:
        """The message of a call that fails."""
        outcome = self.call(reference, argument, **given)
        assert outcome.error is not None, outcome.output
        return outcome.error.message


@contextmanager
def calling(children: Any = None, store: StageStore | None = None) -> Iterator[Caller]:
    """A caller within one run; what it has started is gone afterwards."""
    switch = CancelSwitch(time.monotonic() + 300)
    with (
        tempfile.TemporaryDirectory(prefix="noether-test-") as work_dir,
        RunProcesses(cast("Children", children or NoChildren())) as processes,
    ):
        yield Caller(
            children or NoChildren(), processes, switch, store or BuiltinStore(), Path(work_dir)
        )
    switch.close()


@contextmanager
def started_children() -> Iterator[Children]:
    """Real children, for stages that run in a process of their own."""
    with Children.start(clean_fork=False) as children:
        yield children
