"""From the configuration to what decisions need: the schedule and the policy of every job.

Here cron expressions and time zones meet the file that holds them, so a mistake in one is a
finding with path, line and column beside all others of the file. `load` is how the service, a
reload and the commands read a configuration.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

from noether_contract.isolation import REQUIRE_ISOLATION, read_required
from noether_contract.json_values import JsonValue
from noether_supervisor.config import (
    Document,
    Job,
    SchedulerConfig,
    config_error,
    document_findings,
    read_document,
)
from noether_supervisor.config.places import item_path
from noether_supervisor.decisions.state import JobPolicy
from noether_supervisor.errors import Finding, UsageError
from noether_supervisor.schedule.expression import (
    CronError,
    Schedule,
    ZoneError,
    named_zone,
    parse_cron,
    process_zone,
    schedule_for,
)


@dataclass(frozen=True)
class Loaded:
    """A configuration without findings, and the zone of the jobs that name none."""

    config: SchedulerConfig
    process_zone: ZoneInfo

    def zone(self, job: Job) -> ZoneInfo:
        """The zone in which a job's expression is read."""
        return self.process_zone if job.timezone is None else named_zone(job.timezone)

    def schedule(self, job: Job) -> Schedule:
        """When a job is due; equal ones are one object."""
        return schedule_for(job.cron, self.zone(job))

    def policies(self) -> tuple[JobPolicy, ...]:
        """What decisions need to know of every job, in the order of the file; worked out once."""
        return self._policies

    @cached_property
    def _policies(self) -> tuple[JobPolicy, ...]:
        return tuple(map(self._policy, self.config.jobs))

    def _policy(self, job: Job) -> JobPolicy:
        return JobPolicy(
            name=job.name,
            schedule=self.schedule(job),
            overlap=job.overlap,
            catch_up=job.catch_up,
            catch_up_window=job.catch_up_window,
            jitter_seconds=jitter_offset(job),
            enabled=job.enabled,
        )


def load(path: Path, environ: Mapping[str, str]) -> Loaded:
    """The configuration at `path`; raises `ConfigError` with every finding of the file.

    A `TZ` that means nothing is an error of its own (`cron.md` §3), whatever the file says, and so
    is a `NOETHER_REQUIRE_ISOLATION` that is neither yes nor no.
    """
    zone = process_zone(environ)
    try:
        read_required(environ.get(REQUIRE_ISOLATION))
    except ValueError as error:
        raise UsageError(str(error)) from None
    document = read_document(path)
    config, findings = examine(document)
    if config is None or findings:
        raise config_error(document, findings)
    return Loaded(config, zone)


def examine(document: Document) -> tuple[SchedulerConfig | None, tuple[Finding, ...]]:
    """The configuration, when its keys are sound, and every finding, schedules included."""
    return document_findings(document, schedule_findings)


def schedule_findings(document: Document) -> Iterator[Finding]:
    """What is wrong with cron expressions and zones; values that are no strings are left out."""
    top = document.value
    if not isinstance(top, dict):
        return
    yield from _zone_findings(document, "defaults", top.get("defaults"))
    jobs = top.get("jobs")
    for index, job in enumerate(jobs if isinstance(jobs, list) else ()):
        path = item_path("jobs", index)
        yield from _cron_findings(document, path, job)
        yield from _zone_findings(document, path, job)


def jitter_offset(job: Job) -> float:
    """The seconds by which a job's runs start late: a fixed part of `jitter`, from its name."""
    if not job.jitter:
        return 0.0
    digest = hashlib.sha256(job.name.encode()).digest()
    part = int.from_bytes(digest[:8], "big") / 2**64
    return round(part * job.jitter, 3)


def _cron_findings(document: Document, path: str, job: JsonValue) -> Iterator[Finding]:
    cron = job.get("cron") if isinstance(job, dict) else None
    if isinstance(cron, str):
        try:
            parse_cron(cron)
        except CronError as error:
            yield document.finding(f"{path}.cron", f"{_named(job)}{error.message}")


def _zone_findings(document: Document, path: str, settings: JsonValue) -> Iterator[Finding]:
    zone = settings.get("timezone") if isinstance(settings, dict) else None
    if isinstance(zone, str):
        try:
            named_zone(zone)
        except ZoneError as error:
            yield document.finding(f"{path}.timezone", f"{_named(settings)}{error.message}")


def _named(settings: JsonValue) -> str:
    name = settings.get("name") if isinstance(settings, dict) else None
    sound = isinstance(name, str) and len(name) <= 200 and name.isprintable()
    return f"job '{name}': " if sound else ""
