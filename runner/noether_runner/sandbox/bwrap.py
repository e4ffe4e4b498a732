"""bubblewrap: the command line that puts a stage into a sandbox of its own (`runtimes.md` §7.8).

bubblewrap is started with the stage's environment as its own, so no value of it is ever an argument
and none of anybody else's is in `/proc/1/environ`. Inside it runs our stage-init (`inside.py`),
which starts the stage and knows how it really ended.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from noether_runner.sandbox.policy import Granted, Policy
from noether_runner.sandbox.shown import (
    NETWORK_FILES,
    SYSTEM_FILES,
    SYSTEM_FOLDERS,
    View,
    certificate_places,
    program_folders,
)
from noether_runner.sandbox.stage_user import NOBODY, StageUser, can_reach

HOME = "/stage"
"""Home and working directory of a stage in here: private, empty, bounded, gone afterwards."""

_USUAL_FOLDERS: tuple[str, ...] = (
    "/run/current-system/sw/bin",
    "/nix/var/nix/profiles/default/bin",
    "/usr/bin",
    "/usr/local/bin",
)
_KERNEL_SETTINGS = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus")


def find_bubblewrap(path: str) -> str | None:
    """The program: in the usual folders, else on a PATH."""
    for folder in (*_USUAL_FOLDERS, *path.split(os.pathsep)):
        program = Path(folder, "bwrap")
        if folder.startswith("/") and os.access(program, os.X_OK):
            return str(program)
    return None


def sandbox_environment(granted: Mapping[str, str]) -> dict[str, str]:
    """The environment of a stage in here: what is granted, and a home that exists."""
    return {**granted, "HOME": HOME, "USER": "nobody", "LOGNAME": "nobody", "TMPDIR": "/tmp"}  # noqa: S108 - private in here


def arguments(
    policy: Policy,
    view: View,
    environment: Mapping[str, str],
    work_bytes: int,
    user: StageUser | None = None,
) -> tuple[str, ...]:
    """Everything between the program's name and the command, in the order of `runtimes.md` §7.8.

    `work_bytes` bounds each of the private directories. `user` is whom it runs as, None as us: a
    folder of the PATH that is closed to that user is left out, as by a shell.

    Later arguments cover earlier ones: a path to read comes after the path to write above it, and
    stays read-only. Only where a path to write lies below one to read are they all ordered by
    their depth instead.
    """
    bounded = ("--size", str(work_bytes), "--perms")
    return (
        *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"),
        "--unshare-cgroup-try",
        *(() if policy.network else ("--unshare-net",)),
        *("--disable-userns", "--uid", str(NOBODY), "--gid", str(NOBODY), "--hostname", "stage"),
        *("--die-with-parent", "--new-session", "--cap-drop", "ALL"),
        *("--ro-bind", "/usr", "/usr"),
        *_system_folders(),
        *_try("--ro-bind-try", SYSTEM_FILES),
        *(word for host, place in view.places.items() for word in ("--ro-bind", host, place)),
        *("--proc", "/proc"),
        *_try("--ro-bind-try", _KERNEL_SETTINGS),
        *("--dev", "/dev", *bounded, "1777", "--tmpfs", "/dev/shm"),  # noqa: S108 - private in here
        *(*bounded, "1777", "--tmpfs", "/tmp", *bounded, "0700", "--tmpfs", HOME),  # noqa: S108
        *(_network_files(environment) if policy.network else ()),
        *(_programs(environment, user) if policy.programs else ()),
        *_granted(policy),
        *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", HOME, "--"),
    )


def _system_folders() -> Iterator[str]:
    """Links as they are on the host; folders read-only."""
    for folder in SYSTEM_FOLDERS:
        try:
            is_link = stat.S_ISLNK(os.lstat(folder).st_mode)
        except OSError:
            continue
        if is_link:
            yield from ("--symlink", str(Path(folder).readlink()), folder)
        else:
            yield from ("--ro-bind-try", folder, folder)


def _network_files(environment: Mapping[str, str]) -> Iterator[str]:
    """The files behind the names: a resolver's file is often a link into `/run`."""
    for path in (*NETWORK_FILES, *certificate_places(environment)):
        if os.access(path, os.F_OK):
            yield from ("--ro-bind", os.path.realpath(path), path)


def _programs(environment: Mapping[str, str], user: StageUser | None) -> Iterator[str]:
    """Folders of the PATH that are not in `/usr`, at their places: PATH names them so."""
    for folder in program_folders(environment):
        if View().translate(folder) is None and can_reach(folder, user):
            yield from ("--ro-bind-try", folder, folder)


def _granted(policy: Policy) -> Iterator[str]:
    binds = [("--bind", each) for each in policy.write]
    binds += [("--ro-bind", each) for each in policy.read]
    if any(_is_below(inner, outer) for inner in policy.write for outer in policy.read):
        binds.sort(key=lambda bind: PurePosixPath(bind[1].path).parts)
    for option, each in binds:
        yield from (option, each.real, each.path)


def _is_below(inner: Granted, outer: Granted) -> bool:
    return inner.path.startswith(outer.path + "/")


def _try(option: str, paths: tuple[str, ...]) -> Iterator[str]:
    for path in paths:
        yield from (option, path, path)
