"""What is checked of a resolved graph before anything of it runs (`types.md` §11).

Types, capabilities, effects, static cost, in this order; the first step with findings refuses the
run and lists them all. Warnings go into the trace. `describe` is what a dry run answers with.
"""

import os
from collections.abc import Iterable, Iterator, Mapping

from noether_contract.json_values import JsonValue
from noether_contract.messages import Grants, RunRequest
from noether_contract.outcomes import ErrorCode
from noether_runner.errors import RunnerError, StageError
from noether_runner.graph.nodes import Graph, Node
from noether_runner.graph.optimize import Optimized, is_switched_off, optimize
from noether_runner.languages import withheld
from noether_runner.languages.interpreters import find_interpreter
from noether_runner.languages.table import find_language
from noether_runner.stages.stage import Stage
from noether_runner.types.check import Checked, check_graph, finding_text
from noether_runner.types.check.effects import cost_map, effect_warnings, infer_effects
from noether_runner.types.check.plan import plan
from noether_runner.types.check.policies import (
    check_budget,
    check_capabilities,
    check_effects,
    read_capability_policy,
    read_effect_policy,
)
from noether_runner.types.check.stage_source import StageSource
from noether_runner.types.render import render

_INTERPRETERS = {"javascript": "node", "bash": "bash"}
"""Programs that languages need beside Python, which runs this."""


def check(root: Node, source: StageSource, request: RunRequest) -> tuple[Checked, list[str]]:
    """The checked types and all warnings; raises `RunnerError` when the run is refused."""
    warnings: list[str] = []
    checked = check_graph(root, source)
    if request.type_check != "off":
        warnings += [finding_text(warning) for warning in checked.warnings]
        errors = [finding_text(error) for error in checked.errors]
        if errors and request.type_check == "error":
            raise _refusal(
                ErrorCode.TYPE_CHECK_FAILED,
                f"{request.graph_path}: the types of the graph do not fit",
                errors,
                checked.errors[0].node,
            )
        warnings += errors
    _check_policies(root, source, request)
    warnings += [f"{each.sentence} (at {each.node})" for each in effect_warnings(root, source)]
    return checked, warnings


def surroundings_warnings(stages: Iterable[Stage], grants: Grants) -> Iterator[str]:
    """What the run's surroundings lack for its stages: interpreters, granted variables."""
    for stage in stages:
        if stage.code is None:
            continue
        missing = missing_runtime(stage, grants)
        if missing is not None:
            yield f'stage "{stage.label}" cannot be executed here: {missing}'
            continue
        language, _ = find_language(stage.language)
        names = withheld.named_in_source(language.name, stage.code, grants.withheld_names)
        if names:
            yield f'stage "{stage.label}": {withheld.hint(names)}'


def missing_runtime(stage: Stage, grants: Grants) -> str | None:
    """Why the code of a stage cannot be executed here: its language, or no program for it."""
    if stage.code is None:
        return None
    try:
        language, _ = find_language(stage.language)
        if language.name in _INTERPRETERS:
            find_interpreter(_INTERPRETERS[language.name], grants.environment)
    except StageError as error:
        return error.message
    return None


def describe(
    graph: Graph, root: Node, source: StageSource, checked: Checked, request: RunRequest
) -> Mapping[str, JsonValue]:
    """The plan of a run that is not carried out (`graph.md` §6.4)."""
    optimized = Optimized(root) if is_switched_off(os.environ) else optimize(root)
    planned = plan(optimized.root, source)
    described: dict[str, JsonValue] = {
        "description": graph.description,
        "effects": [each.kind.policy_name for each in infer_effects(root, source)],
        "mode": "dry-run",
        "optimizer": {
            "hit_cap": optimized.hit_cap,
            "iterations": optimized.iterations,
            "passes_applied": list(optimized.passes_applied),
        },
        "plan": {
            "cost": {
                "total_memory_mb_peak": planned.cost.total_memory_mb_peak,
                "total_time_ms_p50": planned.cost.total_time_ms_p50,
                "total_tokens_est": planned.cost.total_tokens_est,
            },
            "parallel_groups": len(planned.parallel_groups),
            "steps": len(planned.steps),
        },
        "type_check": {
            "input": None if checked.input is None else render(checked.input),
            "output": None if checked.output is None else render(checked.output),
        },
    }
    if request.budget_cents is not None:
        cents = sum(cost_map(optimized.root, source).values())
        if cents:
            described["expected_cost_cents"] = cents
    return described


def _check_policies(root: Node, source: StageSource, request: RunRequest) -> None:
    effects = read_effect_policy(request.allow_effects)
    capabilities = read_capability_policy(request.allow_capabilities)
    missing = check_capabilities(root, source, capabilities)
    if missing:
        told = [each.message for each in missing]
        raise _refused_by_policy(request, "needs capabilities that are not allowed", told)
    violations = check_effects(root, source, effects)
    if violations:
        told = [each.message for each in violations]
        raise _refused_by_policy(request, "has effects that are not allowed", told)
    over = check_budget(root, source, request.budget_cents)
    if over is not None:
        raise _refused_by_policy(request, "would cost too much", [over.sentence])


def _refused_by_policy(request: RunRequest, what: str, findings: list[str]) -> RunnerError:
    headline = f"{request.graph_path}: the graph {what}"
    return _refusal(ErrorCode.POLICY_VIOLATED, headline, findings, None)


def _refusal(code: ErrorCode, headline: str, findings: list[str], path: str | None) -> RunnerError:
    listed = "".join(f"\n  {finding}" for finding in findings)
    return RunnerError(code, f"{headline}:{listed}", path=path)
