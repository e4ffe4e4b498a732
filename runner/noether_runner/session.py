"""One run from request to report.

Order of `types.md` §11: read, composition id, checks, resolution, stages, execution. This is the
one place that turns exceptions into the report's error record; it never raises for what a graph,
a store or a stage does, and every report carries a trace.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import UTC, datetime
from pathlib import Path

from noether_contract.framing import MAX_OUTPUT_BYTES
from noether_contract.json_values import JsonTextError, JsonValue, compact_json, parse_json
from noether_contract.lean_dataclass import dataclass
from noether_contract.messages import (
    ErrorRecord,
    Event,
    FileStoreRef,
    GraphRead,
    RegistryRef,
    Resolution,
    RunReport,
    RunRequest,
    Trace,
)
from noether_contract.outcomes import ErrorCode, RunStatus
from noether_runner import preflight
from noether_runner.builtins.lookup import is_unbuilt
from noether_runner.errors import RunnerError
from noether_runner.execution.budget import Budget
from noether_runner.execution.environment import Execution
from noether_runner.execution.errors import internal_error
from noether_runner.execution.interpreter import run
from noether_runner.execution.memo import Memo
from noether_runner.execution.recorder import Recorder
from noether_runner.graph.canonical import composition_id
from noether_runner.graph.checks import empty_containers, unknown_members
from noether_runner.graph.document import read_graph
from noether_runner.graph.nodes import Node, StageNode
from noether_runner.graph.resolve import ResolveError, resolve
from noether_runner.graph.walk import stage_nodes, walk
from noether_runner.languages.environments import needs
from noether_runner.languages.environments.finder import environments_of
from noether_runner.languages.execute import Surroundings
from noether_runner.nested_calls import neighbourhood_of
from noether_runner.routing import Calls
from noether_runner.run_processes import RunProcesses
from noether_runner.sandbox.cancellation import Cancellation
from noether_runner.sandbox.child import Children
from noether_runner.stages.stage import Stage
from noether_runner.stores.opening import open_store
from noether_runner.stores.store import StageStore
from noether_runner.surroundings import (
    describe_isolation,
    stage_user_warnings,
    surroundings_of,
)

Emit = Callable[[Event], None]


@dataclass(slots=True)
class _Progress:
    """What is known so far; the report is made of it, however the run ends."""

    recorder: Recorder
    began: float
    composition_id: str | None = None
    warnings: list[str] = field(default_factory=list)
    resolutions: tuple[Resolution, ...] = ()
    memo: Memo = field(default_factory=Memo)
    budget: Budget = field(default_factory=lambda: Budget(None))


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A graph whose references are stages that may run."""

    root: Node
    argument: JsonValue
    stages: Mapping[str, Stage]
    store: StageStore
    surroundings: Surroundings
    description: Mapping[str, JsonValue]


def run_session(
    request: RunRequest,
    children: Children,
    cancellation: Cancellation,
    emit: Emit,
    on_executed: Callable[[], None] | None = None,
) -> RunReport:
    """Executes the request; `emit` is told of events as they happen, the report is returned.

    `on_executed` is called as soon as no stage will be called any more, before the report is made.
    """
    began = time.monotonic()
    started_at = datetime.now(UTC)
    progress = _Progress(Recorder(emit, began=began), began, budget=Budget(request.budget_cents))
    output: JsonValue = None
    error: ErrorRecord | None = None
    try:
        environments = environments_of(request, children)
        surroundings = surroundings_of(request, environments)
        prepared = _prepare(request, surroundings, children, progress, cancellation, emit)
        output = (
            dict(prepared.description)
            if request.dry_run
            else _execute(request, prepared, progress, children, cancellation)
        )
    except RunnerError as failure:
        error = failure.record()
    except Exception as failure:
        error = internal_error(failure, path="root").record()
    if on_executed is not None:
        on_executed()
    return _report(request, progress, started_at, began, output, error)


def _prepare(
    request: RunRequest,
    surroundings: Surroundings,
    children: Children,
    progress: _Progress,
    cancellation: Cancellation,
    emit: Emit,
) -> _Prepared:
    argument = _input_of(request)
    progress.warnings += stage_user_warnings(surroundings)
    graph = read_graph(request.graph_text, request.graph_path)
    progress.composition_id = composition_id(graph.root)
    emit(GraphRead(composition_id=progress.composition_id))
    progress.warnings += [f"{found.path}: {found.message}" for found in unknown_members(graph)]
    empty = empty_containers(graph.root)
    if empty:
        told = "; ".join(f"{found.path}: {found.message}" for found in empty)
        raise RunnerError(
            ErrorCode.GRAPH_INVALID, f"{request.graph_path}: {told}", path=empty[0].path
        )
    store = open_store(
        request.store,
        Path(request.cache_dir),
        mode=request.verify,
        trusted_keys=request.trusted_keys,
        references=[(node.id, node.pinning == "both") for _, node in stage_nodes(graph.root)],
        cancellation=cancellation,
    )
    try:
        resolved = resolve(graph.root, store)
    except ResolveError as error:
        # the stage that is missing may be one of those that cannot be read
        progress.warnings += store.warnings
        raise _with_place(error, request.store, store) from None
    progress.resolutions = resolved.resolutions
    progress.warnings += [f"{each.path}: {each.message}" for each in resolved.warnings]
    stages: dict[str, Stage] = {}
    for path, node in walk(resolved.root):
        if isinstance(node, StageNode) and node.id not in stages:
            stages[node.id] = _stage(store.stage(node.id), path)
    calls = sum(stages[node.id].code is not None for _, node in stage_nodes(resolved.root))
    if calls > 1 and not request.dry_run:
        # their processes are made while the graph is checked
        children.expect(calls)
    checked, warnings = preflight.check(resolved.root, store, request)
    progress.warnings += [*store.warnings, *warnings]
    described: Mapping[str, JsonValue] = {}
    if request.dry_run:
        progress.warnings += preflight.surroundings_warnings(stages.values(), request.grants)
        described = preflight.describe(graph, resolved.root, store, checked, request)
        environments = surroundings.environments
        needed = (
            needs.prepared(stages.values(), environments, cancellation)
            if request.prepare
            else needs.described(stages.values(), environments)
        )
        if needed:
            described = {**described, "environments": needed}
        progress.warnings += needs.environment_warnings(stages.values(), environments)
        walls = describe_isolation(stages.values(), surroundings, children, cancellation)
        if walls is not None:
            progress.warnings += walls.pop("warnings")
            described = {**described, "isolation": walls}
    return _Prepared(resolved.root, argument, stages, store, surroundings, described)


def _input_of(request: RunRequest) -> JsonValue:
    try:
        return parse_json(request.input_text)
    except JsonTextError as error:
        raise RunnerError(
            ErrorCode.BAD_REQUEST,
            f"the input is not JSON: {error} (a text needs quotes of its own: "
            "'\"hello\"' on a command line)",
            line=error.line or None,
            column=error.column or None,
        ) from None


def _with_place(
    error: ResolveError, place: FileStoreRef | RegistryRef, store: StageStore
) -> RunnerError:
    """The error, where an unknown reference was looked for, and what may have been meant."""
    if error.kind != "not_found" or isinstance(place, RegistryRef):
        return error
    from difflib import get_close_matches  # here: only a mistaken reference needs it

    there = "" if Path(place.path).exists() else ", which does not exist,"
    told = f"looked for in {place.path}{there} and in the standard library"
    names = {entry.name for entry in store.with_id_prefix("") if entry.name}
    near = get_close_matches(error.reference, names - {error.reference}, n=3, cutoff=0.75)
    if near:
        told += f"; did you mean {' or '.join(sorted(near))}?"
    return RunnerError(error.code, f"{error.message} ({told})", path=error.path)


def _stage(stage: Stage, path: str) -> Stage:
    """The stage, unless it is certain now that it cannot be executed."""
    if stage.code is None and is_unbuilt(stage.id):
        raise RunnerError(
            ErrorCode.NOT_BUILT,
            f'{path}: the standard stage "{stage.label}" is not built yet; '
            "nothing was run, and no example output stands in for it",
            path=path,
        )
    return stage


def _execute(
    request: RunRequest,
    prepared: _Prepared,
    progress: _Progress,
    children: Children,
    cancellation: Cancellation,
) -> JsonValue:
    surroundings = prepared.surroundings
    neighbourhood = neighbourhood_of(request, prepared.store, progress.budget, progress.began)
    with RunProcesses(children, surroundings.isolation.user) as processes:
        calls = Calls(
            prepared.stages,
            request.output_check,
            surroundings,
            children,
            cancellation,
            neighbourhood,
            processes,
        )
        environment = Execution(
            call_stage=calls.call,
            facts=calls.facts,
            recorder=progress.recorder,
            cancellation=cancellation,
            budget=progress.budget,
            memo=progress.memo,
            check_argument=calls.check_argument,
        )
        output = run(prepared.root, prepared.argument, environment)
    size = len(compact_json(output))
    if size > MAX_OUTPUT_BYTES:
        raise RunnerError(
            ErrorCode.OUTPUT_TOO_LARGE,
            f"the graph's output has {size} bytes as JSON, at most {MAX_OUTPUT_BYTES} are "
            "reported; write large results to a file and return its path",
        )
    return output


def _report(
    request: RunRequest,
    progress: _Progress,
    started_at: datetime,
    began: float,
    output: JsonValue,
    error: ErrorRecord | None,
) -> RunReport:
    duration_ms = int((time.monotonic() - began) * 1000)
    recorder = progress.recorder
    trace = Trace(
        composition_id=progress.composition_id,
        started_at=started_at.isoformat(),
        duration_ms=duration_ms,
        status="Ok" if error is None else "Failed",
        stages=recorder.stages(),
        warnings=(*progress.warnings, *filter(None, [recorder.omission()])),
        ended_at=datetime.now(UTC).isoformat(),
        run_id=request.run_id,
        job=request.job,
        error=error,
        open_stages=recorder.open_stages(),
        remote_calls=recorder.remote_calls(),
        resolutions=progress.resolutions,
        memo_hits=progress.memo.hits,
        memo_misses=progress.memo.misses,
    )
    return RunReport(
        run_id=request.run_id,
        status=_status(error),
        composition_id=progress.composition_id,
        output=output if error is None else None,
        error=error,
        duration_ms=duration_ms,
        spent_cents=progress.budget.spent_cents,
        trace=trace,
        usage=recorder.usage(),
    )


def _status(error: ErrorRecord | None) -> RunStatus:
    match error.code if error else None:
        case None:
            return RunStatus.SUCCEEDED
        case ErrorCode.RUN_TIMED_OUT:
            return RunStatus.TIMED_OUT
        case ErrorCode.RUN_INTERRUPTED:
            return RunStatus.INTERRUPTED
        case ErrorCode.RUN_OUT_OF_MEMORY:
            return RunStatus.OUT_OF_MEMORY
        case _:
            return RunStatus.FAILED
