"""Finding and listing the stages of a ledger for a person (`stages.md` §6.8)."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from noether_contract.lean_dataclass import dataclass
from noether_contract.outcomes import ErrorCode
from noether_runner.errors import RunnerError
from noether_runner.stages.lifecycle import Active, lifecycle_text, lifecycle_word
from noether_runner.stages.signing import STDLIB_PUBLIC_KEY
from noether_runner.stages.stage import Stage
from noether_runner.stores.ledger import Ledger
from noether_runner.types.render import render

SHORT_ID = 8
_HINTED_CANDIDATES = 5
_HINTED_LENGTH = 4
_CLOSE = 0.75


class NotFoundError(RunnerError):
    """A reference of the command line names no stage, or several; `hints` help to find it."""

    def __init__(self, kind: str, message: str, hints: Sequence[str] = ()) -> None:
        super().__init__(ErrorCode.REFERENCE_UNRESOLVED, message)
        self.kind = kind
        self.hints = tuple(hints)


def find_stage(ledger: Ledger, reference: str, beneath: Iterable[Stage] = ()) -> Stage:
    """The stage that a person means: an exact id, else a unique prefix of one, else a name.

    All states count; of several stages with the name the Active one is meant. Stages `beneath` are
    looked at when the ledger has none. Raises `NotFoundError`.
    """
    problem = ledger.problem_with(reference)
    if problem is not None and ledger.get(reference) is None:
        raise NotFoundError("unreadable_stage", problem)
    known = list(ledger)
    found = _meant(known, reference)
    if found is not None:
        return found
    lower = list(beneath)
    found = _meant(lower, reference)
    if found is not None:
        return found
    known += lower
    hints: list[str] = []
    if len(reference) >= _HINTED_LENGTH:
        close = get_close_matches(reference, {each.label for each in known}, cutoff=_CLOSE)
        near = [each for each in known if each.label in close or reference in each.label]
        hints += [f"{each.id[:16]} {each.name}" for each in near[:_HINTED_CANDIDATES]]
        hints.append("noether-stage list --lifecycle all shows every id and name")
    message = f"no stage has the id, beginning of an id, or name {reference!r}"
    raise NotFoundError("not_found", message, hints)


def _meant(stages: Sequence[Stage], reference: str) -> Stage | None:
    for stage in stages:
        if stage.id == reference:
            return stage
    if reference:
        found = [stage for stage in stages if stage.id.startswith(reference)]
        if found:
            return _only(found, reference, "ids that begin with")
    named = [stage for stage in stages if stage.name == reference]
    active = [stage for stage in named if isinstance(stage.lifecycle, Active)]
    return _only(active or named, reference, "the name") if named else None


def _only(found: Sequence[Stage], reference: str, what: str) -> Stage:
    if len(found) == 1:
        return found[0]
    hints = [f"{each.id[:16]} {each.label}" for each in sorted(found, key=lambda each: each.id)]
    message = f"{len(found)} stages have {what} {reference!r}; write more of the id"
    raise NotFoundError("ambiguous", message, hints[:_HINTED_CANDIDATES])


@dataclass(frozen=True, slots=True)
class ListFilter:
    """Which stages to list: `lifecycle` is a word or None for all; `signed_by` is `stdlib`,
    `custom` (everything else) or the beginning of a public key."""

    tag: str | None = None
    signed_by: str | None = None
    lifecycle: str | None = "active"

    def admits(self, stage: Stage) -> bool:
        """Whether a stage belongs in the list."""
        if self.lifecycle is not None and lifecycle_word(stage.lifecycle) != self.lifecycle:
            return False
        if self.tag is not None and self.tag not in stage.tags:
            return False
        key = (stage.signer_public_key or "").lower()
        match self.signed_by:
            case None:
                return True
            case "stdlib":
                return key == STDLIB_PUBLIC_KEY
            case "custom":
                return key != STDLIB_PUBLIC_KEY
            case prefix:
                return bool(key) and key.startswith(prefix.lower())


def list_entries(
    stages: Iterable[Stage], wanted: ListFilter, *, full_ids: bool = False
) -> list[dict[str, Any]]:
    """The listed stages, sorted by description."""
    listed = sorted(
        (stage for stage in stages if wanted.admits(stage)),
        key=lambda stage: (stage.description, stage.name or "", stage.id),
    )
    return [_entry(stage, full_ids=full_ids) for stage in listed]


def _entry(stage: Stage, *, full_ids: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": stage.id if full_ids else stage.id[:SHORT_ID],
        "name": stage.name,
        "signature_id": stage.signature_id,
        "description": stage.description,
        "signature": f"{render(stage.input)} → {render(stage.output)}",
        "lifecycle": lifecycle_text(stage.lifecycle),
        "tags": list(stage.tags),
    }
    return {name: value for name, value in entry.items() if value not in (None, [])}


def table(entries: Sequence[dict[str, Any]], width: int | None) -> str:
    """The list for a person; lines are cut to `width` characters where one is given."""
    columns = ("id", "name", "lifecycle", "signature", "description")
    rows = [[column.upper() for column in columns]]
    for entry in entries:
        # the state of a Deprecated stage names its successor, for which there is no room here
        shown = {**entry, "lifecycle": entry["lifecycle"].partition(" ")[0]}
        rows.append([_one_line(shown.get(column, "-")) for column in columns])
    limits = (64, 28, 10, 44)
    widths = [
        min(limit, max(len(row[place]) for row in rows)) for place, limit in enumerate(limits)
    ]
    lines = []
    for row in rows:
        cells = [_cut(cell, size).ljust(size) for cell, size in zip(row, widths, strict=False)]
        line = "  ".join([*cells, row[-1]]).rstrip()
        lines.append(_cut(line, width) if width else line)
    return "\n".join(lines)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"
