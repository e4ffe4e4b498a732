"""The `# requires:` line of a Python stage (`runtimes.md` §2.1)."""

import re

from noether_contract.lean_dataclass import dataclass

_MARK = "# requires:"
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9.+!-]+")


_SHOWN_CHARACTERS = 100

_NAMED = "expected NAME==VERSION, without extras, markers or options"
_WANTED = {
    "unpinned": "expected NAME==VERSION; no other version will do",
    "empty_name": _NAMED,
    "bad_name": _NAMED,
    "empty_version": _NAMED,
    "bad_version": f"{_NAMED}, and one exact version",
}


@dataclass(frozen=True, slots=True)
class Rejected:
    """An entry that is not taken, and why: `unpinned`, `empty_name`, `bad_name`, ...."""

    entry: str
    reason: str


@dataclass(frozen=True, slots=True)
class Requirements:
    """The entries of the line, as written and in order."""

    accepted: tuple[str, ...] = ()
    rejected: tuple[Rejected, ...] = ()


def read_requirements(code: str, *, allow_unpinned: bool = False) -> Requirements:
    """The requirements of a source text; the first line of this form decides.

    `allow_unpinned`: take names without a version.
    """
    if _MARK not in code:
        return Requirements()
    for line in code.split("\n"):
        trimmed = line.strip()
        if trimmed.startswith(_MARK) and (text := trimmed[len(_MARK) :].strip()):
            break
    else:
        return Requirements()
    accepted: list[str] = []
    rejected: list[Rejected] = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        reason = _objection(entry, allow_unpinned=allow_unpinned)
        if reason is None:
            accepted.append(entry)
        else:
            rejected.append(Rejected(entry, reason))
    return Requirements(tuple(accepted), tuple(rejected))


def rejection_words(rejected: Rejected) -> str:
    """The warning about an entry that is not taken, with what may stand there."""
    entry, reason = rejected.entry[:_SHOWN_CHARACTERS], rejected.reason
    return f"the entry {entry!r} of '# requires:' is ignored: {reason} ({_WANTED[reason]})"


def _objection(entry: str, *, allow_unpinned: bool) -> str | None:
    """The reason code of §2.1's table, or None.

    Names begin and end with a letter or digit: the entry becomes an argument of pip, which
    would read a leading hyphen as an option.
    """
    name, pin, version = (part.strip() for part in entry.partition("=="))
    if not pin and not allow_unpinned:
        return "unpinned"
    if not name:
        return "empty_name"
    if not _NAME.fullmatch(name):
        return "bad_name"
    if not pin:
        return None
    if not version:
        return "empty_version"
    if not _VERSION.fullmatch(version):
        return "bad_version"
    return None
