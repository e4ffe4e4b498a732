"""One stage call: what is asked, what must be known before, and how it ended."""

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass
from noether_contract.messages import StageEntry
from noether_runner.errors import StageError


@dataclass(frozen=True, slots=True)
class StageFacts:
    """What the interpreter must know of a stage before it calls it.

    `pure`: its effect set contains Pure; `cost_cents`: the sum of its Cost effects.
    """

    name: str | None = None
    pure: bool = False
    cost_cents: int = 0


@dataclass(frozen=True, slots=True)
class StageCall:
    """One call: `argument` is merged with the node's config, `call` numbers the run's calls.

    The argument is shared with other nodes: whoever gets it must not change it.
    """

    stage_id: str
    path: str
    argument: JsonValue
    attempt: int
    call: int


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """How a call ended: `output`, unless there is an `error`; and what it consumed and said.

    `nested` are the calls that the stage itself has made.
    """

    output: JsonValue
    error: StageError | None = None
    language: str | None = None
    isolation: str | None = None
    cpu_ms: float | None = None
    peak_memory_bytes: int | None = None
    stdout_tail: str | None = None
    stderr_tail: str | None = None
    log_truncated: bool = False
    warnings: tuple[str, ...] = ()
    nested: tuple[StageEntry, ...] = ()
