"""What supervisor and runner say to each other.

One `RunRequest` line goes in on the runner's standard input, which then stays open as the
lifeline: its end means that the supervisor is gone, and the runner ends the run. `Event` lines
come out on standard output, the last one is the `RunReport`. Every message is frozen; durations
are milliseconds, sizes bytes, limits seconds.

Messages are plain dataclasses, so that nobody pays for checks of what he says himself.
`write_message` makes the JSON; `reading.py` and the runner's `request_reading.py` read what
somebody else has said, and refuse unknown members and wrong types.
"""

from dataclasses import field
from typing import Any, ClassVar, Final, Literal, TypeAlias

import orjson

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass
from noether_contract.outcomes import ErrorClass, ErrorCode, RunStatus

PROTOCOL_VERSION: Final = 1


class Message:
    """Base of all messages, for those who take any."""

    __slots__ = ()

    __pydantic_config__: ClassVar = {"extra": "forbid"}  # for `reading.py`


def write_message(message: Message) -> bytes:
    """A message as compact JSON, defaults included; the members stand in their order here."""
    return orjson.dumps(message)


def members_of(message: Message) -> dict[str, JsonValue]:
    """A message as the JSON object that `write_message` makes of it."""
    members: dict[str, JsonValue] = orjson.loads(orjson.dumps(message))
    return members


def known_members_of(message: Message) -> dict[str, JsonValue]:
    """The same without the members that are null; they are kept further down."""
    return {name: value for name, value in members_of(message).items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStoreRef(Message):
    """A JSON store file (`stages.md` §5); `path` is absolute."""

    kind: Literal["file"] = "file"
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryRef(Message):
    """A registry (`stages.md` §7); the key never reaches a stage."""

    kind: Literal["registry"] = "registry"
    url: str
    api_key: str | None = field(default=None, repr=False)


StoreRef: TypeAlias = FileStoreRef | RegistryRef

IsolationMode: TypeAlias = Literal["none", "auto", "bwrap", "landlock"]
VerifyMode: TypeAlias = Literal["content", "signed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Message):
    """Bounds of one run; the defaults are those of `scheduler.md` §2 and `runtimes.md` §7.10.

    `work_bytes` holds for each private directory of a stage that has a file system of its own.
    """

    run_seconds: float = 300.0
    stage_seconds: float = 30.0
    memory_bytes: int = 1024 * 1024 * 1024
    cpu_seconds: float | None = None
    output_bytes: int = 10 * 1024 * 1024
    log_bytes: int = 64 * 1024
    max_processes: int = 256
    linger_ms: int = 1000
    term_grace_ms: int = 500
    work_bytes: int = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants(Message):
    """What stages may see and touch beyond their private directory (`runtimes.md` §7.7).

    `environment` is the complete environment of every stage, except `TMPDIR`. Values of the names
    in `secret_names` are masked wherever text leaves the runner. `withheld_names` are variables
    that the service has but did not grant: named in the failure text of a stage that reads one.
    """

    environment: dict[str, str] = field(default_factory=dict, repr=False)
    secret_names: tuple[str, ...] = ()
    withheld_names: tuple[str, ...] = ()
    fs_read: tuple[str, ...] = ()
    fs_write: tuple[str, ...] = ()
    network: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages(Message):
    """How environments for `# requires:` lines are built (`runtimes.md` §2.4).

    `folder` holds them (absolute; None: `environments` below the request's `cache_dir`).
    `settings` are variables for pip alone (`package_settings.py`) and may hold passwords.
    """

    folder: str | None = None
    build_seconds: float = 300.0
    allow_unpinned: bool = False
    settings: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest(Message):
    """Everything one run needs. `graph_text` is the file as read; `graph_path` is for messages.

    `dry_run` checks and describes the graph and executes nothing; with `prepare` it also builds
    the environments that its stages require. With `require_isolation` no stage runs without a
    sandbox. `protected` are files and folders of the service, absolute, that no stage may be given
    to write because it declares so. `stage_user` counts for a runner of root's.
    """

    version: Literal[1] = PROTOCOL_VERSION
    run_id: str
    job: str | None = None
    graph_text: str
    graph_path: str
    input_text: str = "null"
    store: StoreRef
    cache_dir: str
    work_dir: str
    limits: Limits = Limits()
    grants: Grants = Grants()
    packages: Packages = Packages()
    isolation: IsolationMode = "none"
    require_isolation: bool = False
    protected: tuple[str, ...] = ()
    verify: VerifyMode = "content"
    trusted_keys: tuple[str, ...] = ()
    type_check: Literal["error", "warn", "off"] = "error"
    output_check: Literal["error", "warn", "off"] = "warn"
    allow_effects: tuple[str, ...] | None = None
    allow_capabilities: tuple[str, ...] | None = None
    budget_cents: int | None = None
    stage_user: str | None = None
    dry_run: bool = False
    prepare: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRecord(Message):
    """Why something failed. `path` is the node's place in the graph (`root.stages[1]`)."""

    code: ErrorCode
    message: str
    path: str | None = None
    stage_id: str | None = None
    stage_name: str | None = None
    error_class: ErrorClass | None = None
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFailure(Message):
    """The `Failed` form of a stage status on the wire (`graph.md` §5.2)."""

    code: Literal["EXECUTION_ERROR"] = "EXECUTION_ERROR"
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedStatus(Message):
    """`{"Failed": {...}}`."""

    Failed: StageFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEntry(Message):
    """One stage call in the trace (`graph.md` §5.2), and our additions after `output_hash`.

    `nested` are the calls that a higher-order standard stage made itself (`stdlib.md` §6.0).
    """

    stage_id: str
    step_index: int
    status: Literal["Ok"] | FailedStatus
    duration_ms: int
    input_hash: str | None
    output_hash: str | None

    stage_name: str | None = None
    path: str
    start_ms: float = 0.0
    attempt: int = 1
    memoized: bool = False
    language: str | None = None
    isolation: str | None = None
    cpu_ms: float | None = None
    peak_memory_bytes: int | None = None
    error_class: ErrorClass | None = None
    error_type: str | None = None
    error_traceback: str | None = None
    stdout_tail: str | None = None
    stderr_tail: str | None = None
    log_truncated: bool = False
    warnings: tuple[str, ...] = ()
    nested: tuple["StageEntry", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteEntry(Message):
    """One `RemoteStage` call: our own addition, beside the stage entries (`graph.md` §4.7)."""

    url: str
    path: str
    start_ms: float
    duration_ms: int
    ok: bool
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution(Message):
    """How one reference of the graph was resolved (`graph.md` §3.6)."""

    reference: str
    stage_id: str
    signature_id: str | None = None
    name: str | None = None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStarted(Message):
    """A stage call began. `call` numbers the calls of a run from 0, in order of their start."""

    kind: Literal["stage_started"] = "stage_started"
    call: int
    stage_id: str
    stage_name: str | None = None
    path: str
    start_ms: float
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace(Message):
    """The record of one run (`graph.md` §5.1); members after `warnings` are ours."""

    composition_id: str | None
    started_at: str
    duration_ms: int
    status: Literal["Ok", "Failed"]
    stages: tuple[StageEntry, ...] = ()
    security_events: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()

    ended_at: str | None = None
    run_id: str | None = None
    job: str | None = None
    error: ErrorRecord | None = None
    incomplete: bool = False
    open_stages: tuple[StageStarted, ...] = ()
    remote_calls: tuple[RemoteEntry, ...] = ()
    resolutions: tuple[Resolution, ...] = ()
    memo_hits: int = 0
    memo_misses: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage(Message):
    """What a run consumed, all its processes together; the peak is of the largest process."""

    cpu_ms: float = 0.0
    peak_memory_bytes: int = 0
    stage_calls: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphRead(Message):
    """The graph was read; its id is known from here on, whatever happens next."""

    kind: Literal["graph_read"] = "graph_read"
    composition_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEnded(Message):
    """A stage call ended; `entry` is what the trace will hold."""

    kind: Literal["stage_ended"] = "stage_ended"
    call: int
    entry: StageEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport(Message):
    """The last line: how the run ended. `output` is present exactly when it succeeded."""

    kind: Literal["report"] = "report"
    run_id: str
    status: RunStatus
    composition_id: str | None = None
    output: Any = None
    error: ErrorRecord | None = None
    duration_ms: int = 0
    spent_cents: int = 0
    trace: Trace
    usage: Usage = Usage()


Event: TypeAlias = GraphRead | StageStarted | StageEnded | RunReport
