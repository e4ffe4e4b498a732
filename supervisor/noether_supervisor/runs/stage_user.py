"""Runs whose stages have a user of their own: a service of root's with `stage_user`.

The state directory is closed to that user, so the private directories of such runs are below the
directory for temporary files instead, each run's under a name that cannot be foretold, which lets
the user pass through (0711) and belongs to root. What a killed service left there is found by the
part of the name that stands for the state directory.
"""

import contextlib
import hashlib
import os
import pwd
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path

from noether_contract.removal import remove_tree

_OTHER_PLACES = ("/tmp", "/var/tmp", "/run")  # noqa: S108 - names there are random, and ours
_PASSABLE = 0o001


def takes_effect(stage_user: str | None) -> bool:
    """Whether stages drop to this user: only root can become somebody else."""
    return stage_user is not None and os.geteuid() == 0


def work_dir_for(state_path: Path) -> Path:
    """Where a run keeps the private directories of its stages; nothing is made yet."""
    return _base() / f"{_prefix(state_path)}{secrets.token_hex(8)}"


def sweep(state_path: Path) -> None:
    """Removes what runs of a dead service have left; only when no service runs on this state."""
    if os.geteuid() != 0:
        return
    for left in _base().glob(f"{_prefix(state_path)}*"):
        with contextlib.suppress(OSError):
            # the name alone proves nothing in a folder where everybody may make files
            if left.lstat().st_uid == 0 and not left.is_symlink():
                remove_tree(left)


def environ_of(stage_user: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of the service with what names its user changed to the stages' user."""
    entry = pwd.getpwnam(stage_user)
    own = {"HOME": entry.pw_dir, "USER": entry.pw_name, "LOGNAME": entry.pw_name}
    return {**environ, **own}


def _base() -> Path:
    """The folder for temporary files that everybody can pass through."""
    for place in (tempfile.gettempdir(), *_OTHER_PLACES):
        folder = Path(place).resolve()
        with contextlib.suppress(OSError):
            if all(each.stat().st_mode & _PASSABLE for each in (folder, *folder.parents)):
                return folder
    return Path(tempfile.gettempdir())


def _prefix(state_path: Path) -> str:
    return f"noether-{hashlib.sha256(os.fsencode(state_path)).hexdigest()[:12]}-"
