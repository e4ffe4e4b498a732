"""Every case of `graph_vectors.json` (`graph.md` §8), by kind."""

import json
from dataclasses import asdict

import pytest

from graph_case_doubles import Case, Impatient, MockStages, serving
from noether_contract.json_values import JsonValue, compact_json, parse_json, value_hash
from noether_contract.messages import FailedStatus
from noether_contract.outcomes import ErrorCode
from noether_runner.canonical_json import canonical_bytes
from noether_runner.errors import RunnerError
from noether_runner.execution.budget import Budget
from noether_runner.execution.calls import StageFacts
from noether_runner.execution.environment import Execution
from noether_runner.execution.interpreter import run
from noether_runner.execution.memo import Memo
from noether_runner.execution.recorder import Recorder
from noether_runner.graph.canonical import canonical_json_value, composition_id
from noether_runner.graph.catalogue import Entry
from noether_runner.graph.document import GraphError, read_graph, write_graph
from noether_runner.graph.nodes import Graph
from noether_runner.graph.optimize import optimize
from noether_runner.graph.resolve import ResolveError, resolve
from noether_runner.graph.walk import stage_nodes
from noether_runner.stages.lifecycle import Active, read_lifecycle
from noether_runner.stages.stage import Stage, read_stage
from noether_runner.types.check.plan import plan
from vector_files import load_vectors

pytestmark = pytest.mark.vectors

CASES: list[Case] = load_vectors("graph_vectors.json")["cases"]


def cases_of(kind: str) -> pytest.MarkDecorator:
    chosen = [pytest.param(case, id=case["id"]) for case in CASES if case["kind"] == kind]
    return pytest.mark.parametrize("case", chosen)


def text_of(case: Case) -> str:
    text: str = case["graph_text"] if "graph_text" in case else json.dumps(case["graph"])
    return text


def graph_of(case: Case) -> Graph:
    return read_graph(text_of(case), "graph.json")


@cases_of("canonical")
def test_canonical_form_and_composition_id(case: Case) -> None:
    root = graph_of(case).root
    assert canonical_bytes(canonical_json_value(root)).decode() == case["expect"]["canonical_jcs"]
    assert composition_id(root) == case["expect"]["composition_id"]


@cases_of("canonical")
def test_a_written_graph_reads_back_with_the_same_id(case: Case) -> None:
    graph = graph_of(case)
    again = read_graph(write_graph(graph), "written.json")
    assert again == graph
    assert composition_id(again.root) == case["expect"]["composition_id"]


@cases_of("parse_error")
def test_first_problem_of_a_document(case: Case) -> None:
    with pytest.raises(GraphError) as caught:
        graph_of(case)
    expected = case["expect"]["error"]
    assert (caught.value.kind, caught.value.field) == (expected["code"], expected.get("field"))


@cases_of("value_hash")
def test_value_hash(case: Case) -> None:
    value = parse_json(case["value_text"])
    assert compact_json(value).decode() == case["expect"]["compact"]
    assert value_hash(value) == case["expect"]["sha256"]


class TableCatalogue:
    """The `store` of a case."""

    def __init__(self, rows: list[Case]) -> None:
        self._entries = [
            Entry(
                id=row["id"],
                signature_id=row.get("signature_id"),
                name=row.get("name"),
                lifecycle=read_lifecycle(row.get("lifecycle", "Active")),
                source="vectors",
            )
            for row in rows
        ]

    def active_with_signature(self, reference: str) -> list[Entry]:
        return [
            entry
            for entry in self._entries
            if entry.signature_id == reference and isinstance(entry.lifecycle, Active)
        ]

    def with_id(self, reference: str) -> Entry | None:
        return next((entry for entry in self._entries if entry.id == reference), None)

    def with_id_prefix(self, prefix: str) -> list[Entry]:
        return [entry for entry in self._entries if entry.id.startswith(prefix)]

    def with_name(self, name: str) -> list[Entry]:
        return [entry for entry in self._entries if entry.name == name]

    def with_legacy_id(self, reference: str) -> list[Entry]:
        return []


@cases_of("resolve")
def test_resolution(case: Case) -> None:
    expect = case["expect"]
    root = graph_of(case).root
    catalogue = TableCatalogue(case["store"])
    if "error" in expect:
        with pytest.raises(ResolveError) as caught:
            resolve(root, catalogue)
        assert caught.value.kind == expect["error"]["code"]
        return
    resolved = resolve(root, catalogue)
    assert [node.id for _, node in stage_nodes(resolved.root)] == expect["ids"]
    warnings = []
    for warning in resolved.warnings:
        row: Case = {"code": warning.code, "ref": warning.reference, "chosen": warning.chosen}
        if warning.code == "multiple_active":
            row["candidates"] = list(warning.candidates)
        if warning.code == "deprecated":
            row["from"] = warning.origin
        warnings.append(row)
    assert warnings == expect["warnings"]


class TableStages(TableCatalogue):
    """The `store` of a plan case, with what a plan asks of its stages."""

    def __init__(self, rows: list[Case]) -> None:
        super().__init__(rows)
        self._stages = {row["id"]: read_stage(_record(row)) for row in rows}

    def stage(self, stage_id: str) -> Stage:
        return self._stages[stage_id]


def _record(row: Case) -> Case:
    signature = {
        "input": {"kind": "Any"},
        "output": {"kind": "Any"},
        "effects": {"effects": row.get("effects", [])},
        "implementation_hash": "",
    }
    return {
        "id": row["id"],
        "signature": signature,
        "capabilities": [],
        "cost": {name: row.get(name) for name in ("time_ms_p50", "tokens_est", "memory_mb")},
        "description": "",
        "examples": [],
        "lifecycle": row.get("lifecycle", "Active"),
    }


@cases_of("plan")
def test_plan(case: Case) -> None:
    optimized = optimize(graph_of(case).root)
    assert {
        "passes_applied": list(optimized.passes_applied),
        "iterations": optimized.iterations,
        "hit_cap": optimized.hit_cap,
    } == case["expect"]["optimizer"]
    planned = plan(optimized.root, TableStages(case["store"]))
    steps = [
        {**asdict(step), "mode": "Inline", "depends_on": list(step.depends_on)}
        for step in planned.steps
    ]
    assert {
        "steps": steps,
        "parallel_groups": [list(group) for group in planned.parallel_groups],
        "cost": asdict(planned.cost),
    } == case["expect"]["plan"]


KINDS = {
    ErrorCode.STAGE_NOT_FOUND: "stage_not_found",
    ErrorCode.STAGE_FAILED: "stage_failed",
    ErrorCode.BUDGET_EXCEEDED: "budget_exceeded",
    ErrorCode.REMOTE_CALL_FAILED: "remote_call_failed",
}


@cases_of("run")
def test_run(case: Case) -> None:
    expect = case["expect"]
    root = graph_of(case).root
    assert composition_id(root) == expect["composition_id"]
    stages = MockStages(case["stages"])
    memoize, cents = case.get("memoize"), case.get("budget_cents")
    pure = memoize["pure"] if memoize else []
    costs = case.get("costs", {})
    memo = None if memoize is None else Memo()
    budget = None if cents is None else Budget(cents)
    recorder = Recorder()
    switch = Impatient()
    output: JsonValue = None
    error: RunnerError | None = None
    table = case.get("remotes", {})
    with serving(table) as remotes:
        environment = Execution(
            call_stage=stages.call,
            facts=lambda stage_id: StageFacts(
                pure=stage_id in pure, cost_cents=costs.get(stage_id, 0)
            ),
            recorder=recorder,
            cancellation=switch,
            call_remote=remotes.call,
            budget=budget,
            memo=memo,
            threads=0,  # by name: what branches share (counters, a budget) is spent in one order
        )
        try:
            output = run(root, parse_json(json.dumps(case["input"])), environment)
        except RunnerError as raised:
            error = raised
    switch.close()

    assert (error is None) == expect["ok"], error
    if error is None:
        assert compact_json(output) == compact_json(expect["output"])
    else:
        assert KINDS[error.code] == expect["error"]["kind"]
        assert own_message(expect["error"]["text"], table) in error.message
    assert expect["trace_status"] == ("Ok" if error is None else "Failed")
    assert len(recorder.stages()) == len(expect["trace"])
    for entry, wanted in zip(recorder.stages(), expect["trace"], strict=True):
        assert entry.stage_id == wanted["stage_id"]
        assert entry.step_index == wanted["step_index"]
        assert entry.input_hash == wanted["input_hash"]
        assert entry.output_hash == wanted["output_hash"]
        if isinstance(entry.status, FailedStatus):
            message = wanted["status"]["Failed"]["message"]
            assert entry.status.Failed.code == wanted["status"]["Failed"]["code"]
            assert own_message(message, table) in entry.status.Failed.message
        else:
            assert entry.status == wanted["status"]
    assert stages.calls == expect["calls"]
    assert recorder.usage().stage_calls == sum(stages.calls.values())
    assert recorder.open_stages() == ()
    assert compact_json(remotes.requests) == compact_json(expect.get("remote_requests", []))
    if "memoize" in expect:
        assert memo is not None
        assert {"hits": memo.hits, "misses": memo.misses} == expect["memoize"]
    if "spent_cents" in expect:
        assert budget is not None
        assert budget.spent_cents == expect["spent_cents"]


def own_message(reference_text: str, remotes: dict[str, Case]) -> str:
    """The part of a text of the reference that binds: what a behaviour or a remote says itself."""
    for url, reply in remotes.items():
        if reference_text.startswith(f"remote call to {url} failed: "):
            body = reply["body"]
            error = body.get("error") if isinstance(body, dict) and body.get("ok") is False else ""
            error = error.get("message") if isinstance(error, dict) else error
            return error if isinstance(error, str) else ""
    if reference_text.startswith("remote call to "):
        return ""
    for opening in ("failed: ", "exceeded: "):
        if opening in reference_text:
            return reference_text.split(opening, 1)[1]
    return "not found"
