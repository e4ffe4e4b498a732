"""The user that stages run as when the runner is root's, and what that user can reach.

Sources: `runtimes.md` §7.1, §7.8. A runner that is not root's runs stages as itself.
"""

import os
import stat
from pathlib import Path, PurePath
from typing import NamedTuple

from noether_contract.outcomes import ErrorCode
from noether_runner.errors import RunnerError

NOBODY = 65534
"""User and group that own nothing."""


class StageUser(NamedTuple):
    """User id, group id and supplementary groups; a plain tuple, since it travels in an order."""

    user: int
    group: int
    groups: tuple[int, ...] = ()


def named_user(name: str | None) -> StageUser | None:
    """The user of this name to drop to; None when there is none to drop to, or no right to.

    Raises RunnerError for a name that the system does not know.
    """
    if name is None or os.geteuid() != 0:
        return None
    import pwd  # here: most runs need none of it

    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise RunnerError(
            ErrorCode.BAD_REQUEST, f"stage_user {name!r} is no user of this system"
        ) from None
    groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
    return StageUser(entry.pw_uid, entry.pw_gid, tuple(groups))


def sandbox_user(chosen: StageUser | None) -> StageUser | None:
    """Whom bubblewrap is started as: never the host's root where there is another way.

    None: as the runner's own user. That includes the root of a user namespace into which nobody
    is mapped: it is an ordinary user of the host.
    """
    if chosen is not None:
        return chosen
    if os.geteuid() != 0 or not (_mapped("uid_map") and _mapped("gid_map")):
        return None
    return StageUser(NOBODY, NOBODY)


def can_reach(path: str, user: StageUser | None, mode: int = os.R_OK) -> bool:
    """Whether a user may pass every folder on the way to a path, and use it (`os.R_OK`, …).

    By owner, group and mode: access control lists are not looked at.
    """
    if user is None:
        return os.access(path, mode)
    real = Path(os.path.realpath(path))
    try:
        way_is_open = all(_permits(folder, user, os.X_OK) for folder in real.parents)
        return way_is_open and _permits(real, user, mode)
    except OSError:
        return False


def closed_folder(path: str, user: StageUser) -> PurePath | None:
    """The topmost folder on the way to a path that the user may not pass; None: the way is open."""
    for folder in reversed(Path(os.path.realpath(path)).parents):
        if not _permits(folder, user, os.X_OK):
            return folder
    return None


def _permits(path: Path, user: StageUser, mode: int) -> bool:
    status = path.stat()
    bits = stat.S_IMODE(status.st_mode)
    if user.user == 0:
        return True
    if status.st_uid == user.user:
        bits >>= 6
    elif status.st_gid in (user.group, *user.groups):
        bits >>= 3
    return bits & mode == mode


def _mapped(name: str) -> bool:
    """Whether the id of nobody exists in the user namespace of this process."""
    try:
        lines = Path("/proc/self", name).read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    ranges = [tuple(map(int, line.split())) for line in lines]
    return any(first <= NOBODY < first + count for first, _, count in ranges)
