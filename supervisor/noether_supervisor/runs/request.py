"""From a job and a fire to the request that its runner gets; the graph is read at this moment.

A request that cannot be made is the ending of that fire, and of nothing else.
"""

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from noether_contract.framing import MAX_REQUEST_BYTES
from noether_contract.isolation import REQUIRE_ISOLATION, read_required
from noether_contract.json_values import compact_json
from noether_contract.messages import ErrorRecord, Grants, Limits, RunRequest, write_message
from noether_contract.outcomes import ErrorCode
from noether_contract.package_settings import packages_from
from noether_contract.stage_environment import is_text, stage_grants
from noether_supervisor.clock import Clock, SystemClock
from noether_supervisor.config import Job, SchedulerConfig
from noether_supervisor.errors import SupervisorError
from noether_supervisor.records import Fire, RunEnding
from noether_supervisor.runs import stage_user
from noether_supervisor.runs.endings import never_started

MAX_GRAPH_BYTES = 16 * 1024 * 1024
"""Longest graph file that is read."""

CACHE_FOLDER = "cache"
"""Folder of the state directory for what runs can make again: registry answers, environments."""

_MIB = 1024 * 1024
_CLOCK = SystemClock()


class LaunchError(SupervisorError):
    """A runner cannot be started; `record` is what the fire's ending says."""

    def __init__(self, message: str, code: ErrorCode = ErrorCode.RUNNER_CRASHED) -> None:
        super().__init__(message)
        self.record = ErrorRecord(code=code, message=message)


def request_for(
    config: SchedulerConfig,
    job: Job,
    fire: Fire,
    state_path: Path,
    environ: Mapping[str, str],
    clock: Clock = _CLOCK,
) -> RunRequest | RunEnding:
    """The request of one fire, or the ending of a fire that is refused before it has a runner.

    `state_path` is absolute; `environ` is the environment of the service. Reads the graph, and
    the registry's key where it lies in a file; blocks for that long.
    """
    try:
        # `os.environ` decodes a value whenever it is asked for one
        return _request(config, job, fire, state_path, dict(environ))
    except LaunchError as refusal:
        return never_started(refusal.record, clock.now())


def read_graph_text(path: Path) -> str:
    """The text of a graph file; raises `LaunchError` that says what is wrong with which file."""
    try:
        # A pipe in the place of the file must not hold up the service.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _unreadable(path, "it is not a regular file")
            content = file.read(MAX_GRAPH_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None
    if len(content) > MAX_GRAPH_BYTES:
        raise _unreadable(path, f"it is longer than {MAX_GRAPH_BYTES // _MIB} MiB")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        wrong = f"byte {error.start} is 0x{content[error.start]:02x}"
        raise _unreadable(path, f"it is not UTF-8 text ({wrong}); save it as UTF-8") from None


def encode_request(request: RunRequest) -> bytes:
    """The request as its line; raises `LaunchError` when no runner would read so long a line."""
    line = write_message(request) + b"\n"
    if len(line) > MAX_REQUEST_BYTES:
        limit = MAX_REQUEST_BYTES // _MIB
        raise LaunchError(
            f"The request of run {request.run_id} is {len(line) / _MIB:.1f} MiB long, more than "
            f"the {limit} MiB that a runner reads; make the graph or the input smaller.",
            ErrorCode.BAD_REQUEST,
        )
    return line


def _request(
    config: SchedulerConfig, job: Job, fire: Fire, state_path: Path, environ: Mapping[str, str]
) -> RunRequest:
    try:
        store = config.store(environ)
    except SupervisorError as error:
        raise LaunchError(error.message, ErrorCode.STORE_UNREADABLE) from None
    try:
        required = read_required(environ.get(REQUIRE_ISOLATION))
    except ValueError as error:
        raise LaunchError(str(error), ErrorCode.BAD_REQUEST) from None
    # Job names may hold what file names may not.
    folder = hashlib.sha256(fire.run_id.encode()).hexdigest()[:24]
    work_dir = state_path / "work" / folder
    if stage_user.takes_effect(config.stage_user):
        work_dir = stage_user.work_dir_for(state_path)
    own_files = (config.state_path, *([] if config.path is None else [config.path]))
    return RunRequest(
        run_id=fire.run_id,
        job=job.name,
        graph_text=read_graph_text(job.graph_path),
        graph_path=str(job.graph_path),
        input_text=compact_json(job.input).decode(),
        store=store,
        cache_dir=str(state_path / CACHE_FOLDER),
        work_dir=str(work_dir),
        limits=Limits(
            run_seconds=job.timeout,
            stage_seconds=job.stage_timeout,
            memory_bytes=job.memory_mb * _MIB,
            cpu_seconds=job.cpu_seconds,
        ),
        grants=_grants(config, job, environ),
        packages=packages_from(environ),
        isolation=job.isolation,
        require_isolation=required,
        protected=tuple(map(str, own_files)),
        verify=config.verify,
        trusted_keys=config.trusted_keys,
        type_check=job.type_check,
        output_check=job.output_check,
        allow_effects=job.allow_effects,
        allow_capabilities=job.allow_capabilities,
        budget_cents=job.budget_cents,
        stage_user=config.stage_user,
    )


def _grants(config: SchedulerConfig, job: Job, environ: Mapping[str, str]) -> Grants:
    # Every stage has a TMPDIR of its own, so the service's is not withheld from it.
    readable = {name: value for name, value in environ.items() if is_text(name + value)}
    readable.pop("TMPDIR", None)
    unreadable = [name for name in job.pass_env if name in environ.keys() - readable.keys()]
    if unreadable:
        raise LaunchError(
            f"The value of {', '.join(unreadable)}, which pass_env of job '{job.name}' grants, is "
            "not UTF-8 text; set another value, or take the name out of pass_env.",
            ErrorCode.BAD_REQUEST,
        )
    if config.stage_user is not None and stage_user.takes_effect(config.stage_user):
        readable = stage_user.environ_of(config.stage_user, readable)
    grants = stage_grants(readable, job.env, job.pass_env)
    return replace(
        grants,
        fs_read=_absolute(job.fs_read),
        fs_write=_absolute(job.fs_write),
        network=job.network,
    )


def _absolute(paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(str(Path(path).absolute()) for path in paths)


def _unreadable(path: Path, reason: str) -> LaunchError:
    return LaunchError(
        f"The graph file {path} cannot be read: {reason}.", ErrorCode.GRAPH_UNREADABLE
    )
