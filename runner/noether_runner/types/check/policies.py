"""What a run may do: policies on effects, capabilities and cost (`types.md` §8.3-8.6).

No policy allows everything. A policy that names nothing allows nothing but `pure`, which is always
allowed; a name that is not known is an error of the configuration, never ignored (TQ-20).
"""

from collections.abc import Iterable
from typing import Final

from noether_contract.lean_dataclass import dataclass
from noether_contract.outcomes import ErrorCode
from noether_runner.errors import RunnerError
from noether_runner.graph.nodes import Node, RemoteStageNode, StageNode
from noether_runner.graph.walk import stage_nodes, walk
from noether_runner.stages.effects import Capability, Effect, EffectKind
from noether_runner.types.check.effects import REMOTE, effects_of, total_cents
from noether_runner.types.check.stage_source import StageSource, stage_with_id

REMOTE_ID: Final = "remote"
"""The id under which violations of a `RemoteStage` are listed."""

EFFECT_NAMES: Final = {kind.policy_name: kind for kind in EffectKind} | {
    "fsread": EffectKind.FS_READ,
    "fswrite": EffectKind.FS_WRITE,
    "nondeterministic": EffectKind.NON_DETERMINISTIC,
}
"""The names a policy may use; case counts."""

CAPABILITY_NAMES: Final = {
    "network": Capability.NETWORK,
    "fs-read": Capability.FS_READ,
    "fs-write": Capability.FS_WRITE,
    "gpu": Capability.GPU,
    "llm": Capability.LLM,
    "process": Capability.PROCESS,
}
"""The names a capability policy may use; case counts."""


class PolicyError(RunnerError):
    """A policy names something that does not exist; `name` is the word."""

    def __init__(self, policy: str, name: str, known: Iterable[str]) -> None:
        super().__init__(
            ErrorCode.BAD_REQUEST,
            f"{policy}: `{name}` is not known; use {', '.join(known)}",
        )
        self.name = name


def split_names(text: str) -> tuple[str, ...]:
    """The names of a comma-separated list; blanks around them and empty ones do not count."""
    return tuple(name for name in (part.strip() for part in text.split(",")) if name)


def read_effect_policy(names: Iterable[str] | None) -> frozenset[EffectKind] | None:
    """The allowed kinds, None for all; raises `PolicyError`."""
    if names is None:
        return None
    allowed = set()
    for name in names:
        if name not in EFFECT_NAMES:
            raise PolicyError("allow_effects", name, (kind.policy_name for kind in EffectKind))
        allowed.add(EFFECT_NAMES[name])
    return frozenset(allowed)


def read_capability_policy(names: Iterable[str] | None) -> frozenset[Capability] | None:
    """The allowed capabilities, None for all; raises `PolicyError`."""
    if names is None:
        return None
    allowed = set()
    for name in names:
        if name not in CAPABILITY_NAMES:
            raise PolicyError("allow_capabilities", name, CAPABILITY_NAMES)
        allowed.add(CAPABILITY_NAMES[name])
    return frozenset(allowed)


@dataclass(frozen=True, slots=True)
class EffectViolation:
    """An effect of one occurrence that the policy does not allow."""

    node: str
    stage_id: str
    effect: Effect
    message: str


@dataclass(frozen=True, slots=True)
class CapabilityViolation:
    """A capability of one stage occurrence that the policy does not allow."""

    node: str
    stage_id: str
    required: Capability
    message: str


@dataclass(frozen=True, slots=True)
class CostBudgetExceeded:
    """What the whole graph is declared to cost is more than the budget."""

    total_cents: int
    budget_cents: int

    @property
    def sentence(self) -> str:
        """What is wrong, for people."""
        return (
            f"the stages of this graph cost {self.total_cents} cents together, the budget is "
            f"{self.budget_cents} cents"
        )


def check_effects(
    root: Node, source: StageSource, allowed: frozenset[EffectKind] | None
) -> tuple[EffectViolation, ...]:
    """Every effect that is not allowed, occurrence by occurrence; only kinds count.

    A stage that is not there may do anything, so it needs `unknown`.
    """
    if allowed is None:
        return ()
    violations: list[EffectViolation] = []
    for path, node in walk(root):
        effects = effects_of(node, source)
        # A remote stage's are listed the other way round (`types.md` §8.3).
        for effect in reversed(effects.effects) if effects is REMOTE else effects:
            if effect.kind in allowed or effect.kind is EffectKind.PURE:
                continue
            name = effect.kind.policy_name
            message = (
                f"{_subject(node, source)} has the effect `{name}`, which allow_effects does not "
                f"name; add `{name}` if it may (at {path})"
            )
            stage_id = node.id if isinstance(node, StageNode) else REMOTE_ID
            violations.append(EffectViolation(path, stage_id, effect, message))
    return tuple(violations)


def check_capabilities(
    root: Node, source: StageSource, allowed: frozenset[Capability] | None
) -> tuple[CapabilityViolation, ...]:
    """Every capability that is not allowed, stage occurrence by stage occurrence."""
    if allowed is None:
        return ()
    names = {capability: name for name, capability in CAPABILITY_NAMES.items()}
    violations: list[CapabilityViolation] = []
    for path, node in stage_nodes(root):
        stage = stage_with_id(node.id, source)
        for required in stage.capabilities if stage else ():
            if required not in allowed:
                name = names[required]
                message = (
                    f"{_subject(node, source)} needs the capability `{name}`, which "
                    f"allow_capabilities does not name; add `{name}` if it may (at {path})"
                )
                violations.append(CapabilityViolation(path, node.id, required, message))
    return tuple(violations)


def check_budget(
    root: Node, source: StageSource, budget_cents: int | None
) -> CostBudgetExceeded | None:
    """The finding when the declared total is more than the budget; exactly the budget is fine."""
    if budget_cents is None:
        return None
    total = total_cents(root, source)
    return CostBudgetExceeded(total, budget_cents) if total > budget_cents else None


def _subject(node: Node, source: StageSource) -> str:
    match node:
        case StageNode(stage_id):
            stage = stage_with_id(stage_id, source)
            if stage is None:
                return f"stage {stage_id[:8]}, of which nothing is known,"
            about = f" ({stage.description})" if stage.description not in ("", stage.name) else ""
            return f"stage {stage.label}{about}"
        case RemoteStageNode(url):
            return f"the remote stage {url}"
        case _:
            return "the node"
