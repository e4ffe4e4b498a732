"""`noether-stage test`: runs the examples of stages, compares what comes out (`stages.md` §6.10).

Each example is a whole run of a graph of that one stage, on the way that every run takes, so what
passes here is executed the same way later. A Draft is tested like an Active stage: its record goes
into a store of its own for the occasion.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from noether_contract.json_values import JsonValue, compact_json
from noether_contract.lean_dataclass import dataclass
from noether_contract.messages import FileStoreRef, Grants, Packages, RunReport, RunRequest
from noether_contract.outcomes import ErrorCode
from noether_contract.package_settings import packages_from
from noether_contract.stage_environment import stage_grants
from noether_runner.builtins.lookup import builtin_for, is_unbuilt
from noether_runner.canonical_json import canonical_bytes
from noether_runner.errors import RunnerError
from noether_runner.interruption import interruptible
from noether_runner.preflight import missing_runtime
from noether_runner.sandbox.cancellation import CancelSwitch
from noether_runner.sandbox.child import Children
from noether_runner.sandbox.prctl import hide_from_peers
from noether_runner.session import run_session
from noether_runner.stages.effects import EffectKind
from noether_runner.stages.lifecycle import Active
from noether_runner.stages.stage import Stage, write_stage
from noether_runner.stores.listing import SHORT_ID
from noether_runner.work_place import WorkPlace, cache_of

_UNREPEATABLE: Final = {
    EffectKind.LLM: "what a language model answers differs from call to call",
    EffectKind.NETWORK: "what comes over the network differs from call to call",
    EffectKind.NON_DETERMINISTIC: "its results differ from call to call",
    EffectKind.PROCESS: "what other processes do differs from call to call",
}
"""Effects whose stages are not tested by their examples, and why."""

_MOST_SHOWN = 200


class StoppedError(RunnerError):
    """A signal ended the tests; `number` is the signal's."""

    def __init__(self, number: int, tested: int, stages: int) -> None:
        message = f"stopped by a signal; {tested} of {stages} stages were tested"
        super().__init__(ErrorCode.RUN_INTERRUPTED, message)
        self.number = number


@dataclass(frozen=True, slots=True)
class Tested:
    """What the examples of one stage gave; `details` as the report has them."""

    stage: Stage
    status: Literal["passed", "failed", "skipped"]
    details: dict[str, Any]

    def write(self) -> dict[str, Any]:
        """The entry of the report."""
        return {
            "id": self.stage.id[:SHORT_ID],
            "name": self.stage.name,
            "description": self.stage.description,
            "status": self.status,
            "details": self.details,
        }

    def lines(self) -> Iterator[str]:
        """The same for a person."""
        match self.status:
            case "passed":
                count = len(self.stage.examples)
                yield f"✓ {self.stage.label}: {count} {'example' if count == 1 else 'examples'}"
            case "skipped":
                yield f"- {self.stage.label}: skipped, {self.details['reason']}"
            case "failed":
                yield f"✗ {self.stage.label}"
                for failure in self.details["failures"]:
                    told = _sentence(failure).removeprefix(f'stage "{self.stage.label}" ')
                    yield f"    examples[{failure['index']}]: {told}"


def report_of(tested: Sequence[Tested]) -> dict[str, Any]:
    """The report over some stages, as `verify` has it."""
    counts = {
        status: sum(each.status == status for each in tested)
        for status in ("passed", "failed", "skipped")
    }
    return {"total": len(tested), **counts, "stages": [each.write() for each in tested]}


def tested_stages(stages: Sequence[Stage], environ: Mapping[str, str]) -> Iterator[Tested]:
    """Runs the examples of one stage after the other, in the order of their ids.

    `environ` is where the stages' small fixed environment comes from. Raises `StoppedError` when a
    signal (SIGINT, SIGTERM) comes; only the main thread can ask.
    """
    ordered = sorted(stages, key=lambda stage: stage.id)
    with _example_runs(environ) as (runs, signals):
        for number, stage in enumerate(ordered):
            tested = runs.test(stage)
            if tested is None:
                raise StoppedError(min(signals), number, len(ordered))
            yield tested


@contextmanager
def _example_runs(environ: Mapping[str, str]) -> Iterator[tuple["_ExampleRuns", set[int]]]:
    with Children.start(clean_fork=False) as children:
        hide_from_peers()
        switch = CancelSwitch()
        folder = tempfile.mkdtemp(prefix="noether-stage-")
        grants = stage_grants(environ, {}, ())
        # built once, not for every test of them
        kept = str(cache_of(environ) / "environments")
        packages = replace(packages_from(environ), folder=kept)
        with interruptible(switch.cancel) as signals, WorkPlace(folder) as place:
            yield _ExampleRuns(children, switch, place, grants, packages), signals


@dataclass(frozen=True, slots=True)
class _ExampleRuns:
    children: Children
    switch: CancelSwitch
    folder: Path
    grants: Grants
    packages: Packages

    def test(self, stage: Stage) -> Tested | None:
        """What the examples of a stage gave; None when it was told to stop meanwhile."""
        reason = self._reason_to_skip(stage)
        if reason is not None:
            return Tested(stage, "skipped", {"reason": reason})
        store = self._store_of(stage)
        failures: list[dict[str, Any]] = []
        for index, example in enumerate(stage.examples):
            report = self._run(stage, store, f"examples[{index}] of {stage.label}", example.input)
            if self.switch.cancelled:
                return None
            failures += _failures(report, index, example.output)
        details: dict[str, Any] = {"examples": len(stage.examples)}
        if failures:
            return Tested(stage, "failed", {**details, "failures": failures})
        return Tested(stage, "passed", {**details, "all_match": True})

    def _reason_to_skip(self, stage: Stage) -> str | None:
        if not stage.examples:
            return "no examples"
        for effect in stage.effects.effects:
            if effect.kind in _UNREPEATABLE:
                return f"effect {effect.kind.value}: {_UNREPEATABLE[effect.kind]}"
        if stage.code is None and builtin_for(stage.id) is None:
            why = "it is not built yet" if is_unbuilt(stage.id) else "the record holds no code"
            return f"no implementation: {why}"
        missing = missing_runtime(stage, self.grants)
        return None if missing is None else f"no implementation: {missing}"

    def _store_of(self, stage: Stage) -> FileStoreRef:
        path = self.folder / "store.json"
        record = write_stage(replace(stage, lifecycle=Active()))
        path.write_bytes(orjson.dumps({"stages": [record]}))
        return FileStoreRef(path=str(path))

    def _run(self, stage: Stage, store: FileStoreRef, name: str, argument: JsonValue) -> RunReport:
        root = {"op": "Stage", "id": stage.id, "pinning": "both"}
        graph = {"description": name, "version": "0.1.0", "root": root}
        request = RunRequest(
            run_id=name,
            graph_text=orjson.dumps(graph).decode(),
            graph_path=name,
            input_text=compact_json(argument).decode(),
            store=store,
            cache_dir=str(self.folder / "cache"),
            work_dir=str(self.folder),
            grants=self.grants,
            packages=self.packages,
        )
        return run_session(request, self.children, self.switch, lambda _: None)


def _failures(report: RunReport, index: int, expected: JsonValue) -> Iterator[dict[str, Any]]:
    """What is wrong with the run of one example: nothing, or one thing."""
    error = report.error
    if error is not None:
        failure = {"index": index, "kind": "error", "message": error.message}
        if error.error_class is not None:
            failure["error_class"] = error.error_class.value
        traceback = report.trace.stages[-1].error_traceback if report.trace.stages else None
        yield failure if traceback is None else {**failure, "traceback": traceback}
    elif canonical_bytes(report.output) != canonical_bytes(expected):
        yield {"index": index, "kind": "mismatch", "expected": expected, "actual": report.output}


def _sentence(failure: Mapping[str, Any]) -> str:
    if failure["kind"] == "error":
        return _shown(failure["message"])
    expected, actual = (
        _shown(compact_json(failure[each]).decode()) for each in ("expected", "actual")
    )
    return f"expected {expected}, got {actual}"


def _shown(text: str) -> str:
    line = text.partition("\n")[0]
    return line if len(line) <= _MOST_SHOWN else line[:_MOST_SHOWN] + "…"
