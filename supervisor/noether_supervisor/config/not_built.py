"""Keys that are specified but whose function is not built yet, in one table.

A key is refused when its value would change what happens; never ignored in silence. Whoever
builds a function deletes its row.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from noether_contract.json_values import JsonValue
from noether_supervisor.config.document import Document
from noether_supervisor.config.places import item_path, member_path
from noether_supervisor.errors import Finding


@dataclass(frozen=True, slots=True)
class NotBuilt:
    """One key; `matters` tells the values that would change behaviour from those that do not."""

    key: str
    matters: Callable[[JsonValue], bool]
    instead: str


def _is_set(value: JsonValue) -> bool:
    return value is not None


OF_THE_SERVICE = (NotBuilt("listen", _is_set, "there is no status page yet; leave it out"),)
OF_A_JOB: tuple[NotBuilt, ...] = ()


def not_built_findings(document: Document) -> Iterator[Finding]:
    """One finding for every key of the tables that is set to something that matters."""
    top = document.value
    if not isinstance(top, dict):
        return
    yield from _findings_in(document, "", top, OF_THE_SERVICE)
    yield from _findings_in(document, "defaults", top.get("defaults"), OF_A_JOB)
    jobs = top.get("jobs")
    if isinstance(jobs, list):
        for index, job in enumerate(jobs):
            yield from _findings_in(document, item_path("jobs", index), job, OF_A_JOB)


def _findings_in(
    document: Document, path: str, value: JsonValue, table: tuple[NotBuilt, ...]
) -> Iterator[Finding]:
    if not isinstance(value, dict):
        return
    for row in table:
        if row.key in value and row.matters(value[row.key]):
            message = f"'{row.key}' is not built yet: {row.instead}"
            yield document.finding(member_path(path, row.key), message)
