"""From references to stages: one resolver for every entry point (`graph.md` §3.6).

A reference is a signature id, a stage id, a prefix of one (4 hex digits or more), a name, or an
id of an older scheme, tried in that order. Resolution reads one snapshot of a catalogue, once a
run; the composition id is taken before it.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeAlias, assert_never

from noether_contract.lean_dataclass import dataclass
from noether_contract.messages import Resolution
from noether_contract.outcomes import ErrorCode
from noether_runner.errors import RunnerError
from noether_runner.graph.catalogue import Catalogue, Entry, KnowsDeprecated
from noether_runner.graph.nodes import Node, StageNode
from noether_runner.graph.walk import replace_stages
from noether_runner.stages.lifecycle import (
    Active,
    Deprecated,
    Draft,
    Tombstone,
    lifecycle_word,
)

__all__ = [
    "MOST_HOPS",
    "Catalogue",
    "Entry",
    "ResolveError",
    "ResolveErrorKind",
    "ResolveWarning",
    "Resolved",
    "WarningCode",
    "resolve",
]

MOST_HOPS = 10
"""Successors followed from a deprecated stage; one more is an error."""

_HEX = re.compile(r"[0-9a-fA-F]{4,}")
_LISTED_CANDIDATES = 5


WarningCode: TypeAlias = Literal["multiple_active", "deprecated", "deprecated_pinned", "legacy_id"]


@dataclass(frozen=True, slots=True)
class ResolveWarning:
    """Something to mend although the reference resolves; `message` is for a person.

    `candidates` belong to `multiple_active`; `origin`, the deprecated stage, to `deprecated`.
    """

    code: WarningCode
    reference: str
    chosen: str
    path: str
    message: str
    candidates: tuple[str, ...] = ()
    origin: str | None = None


ResolveErrorKind: TypeAlias = Literal[
    "not_found", "ambiguous", "not_active", "deprecation_cycle", "deprecation_too_long"
]


class ResolveError(RunnerError):
    """A reference stands for no stage that may run; `path` is the node's."""

    def __init__(
        self,
        kind: ResolveErrorKind,
        reference: str,
        path: str,
        sentence: str,
        candidates: tuple[str, ...] = (),
    ) -> None:
        super().__init__(ErrorCode.REFERENCE_UNRESOLVED, f"{path}: {sentence}", path=path)
        self.kind: ResolveErrorKind = kind
        self.reference = reference
        self.candidates = candidates


@dataclass(frozen=True, slots=True)
class Resolved:
    """A graph whose references are full stage ids; one resolution per distinct reference."""

    root: Node
    warnings: tuple[ResolveWarning, ...]
    resolutions: tuple[Resolution, ...]


def resolve(root: Node, catalogue: Catalogue) -> Resolved:
    """Resolves every reference in walk order; the first that fails raises `ResolveError`."""
    warnings: list[ResolveWarning] = []
    found: dict[tuple[str, str], tuple[Entry, tuple[ResolveWarning, ...]]] = {}

    def change(path: str, node: StageNode) -> StageNode:
        key = (node.id, node.pinning)
        if key not in found:
            found[key] = _Lookup(node, path, catalogue).entry_and_warnings()
        entry, own_warnings = found[key]
        warnings.extend(replace(warning, path=path) for warning in own_warnings)
        return replace(node, id=entry.id)

    changed = replace_stages(root, change)
    resolutions = tuple(
        Resolution(
            reference=reference,
            stage_id=entry.id,
            signature_id=entry.signature_id,
            name=entry.name,
            source=entry.source,
        )
        for (reference, _), (entry, _) in found.items()
    )
    return Resolved(changed, tuple(warnings), resolutions)


class _Lookup:
    """One reference being resolved."""

    def __init__(self, node: StageNode, path: str, catalogue: Catalogue) -> None:
        self._reference = node.id
        self._pinned = node.pinning == "both"
        self._path = path
        self._catalogue = catalogue
        self._warnings: list[ResolveWarning] = []

    def entry_and_warnings(self) -> tuple[Entry, tuple[ResolveWarning, ...]]:
        entry = self._by_signature() or self._usable(self._candidate())
        return entry, tuple(self._warnings)

    def _by_signature(self) -> Entry | None:
        if self._pinned:
            return None
        entries = _distinct(self._catalogue.active_with_signature(self._reference))
        if not entries:
            return None
        chosen = entries[0]
        if len(entries) > 1:
            ids = tuple(entry.id for entry in entries)
            self._warn(
                "multiple_active",
                chosen.id,
                f"{len(ids)} active stages have this signature ({_listed(ids)}); the one with "
                f"the smallest id is used: deprecate the others",
                candidates=ids,
            )
        return chosen

    def _candidate(self) -> Entry:
        reference = self._reference
        exact = self._catalogue.with_id(reference)
        if exact is not None:
            return exact
        is_hex = _HEX.fullmatch(reference) is not None
        entry = (
            self._only(self._catalogue.with_id_prefix(reference), "ids that begin so")
            if (is_hex)
            else None
        )
        entry = entry or self._by_name()
        if entry is None and is_hex:
            entry = self._only(self._catalogue.with_legacy_id(reference), "older ids that begin so")
            if entry is not None:
                self._warn("legacy_id", entry.id, f"an id of an older scheme: write {entry.id}")
        if entry is None:
            raise self._error("not_found", self._not_found_text())
        return entry

    def _by_name(self) -> Entry | None:
        named = self._catalogue.with_name(self._reference)
        active = [entry for entry in named if isinstance(entry.lifecycle, Active)]
        return self._only(active or named, "this name")

    def _only(self, entries: Sequence[Entry], what: str) -> Entry | None:
        distinct = _distinct(entries)
        if len(distinct) > 1:
            ids = tuple(entry.id for entry in distinct)
            sentence = f"{len(ids)} stages have {what}: {_listed(ids)}; write more of the id"
            raise self._error("ambiguous", sentence, ids)
        return distinct[0] if distinct else None

    def _usable(self, entry: Entry) -> Entry:
        match entry.lifecycle:
            case Active():
                return entry
            case Deprecated(successor) if self._pinned:
                self._warn(
                    "deprecated_pinned",
                    entry.id,
                    f"deprecated in favour of {successor[:8]}, used all the same: it is pinned",
                )
                return entry
            case Deprecated():
                end = self._end_of_succession(entry)
                self._warn(
                    "deprecated",
                    end.id,
                    f"stage {entry.id[:8]} is deprecated, its successor {end.id} is used",
                    origin=entry.id,
                )
                return end
            case Draft() | Tombstone():
                raise self._not_active(entry)
            case _:
                assert_never(entry.lifecycle)

    def _end_of_succession(self, entry: Entry) -> Entry:
        seen = [entry.id]
        current = entry
        while isinstance(current.lifecycle, Deprecated):
            successor = current.lifecycle.successor_id
            trail = " -> ".join(each[:8] for each in [*seen, successor])
            if len(seen) > MOST_HOPS:
                sentence = f"more than {MOST_HOPS} successors in a row: {trail}"
                raise self._error("deprecation_too_long", sentence)
            if successor in seen:
                raise self._error("deprecation_cycle", f"the successors form a circle: {trail}")
            found = self._catalogue.with_id(successor)
            if found is None:
                sentence = f"the successor {successor} is not in the store ({trail})"
                raise self._error("not_found", sentence)
            seen.append(successor)
            current = found
        if not isinstance(current.lifecycle, Active):
            raise self._not_active(current)
        return current

    def _not_active(self, entry: Entry) -> ResolveError:
        short = entry.id[:8]
        if isinstance(entry.lifecycle, Draft):
            advice = f"noether-stage activate {short} makes it active"
        else:
            advice = "it was withdrawn for good, so name another"
        word = lifecycle_word(entry.lifecycle)
        sentence = f"stage {short} is a {word}; only active stages run ({advice})"
        return self._error("not_active", sentence, (entry.id,))

    def _not_found_text(self) -> str:
        sentence = "no stage has this id, signature id, name or beginning of an id"
        if isinstance(self._catalogue, KnowsDeprecated) and not self._pinned:
            for entry in _distinct(self._catalogue.deprecated_with_signature(self._reference)):
                if isinstance(entry.lifecycle, Deprecated):
                    return (
                        f"every stage of this signature is deprecated; the successor of "
                        f"{entry.id[:8]} is {entry.lifecycle.successor_id}"
                    )
        return f"{sentence}; is it in the store that this run uses?"

    def _error(
        self, kind: ResolveErrorKind, sentence: str, candidates: tuple[str, ...] = ()
    ) -> ResolveError:
        text = f'the reference "{self._reference}" cannot be resolved: {sentence}'
        return ResolveError(kind, self._reference, self._path, text, candidates)

    def _warn(
        self,
        code: WarningCode,
        chosen: str,
        sentence: str,
        *,
        candidates: tuple[str, ...] = (),
        origin: str | None = None,
    ) -> None:
        message = f'reference "{self._reference}": {sentence}'
        self._warnings.append(
            ResolveWarning(code, self._reference, chosen, self._path, message, candidates, origin)
        )


def _distinct(entries: Sequence[Entry]) -> list[Entry]:
    by_id = {entry.id: entry for entry in reversed(entries)}
    return [by_id[each] for each in sorted(by_id)]


def _listed(ids: Sequence[str]) -> str:
    shown = ", ".join(each[:16] for each in ids[:_LISTED_CANDIDATES])
    return shown if len(ids) <= _LISTED_CANDIDATES else f"{shown}, …"
