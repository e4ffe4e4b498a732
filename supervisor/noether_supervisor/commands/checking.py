"""`check`: everything that can be known before the first fire, for every job.

The configuration first; then, for each job without a finding, its graph: the runner is asked in
a dry run whether it reads, resolves and type-checks, and whether its runtimes are there. With
`--prepare` the dry runs also build the environments that stages require.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from noether_contract.isolation import REQUIRE_ISOLATION, read_required
from noether_contract.messages import ErrorRecord
from noether_contract.outcomes import ErrorCode
from noether_supervisor.commands.screen import Record, Screen
from noether_supervisor.config import Document, Job, SchedulerConfig, read_document
from noether_supervisor.config.places import item_path
from noether_supervisor.errors import Finding, SupervisorError
from noether_supervisor.history.text import painted, visible
from noether_supervisor.jobs import examine
from noether_supervisor.schedule.expression import ZoneError, process_zone

if TYPE_CHECKING:
    from noether_supervisor.commands.dry_runs import NeededEnvironment

_JOB_PATH = re.compile(r"jobs\[(\d+)\]")

Severity = Literal["error", "warning", "note"]
_COLOURS: dict[Severity, str] = {"error": "red", "warning": "yellow", "note": "green"}


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """One line of `check`. `path` is the key of the configuration, `node` the node of the graph.

    Line and column count in the configuration, or in the graph when the finding is about it.
    """

    severity: Severity
    job: str | None
    path: str
    message: str
    node: str | None = None
    line: int | None = None
    column: int | None = None

    def text(self, *, coloured: bool) -> str:
        """The finding as one line."""
        mark = painted(self.severity, _COLOURS[self.severity], on=coloured)
        message = visible(self.message).replace("\n", " ")
        # A sentence of the runner may name its place itself.
        node = None if message.startswith(f"{self.node}: ") else self.node
        place = [each for each in (self.job, self.path, node) if each]
        where = f" (line {self.line}, column {self.column or 1})" if self.line else ""
        where = "" if message.endswith(where) else where
        return f"{mark}: {visible(': '.join([*place, message]))}{where}"

    def record(self) -> Record:
        """The same for programs."""
        return {
            "severity": self.severity,
            "job": self.job,
            "path": self.path,
            "node": self.node,
            "message": self.message,
            "line": self.line,
            "column": self.column,
        }


def print_findings(
    path: Path,
    environ: Mapping[str, str],
    screen: Screen,
    on_note: Callable[[str], None],
    *,
    prepare: bool = False,
) -> int:
    """All findings about the configuration at `path`; 1 when one of them is an error.

    `prepare` builds what stages require, which is told in a note for each environment. `on_note`
    gets sentences that are no findings. Raises `ConfigError` when the file cannot be read or is no
    JSON, `HistoryError` when there is no place for what is to be built.
    """
    document = read_document(path)
    config, in_file = examine(document)
    findings = [_in_configuration(document, finding) for finding in in_file]
    findings += _in_environment(environ)
    jobs = _sound_jobs(document, config, in_file)
    if jobs is not None:
        findings += _in_graphs(jobs, environ, on_note, prepare=prepare)
    failed = any(finding.severity == "error" for finding in findings)
    if screen.as_json:
        screen.json([finding.record() for finding in findings])
        return int(failed)
    screen.lines(finding.text(coloured=screen.coloured) for finding in findings)
    if jobs is None:
        screen.lines(["graphs were not checked: mend the configuration first"])
    screen.lines([_summary(document, findings)])
    return int(failed)


def _in_configuration(document: Document, finding: Finding) -> CheckFinding:
    job = _job_name(document, finding.path)
    place = (finding.line or None, finding.column or None)
    return CheckFinding("error", job, finding.path, finding.message, None, *place)


def _in_environment(environ: Mapping[str, str]) -> Iterator[CheckFinding]:
    try:
        process_zone(environ)
    except ZoneError as error:
        yield CheckFinding("error", None, "", error.message)
    try:
        read_required(environ.get(REQUIRE_ISOLATION))
    except ValueError as error:
        yield CheckFinding("error", None, "", str(error))


@dataclass(frozen=True, slots=True)
class _SoundJobs:
    """The jobs without findings, each with its index in the file, and the rest of the file."""

    config: SchedulerConfig
    jobs: tuple[tuple[int, Job], ...]


def _sound_jobs(
    document: Document, config: SchedulerConfig | None, findings: Iterable[Finding]
) -> _SoundJobs | None:
    """The jobs whose graphs can be looked at; None when the file around them is not sound."""
    places = [_JOB_PATH.match(finding.path) for finding in findings]
    unsound = {int(place[1]) for place in places if place is not None}
    if not all(places) or not isinstance(document.value, dict):
        return None
    written = document.value.get("jobs")
    if not isinstance(written, list):
        return None
    indices = [index for index in range(len(written)) if index not in unsound]
    if config is None:
        if not indices:
            return None
        sound = {**document.value, "jobs": [written[index] for index in indices]}
        config = SchedulerConfig.model_validate(sound)
        return _SoundJobs(config, tuple(zip(indices, config.jobs, strict=True)))
    return _SoundJobs(config, tuple((index, config.jobs[index]) for index in indices))


def _in_graphs(
    sound: _SoundJobs,
    environ: Mapping[str, str],
    on_note: Callable[[str], None],
    *,
    prepare: bool,
) -> Iterator[CheckFinding]:
    try:
        sound.config.store(environ)
    except SupervisorError as error:
        yield CheckFinding("error", None, "registry_api_key", error.message)
        return
    if not sound.jobs:
        return
    from noether_supervisor.commands.dry_runs import ask_all

    jobs = [job for _, job in sound.jobs]
    answers = ask_all(jobs, sound.config, environ, on_note, prepare=prepare)
    for (index, job), answer in zip(sound.jobs, answers, strict=True):
        path = f"{item_path('jobs', index)}.graph"
        if answer.error is not None:
            yield from _refusals(job, path, answer.error)
        for warning in answer.warnings:
            yield CheckFinding("warning", job.name, path, warning)
        for place, name in enumerate(job.pass_env):
            if name not in environ:
                where = item_path(f"{item_path('jobs', index)}.pass_env", place)
                told = f"{name} is not set here; a stage sees it only if it is set for the service"
                yield CheckFinding("warning", job.name, where, told)
        for told in answer.isolation:
            yield CheckFinding("note", job.name, f"{item_path('jobs', index)}.isolation", told)
    if prepare:
        yield from _about_environments(each for answer in answers for each in answer.environments)


def _about_environments(needed: Iterable["NeededEnvironment"]) -> Iterator[CheckFinding]:
    """One line for each environment, though several jobs may need it."""
    found: dict[str, NeededEnvironment] = {}
    for each in needed:
        known = found.get(each.path)
        # of several jobs, one has built it, and the others have found it there
        if known is None or (each.built and each.seconds is not None):
            found[each.path] = each
    for each in found.values():
        if each.error is not None:
            yield CheckFinding("error", None, "", each.error)
            continue
        how = "was built already" if each.seconds is None else f"built in {each.seconds:.1f}s"
        told = f"environment {', '.join(each.requires)}: {how} ({each.path})"
        yield CheckFinding("note", None, "", told)


def _refusals(job: Job, path: str, error: ErrorRecord) -> Iterator[CheckFinding]:
    """Why the job's graph would not run; the type checker lists several reasons, one a line."""
    lines = [line.strip() for line in error.message.splitlines() if line.strip()]
    if error.code is not ErrorCode.TYPE_CHECK_FAILED:
        lines = [" ".join(lines)]
    for message in lines:
        yield CheckFinding("error", job.name, path, message, error.path, error.line, error.column)


def _job_name(document: Document, path: str) -> str | None:
    place = _JOB_PATH.match(path)
    jobs = document.value.get("jobs") if isinstance(document.value, dict) else None
    if place is None or not isinstance(jobs, list):
        return None
    job = jobs[int(place[1])]
    name = job.get("name") if isinstance(job, dict) else None
    return name if isinstance(name, str) else None


def _summary(document: Document, findings: list[CheckFinding]) -> str:
    jobs = document.value.get("jobs") if isinstance(document.value, dict) else None
    count = len(jobs) if isinstance(jobs, list) else 0
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = sum(finding.severity == "warning" for finding in findings)
    checked = f"{count} {'job' if count == 1 else 'jobs'} in {document.path}"
    if not errors and not warnings:
        return f"{checked}: nothing to object to"
    return f"{checked}: {_counted(errors, 'error')}, {_counted(warnings, 'warning')}"


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
