"""What the file must hold beyond the kinds of its keys: rules that span several of them.

They look at the plain JSON value, so that they are reported beside other errors of one file.
"""

import pwd
from collections.abc import Iterator

from noether_contract.json_values import JsonValue
from noether_supervisor.config.document import Document
from noether_supervisor.config.excerpt import harmless
from noether_supervisor.config.part import REMARK_MARKS
from noether_supervisor.config.places import has_repeated_members, item_path
from noether_supervisor.errors import Finding

_FREE_OBJECTS = ("input", "env", "headers")
"""Keys whose members are the author's own: there, `_x` is a name and no remark."""


def rule_findings(document: Document) -> Iterator[Finding]:
    """Every rule that the file breaks."""
    yield from _repeated_members(document)
    if isinstance(document.value, dict):
        yield from _two_stores(document, document.value)
        yield from _repeated_names(document, document.value.get("jobs"))
        yield from _unknown_user(document, document.value.get("stage_user"))


def _repeated_members(document: Document) -> Iterator[Finding]:
    if not has_repeated_members(document.text, document.value):
        return
    for repeated in document.place_map.repeated:
        is_free = any(f".{key}." in f".{repeated.path}" for key in _FREE_OBJECTS)
        if is_free or not repeated.key.startswith(REMARK_MARKS):
            message = (
                f"the key '{harmless(repeated.key, 60)}' stands twice in this object; keep one"
            )
            yield document.finding_at(repeated.path, message, repeated.offset)


def _two_stores(document: Document, top: dict[str, JsonValue]) -> Iterator[Finding]:
    if top.get("store_path") is not None and top.get("registry_url") is not None:
        message = "both 'store_path' and 'registry_url' are set; stages come from one: keep one"
        yield document.finding("registry_url", message, at_key=True)


def _unknown_user(document: Document, name: JsonValue) -> Iterator[Finding]:
    if not isinstance(name, str) or not name:
        return
    try:
        entry = pwd.getpwnam(name)
    except (KeyError, ValueError):
        met = harmless(name, 60)
        message = f"'{met}' is no user of this system; expected the name of one, like 'nobody'"
    else:
        if entry.pw_uid != 0:
            return
        message = f"'{name}' may do everything; expected a user without rights, like 'nobody'"
    yield document.finding("stage_user", message)


def _repeated_names(document: Document, jobs: JsonValue) -> Iterator[Finding]:
    if not isinstance(jobs, list):
        return
    first_with: dict[str, int] = {}
    for index, job in enumerate(jobs):
        name = job.get("name") if isinstance(job, dict) else None
        if not isinstance(name, str):
            continue
        if (first := first_with.setdefault(name, index)) != index:
            message = f"jobs[{first}] has the same name; names are unique"
            yield document.finding(f"{item_path('jobs', index)}.name", message)
