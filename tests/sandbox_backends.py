"""Sandbox backends for tests: skipped, visibly, where their own probe fails."""

import functools
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from harness_calls import call, run_harness

NOBODY = 65534
_FOLDERS_OF_PYTEST = 3
"""Of the user, of the session, of the worker."""

OUT_OF_REACH_OF_LANDLOCK = {
    "iso_net_none": "the host's interfaces can be listed: there is no network name space",
    "iso_no_shadow": "paths can be looked at (stat); opening them is refused",
    "iso_no_home_secrets": "paths can be looked at (stat); opening them is refused",
    "iso_uid_gid": "the stage keeps the user of the runner, or is stage_user's",
    "iso_no_escalation": "root stays root: there is no user name space",
    "iso_status_bits": "root keeps its capabilities: there is no user name space",
    "iso_home_user": "home is the private directory, at its place on the host",
    "iso_work_private": "the private directory is at its place on the host",
    "iso_work_bounded": "the private directory is on a disk of the host",
    "iso_pid_namespace": "other processes have numbers; signals to them are refused",
    "iso_new_session": "the session is that of stage-init",
    "iso_hostname": "there is no name space for the host's name",
    "iso_ro_shadows_rw": "what may be written above may be written below",
    "iso_devices": "paths can be looked at (stat); opening them is refused",
}
"""What Landlock and a filter cannot do; everything else holds with that backend, too."""


def users() -> list[Any]:
    """Parameters for whom a runner belongs to: root's tests run a second time as somebody else."""
    if os.geteuid() != 0:
        return [pytest.param(None, id="unprivileged")]
    return [pytest.param(None, id="root"), pytest.param(NOBODY, id="unprivileged")]


def as_user(user: int | None) -> dict[str, Any]:
    """Options of the harness for a runner of this user; None: of our own."""
    return {} if user is None else {"user": user, "clean_fork": True}


def open_to_everybody(folder: Path) -> None:
    """Lets other users pass into a test's folder: through those that pytest has put around it."""
    for above in (folder, *list(folder.parents)[:_FOLDERS_OF_PYTEST]):
        if above == Path(tempfile.gettempdir()):
            break
        above.chmod(0o755)


def need_backend(backend: str, user: int | None = None) -> None:
    """Skip the test where a backend does not start, with what its probe says."""
    objection = _objection(backend, user)
    if objection is not None:
        pytest.skip(objection)


@functools.cache
def _objection(backend: str, user: int | None) -> str | None:
    nothing = call("def execute(input):\n    return 1\n", isolation=backend)
    (result,) = run_harness([nothing], **as_user(user))
    return None if result["status"] == "ok" else str(result["message"])
