"""What one stage may touch in a sandbox: what it declares, and what the operator grants.

Sources: `runtimes.md` §3.2 and §7.8. The graph and the argument of a stage have no part in it, so
they cannot widen it. Paths that cannot be granted are an error before anything runs: a stage never
gets less than it declares without a word, and never more.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from noether_contract.lean_dataclass import dataclass
from noether_contract.messages import Grants
from noether_contract.outcomes import ErrorClass
from noether_runner.errors import StageError
from noether_runner.stages.effects import EffectKind, EffectSet

OF_THE_SYSTEM = ("/proc", "/dev", "/sys")
"""No stage gets these, or what is below them, by declaring them; the operator may grant them."""

_OPENS_NETWORK = frozenset({EffectKind.NETWORK, EffectKind.LLM})


@dataclass(frozen=True, slots=True)
class Granted:
    """One path as it was named, and where it leads on the host when links are followed."""

    path: str
    real: str


@dataclass(frozen=True, slots=True)
class Policy:
    """What one stage may touch beyond a runtime and its private directory.

    `write` includes reading. `programs`: folders of the stage's PATH are shown, so that programs
    that it calls are found (an LLM is often reached through one).
    """

    read: tuple[Granted, ...] = ()
    write: tuple[Granted, ...] = ()
    network: bool = False
    programs: bool = False

    def describe(self) -> str:
        """The policy in words, for logs and `check`."""
        parts = ["network"] if self.network else ["no network"]
        parts += [f"reads {each.path}" for each in self.read]
        parts += [f"writes {each.path}" for each in self.write]
        return ", ".join(parts)


def policy_for(effects: EffectSet, grants: Grants, protected: Iterable[str] = ()) -> Policy:
    """The policy of a stage with these effects in a run with these grants.

    `protected` are files and folders of the scheduler itself (store, configuration, state): no
    stage may declare that it writes above, at or below them. `grants.network` decides over the
    network where it is not None. Raises StageError (`isolation_unavailable`) that names the path.
    """
    granted_read = [_resolved(path, "the operator's fs_read") for path in grants.fs_read]
    granted_write = [_resolved(path, "the operator's fs_write") for path in grants.fs_write]
    own = tuple(os.path.realpath(path) for path in protected)
    read = {each.path: each for each in granted_read}
    write = {each.path: each for each in granted_write}
    for effect in effects:
        if effect.kind is EffectKind.FS_READ:
            declared = _resolved(str(effect.data), f"its effect {effect}")
            if not _covered(declared, (*granted_read, *granted_write)):
                _refuse_system(declared, effect.kind, "fs_read")
            read.setdefault(declared.path, declared)
        elif effect.kind is EffectKind.FS_WRITE:
            declared = _resolved(str(effect.data), f"its effect {effect}")
            if not _covered(declared, granted_write):
                _refuse_system(declared, effect.kind, "fs_write")
                _refuse_own(declared, own)
            write.setdefault(declared.path, declared)
    kinds = effects.kinds
    network = grants.network if grants.network is not None else bool(kinds & _OPENS_NETWORK)
    return Policy(
        read=tuple(_in_order(each for path, each in read.items() if path not in write)),
        write=tuple(_in_order(write.values())),
        network=network,
        programs=EffectKind.LLM in kinds,
    )


def _resolved(path: str, origin: str) -> Granted:
    parts = PurePosixPath(path).parts
    if not path.startswith("/") or "\0" in path or ".." in parts:
        raise _refusal(f"{origin} needs an absolute path without '..', met {path!r}")
    plain = "/" + "/".join(parts[1:])
    if plain == "/":
        raise _refusal(f"{origin} is the whole file system, which a sandbox cannot hold; name less")
    try:
        return Granted(plain, os.path.realpath(plain, strict=True))
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise _refusal(
            f"{origin} cannot be granted: {plain}: {why}; make it, or take it out"
        ) from None


def _refuse_system(declared: Granted, kind: EffectKind, key: str) -> None:
    for place in OF_THE_SYSTEM:
        if _holds(place, declared.real) or _holds(place, declared.path):
            raise _refusal(
                f"its effect {kind}({declared.path}) is not granted: {place} belongs to the "
                f'system; if that is meant, the operator grants it with "{key}"'
            )


def _refuse_own(declared: Granted, own: Iterable[str]) -> None:
    for place in own:
        if _holds(place, declared.real) or _holds(declared.real, place):
            raise _refusal(
                f"its effect FsWrite({declared.path}) is not granted: {place} of the scheduler "
                'is there; declare a narrower path, or let the operator grant it with "fs_write"'
            )


def _covered(declared: Granted, grants: Iterable[Granted]) -> bool:
    return any(_holds(grant.real, declared.real) for grant in grants)


def _holds(folder: str, path: str) -> bool:
    """Whether `path` is `folder` or lies below it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _in_order(granted: Iterable[Granted]) -> Iterator[Granted]:
    """Parents before what is below them."""
    return iter(sorted(granted, key=lambda each: PurePosixPath(each.path).parts))


def _refusal(message: str) -> StageError:
    return StageError(ErrorClass.ISOLATION_UNAVAILABLE, message)
