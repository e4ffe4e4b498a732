"""The keys of the configuration file (`scheduler.md` §2), each with its default, stated here only.

Attribute names are the keys. Relative paths stay as written; they are meant against the working
directory. Rules that span several keys are in `rules.py`.
"""

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from noether_contract.messages import FileStoreRef, RegistryRef
from noether_supervisor.config.document import Document
from noether_supervisor.config.part import (
    DAY,
    MONTH,
    ConfigPart,
    Delay,
    HexKey,
    HostPort,
    HttpUrl,
    JobName,
    PathText,
    Seconds,
    VariableName,
    VariableValue,
)
from noether_supervisor.config.secrets import Secret, read_secret
from noether_supervisor.config.webhook import Webhook

DEFAULT_STORE_PATH = ".noether/store.json"

EffectName: TypeAlias = Literal[
    "pure",
    "fallible",
    "fs-read",
    "fsread",
    "fs-write",
    "fswrite",
    "llm",
    "network",
    "non-deterministic",
    "nondeterministic",
    "cost",
    "process",
    "unknown",
]
CapabilityName: TypeAlias = Literal["network", "fs-read", "fs-write", "gpu", "llm", "process"]


class HistorySettings(ConfigPart):
    """How much of a job's history is kept; older runs are pruned in the background."""

    keep_runs: int = Field(1000, ge=1, le=1_000_000_000, description="Runs kept per job.")
    keep_days: int = Field(90, ge=1, le=36_500, description="Days that a run is kept.")


class RetrySettings(ConfigPart):
    """Attempts of a whole run inside one fire."""

    attempts: int = Field(ge=1, le=100, description="Attempts in all, the first included.")
    delay: Delay = Field(0.0, description="Seconds before the second attempt.")
    backoff: float = Field(1.0, ge=1, le=100, description="Factor of each further delay.")


class JobSettings(ConfigPart):
    """The optional keys of a job; `defaults` gives them for all jobs."""

    input: Any = Field(None, description="The graph's input: any JSON value.")
    webhook: Webhook | None = Field(None, repr=False, description="Told after every run.")
    timezone: str | None = Field(None, description="IANA name; default: the process's zone (TZ).")
    enabled: bool = Field(True, description="Whether the job fires.")
    timeout: Seconds = Field(300.0, description="Seconds for a whole run.")
    stage_timeout: Seconds = Field(30.0, description="Seconds for each stage call.")
    memory_mb: int = Field(1024, ge=16, le=1_048_576, description="MiB per process of a run.")
    cpu_seconds: Seconds | None = Field(None, description="CPU seconds per process of a run.")
    overlap: Literal["skip", "queue", "allow", "replace"] = Field(
        "skip", description="What becomes of a fire that is due while the job still runs."
    )
    catch_up: Literal["none", "last", "all"] = Field(
        "none", description="Which fires missed while the service was down are made up."
    )
    catch_up_window: float = Field(
        86_400.0, gt=0, le=366 * DAY, description="Seconds back from now that catch_up looks."
    )
    jitter: Delay = Field(0.0, description="Seconds; the job starts late by a fixed part of them.")
    retry: RetrySettings | None = Field(None, description="Attempts of the run inside one fire.")
    isolation: Literal["none", "auto", "bwrap", "landlock"] = Field(
        "none", description="Sandbox of the stages, beside limits and process hygiene."
    )
    env: dict[VariableName, VariableValue] = Field(
        {}, repr=False, description="Environment variables of the stages, with their values."
    )
    pass_env: tuple[VariableName, ...] = Field(
        (), strict=False, description="Variables of the service that stages may see, by name."
    )
    fs_read: tuple[PathText, ...] = Field(
        (), strict=False, description="Paths that sandboxed stages may read."
    )
    fs_write: tuple[PathText, ...] = Field(
        (), strict=False, description="Paths that sandboxed stages may write."
    )
    network: bool | None = Field(
        None, description="Whether sandboxed stages reach the network; default: as they declare."
    )
    allow_effects: tuple[EffectName, ...] | None = Field(
        None, strict=False, description="The only effects that stages may declare; pure always."
    )
    allow_capabilities: tuple[CapabilityName, ...] | None = Field(
        None, strict=False, description="The only capabilities that stages may ask for."
    )
    budget_cents: int | None = Field(
        None, ge=0, le=2**63 - 1, description="Most that one run may cost."
    )
    type_check: Literal["error", "warn", "off"] = Field(
        "error", description="Static check of the graph before a run."
    )
    output_check: Literal["error", "warn", "off"] = Field(
        "warn", description="Values against declared types while a run goes on."
    )


class Job(JobSettings):
    """One job: a graph, and when it is due."""

    name: JobName = Field(description="Unique; part of every run id.")
    cron: str = Field(description="Five fields: minute, hour, day, month, weekday.")
    graph: PathText = Field(description="Path of the graph file, read at each fire.")

    @property
    def graph_path(self) -> Path:
        """The graph file as an absolute path."""
        return Path(self.graph).absolute()


def _at_least_one(jobs: tuple[Job, ...]) -> tuple[Job, ...]:
    if not jobs:
        raise ValueError("there are no jobs; at least one is needed")
    return jobs


@lru_cache(maxsize=1)
def _default_concurrency() -> int:
    return 4 * len(os.sched_getaffinity(0))


class SchedulerConfig(ConfigPart):
    """The whole file. `jobs` hold their own keys, then those of `defaults`, then the defaults."""

    jobs: Annotated[tuple[Job, ...], Field(strict=False), AfterValidator(_at_least_one)] = Field(
        description="At least one.", json_schema_extra={"minItems": 1}
    )
    store_path: PathText | None = Field(
        None,
        description=f"Store file of the stages; default without registry_url: {DEFAULT_STORE_PATH}",
    )
    registry_url: HttpUrl | None = Field(None, description="Registry of the stages instead.")
    registry_api_key: Secret | None = Field(
        None, repr=False, description="Sent to the registry as X-API-Key."
    )
    defaults: JobSettings = Field(JobSettings(), description="Optional job keys for all jobs.")
    state_dir: PathText = Field(".noether/scheduler", description="Run history and caches.")
    max_concurrent_runs: int = Field(
        default_factory=_default_concurrency,
        ge=1,
        le=10_000,
        description="Further due runs wait in due order; default: 4 × CPUs.",
    )
    history: HistorySettings = Field(HistorySettings(), description="How much is kept.")
    listen: HostPort | None = Field(None, description="HOST:PORT of page, API and metrics.")
    shutdown_grace: float = Field(
        30.0, ge=0, le=MONTH, description="Seconds that running runs get at a stop."
    )
    verify: Literal["content", "signed"] = Field(
        "content", description="What a stage must prove to run."
    )
    trusted_keys: tuple[HexKey, ...] = Field(
        (), strict=False, description="Ed25519 public keys whose signatures count."
    )
    stage_user: str | None = Field(
        None, min_length=1, description="User that stages drop to when the service is root."
    )

    _document: Document | None = PrivateAttr(None)
    _by_name: dict[str, Job] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _merge_defaults(self) -> Self:
        given = self.defaults.model_fields_set
        if given:
            common = {key: getattr(self.defaults, key) for key in given}
            merged = tuple(_with_defaults(job, common) for job in self.jobs)
            # The model is frozen for its readers; here it is still being built.
            object.__setattr__(self, "jobs", merged)
        return self

    @property
    def state_path(self) -> Path:
        """`state_dir` as an absolute path."""
        return Path(self.state_dir).absolute()

    def store(self, environ: Mapping[str, str]) -> FileStoreRef | RegistryRef:
        """Where stages come from, as a runner is told; raises `SupervisorError` for the key."""
        if self.registry_url is None:
            path = Path(self.store_path or DEFAULT_STORE_PATH).absolute()
            return FileStoreRef(path=str(path))
        key = self.registry_api_key
        return RegistryRef(
            url=self.registry_url, api_key=None if key is None else read_secret(key, environ)
        )

    def job(self, name: str) -> Job | None:
        """The job of that name."""
        if not self._by_name:
            self._by_name.update((job.name, job) for job in self.jobs)
        return self._by_name.get(name)

    def locate(self, path: str) -> tuple[int, int, str]:
        """Line, column and text of the line of `jobs[2].cron` in the file; zeros without one."""
        return self._document.locate(path) if self._document is not None else (0, 0, "")

    @property
    def path(self) -> Path | None:
        """The absolute path of the file, when the configuration came from one."""
        return None if self._document is None else self._document.path


def _with_defaults(job: Job, common: Mapping[str, Any]) -> Job:
    missing = {key: value for key, value in common.items() if key not in job.model_fields_set}
    return job.model_copy(update=missing) if missing else job
