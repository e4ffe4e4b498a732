"""What all stage calls of a run have in common, from its request: limits, grants, place, walls."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from noether_contract.messages import FileStoreRef, RunRequest
from noether_contract.outcomes import ErrorClass, ErrorCode
from noether_runner.errors import RunnerError, StageError
from noether_runner.languages.environments.finder import PythonEnvironments
from noether_runner.languages.execute import Surroundings
from noether_runner.sandbox.cancellation import Cancellation
from noether_runner.sandbox.child import Children
from noether_runner.sandbox.isolation import Isolation
from noether_runner.sandbox.private_directory import open_for
from noether_runner.sandbox.stage_user import can_reach, named_user
from noether_runner.stages.stage import Stage


def surroundings_of(request: RunRequest, environments: PythonEnvironments) -> Surroundings:
    """The surroundings of a run's stages; raises RunnerError for a stage user that is unknown.

    A run whose stages have a user of their own gets its directory opened to that user.
    """
    user = named_user(request.stage_user)
    work_dir = Path(request.work_dir)
    try:
        open_for(user, work_dir)
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise RunnerError(
            ErrorCode.INTERNAL,
            f"the run's private directory {work_dir} cannot be opened to its stages: {why}",
        ) from None
    store = (request.store.path,) if isinstance(request.store, FileStoreRef) else ()
    return Surroundings(
        request.limits,
        request.grants,
        work_dir,
        environments,
        Isolation(request.isolation, request.require_isolation, user, request.limits.work_bytes),
        (*store, request.cache_dir, *request.protected),
        folders_may_stay=True,
    )


def stage_user_warnings(surroundings: Surroundings) -> Iterator[str]:
    """What stages will miss because their user may not read where this program is installed."""
    user = surroundings.isolation.user
    if user is None or surroundings.isolation.mode == "bwrap":
        return
    from noether_runner.sandbox.shown import interpreter_folders  # only with a stage_user

    closed = [folder for folder in interpreter_folders() if not can_reach(folder, user)]
    if closed:
        yield (
            f"the user of the stages ({user.user}) cannot read {closed[0]}: Python stages can "
            "import only what is loaded already; install noether-scheduler where every user can "
            "read it"
        )


def describe_isolation(
    stages: Iterable[Stage],
    surroundings: Surroundings,
    children: Children,
    cancellation: Cancellation,
) -> dict[str, Any] | None:
    """What a dry run tells of the sandbox: the backend and its probe, and what each stage gets.

    None for a run that asks for no walls. `stages` of it are those with code. Raises RunnerError
    (`isolation_unavailable`) when a stage would be refused.
    """
    isolation = surroundings.isolation
    if isolation.mode == "none" and not isolation.required:
        return None
    from noether_runner.sandbox.policy import policy_for  # most runs have no walls

    try:
        chosen = isolation.choose(children, cancellation)
    except StageError as error:
        if error.error_class is ErrorClass.CANCELLED:
            raise
        raise _refused(error.message) from None
    told = []
    for stage in stages:
        if stage.code is None or chosen.backend.name == "none":
            continue
        try:
            policy = policy_for(stage.effects, surroundings.grants, surroundings.protected)
        except StageError as error:
            raise _refused(f'stage "{stage.label}": {error.message}') from None
        told.append({"stage": stage.label, "gets": policy.describe()})
    return {
        "mode": isolation.mode,
        "backend": chosen.backend.name,
        "detail": chosen.backend.detail,
        "stages": told,
        "warnings": list(chosen.warnings),
    }


def _refused(message: str) -> RunnerError:
    return RunnerError(ErrorCode.ISOLATION_UNAVAILABLE, message)
