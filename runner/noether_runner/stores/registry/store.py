"""A registry as a store (`stages.md` §8.2): which question is answered by which means.

| reference | answered by |
|---|---|
| full id | the stage of that id: cache, else `GET /stages/{id}` |
| signature id | the stages that the last scan saw with it, looked up by id; else a new scan |
| beginning of an id, name, older id | the current scan: all Active stages |

The standard library lies above (`opening.py`): what it answers is not asked here.
"""

import math
from collections.abc import Iterable, Sequence

from noether_runner.graph.catalogue import Entry
from noether_runner.graph.resolve import MOST_HOPS
from noether_runner.stages.lifecycle import Active, Deprecated
from noether_runner.stages.stage import Stage
from noether_runner.stages.verify import Policy, verify
from noether_runner.stores.registry.active import ActiveIndex
from noether_runner.stores.registry.cache import Cache
from noether_runner.stores.registry.client import NoAnswerError, RegistryClient
from noether_runner.stores.registry.errors import RegistryUnavailableError
from noether_runner.stores.registry.facts import age_words
from noether_runner.stores.registry.library import (
    SOURCE,
    Known,
    Library,
    Wanted,
    cache_source,
    is_full_id,
)
from noether_runner.stores.registry.settings import Settings
from noether_runner.stores.rows import Column, Row
from noether_runner.stores.store import StageMissingError

_ID_LENGTH = 64

_ASSUMED_TOTAL = 4000
"""How many stages a registry is taken to have before it was scanned: a guess on the large side."""


class RegistryStore:
    """The stages of one registry, for one run."""

    def __init__(
        self,
        client: RegistryClient,
        cache: Cache,
        index: ActiveIndex,
        library: Library,
        settings: Settings,
        policy: Policy,
    ) -> None:
        self._client = client
        self._cache = cache
        self._index = index
        self._library = library
        self._settings = settings
        self._policy = policy
        self._pinned: frozenset[str] = frozenset()

    @property
    def warnings(self) -> Sequence[str]:
        """What was served although it is old, stages of older schemes, trouble with the cache."""
        found = list(self._library.warnings())
        shown = self._client.address.shown
        if self._index.stale is not None:
            age, reason = self._index.stale
            found.append(
                f"registry {shown} cannot be asked for its listing ({reason}): the one of "
                f"{age_words(age)} ago is used"
            )
        if self._cache.problem is not None:
            found.append(f"registry {shown}: {self._cache.problem}; every run fetches anew")
        return found

    def prepare(self, references: Iterable[tuple[str, bool]]) -> None:
        """Looks up all references of a graph together: `(reference, pinned)` each.

        Only an economy of requests; answers are the same without it. Raises what looking up one
        by one would raise, but names all references that the registry is needed for.
        """
        asked = dict.fromkeys(references)
        self._pinned = frozenset(reference for reference, pinned in asked if pinned)
        searched = [reference for reference, _ in asked if not is_full_id(reference)]
        if searched:
            self._scan_for(searched)
        full = [(reference, pinned) for reference, pinned in asked if is_full_id(reference)]
        if self._is_scan_cheaper(self._library.due(self._meant(full))):
            self._try_scan()
        meant = self._meant(full)
        self._library.look_up(meant)
        # What is no stage's id may be a signature or an older id.
        unknown = [each.reference for each in meant if self._library.known(each) is None]
        if unknown:
            self._scan_for(list(dict.fromkeys(unknown)))

    def active_with_signature(self, reference: str) -> Sequence[Entry]:
        """See `Catalogue`."""
        if not is_full_id(reference):
            return ()
        candidates = self._seen_with_signature(reference)
        self._library.look_up(candidates)
        ends = [self._end_of_succession(candidate) for candidate in candidates]
        found = [
            _entry(known)
            for known in ends
            if known is not None
            and isinstance(known.lifecycle, Active)
            and known.stage.signature_id == reference
        ]
        if found:
            return found
        if not candidates and self._library.known(self._wanted(reference)) is not None:
            return ()
        rows = self._find(Column.SIGNATURE, reference)
        return [self._row_entry(row) for row in rows if isinstance(row.lifecycle, Active)]

    def with_id(self, reference: str) -> Entry | None:
        """See `Catalogue`."""
        if not is_full_id(reference):
            return None
        known = self._library.known(self._wanted(reference))
        return None if known is None else _entry(known)

    def with_id_prefix(self, prefix: str) -> Sequence[Entry]:
        """See `Catalogue`. Only Active stages can be found by the beginning of their id."""
        if len(prefix) >= _ID_LENGTH:
            return ()
        return [self._row_entry(row) for row in self._find(Column.ID_PREFIX, prefix)]

    def with_name(self, name: str) -> Sequence[Entry]:
        """See `Catalogue`. Only Active stages can be found by name."""
        return [self._row_entry(row) for row in self._find(Column.NAME, name)]

    def with_legacy_id(self, reference: str) -> Sequence[Entry]:
        """See `Catalogue`. Only Active stages can be found by an older id."""
        return [self._row_entry(row) for row in self._find(Column.LEGACY_PREFIX, reference)]

    def stage(self, stage_id: str) -> Stage:
        """See `StageStore`."""
        stage = self._library.stage(stage_id) if is_full_id(stage_id) else None
        if stage is None:
            raise StageMissingError(stage_id)
        if self._policy.mode == "signed":
            verify(stage, self._policy)
        return stage

    def _wanted(self, reference: str) -> Wanted:
        return Wanted(reference, reference, reference in self._pinned)

    def _meant(self, references: Iterable[tuple[str, bool]]) -> list[Wanted]:
        """The ids that full references may mean, as far as the last scan tells."""
        meant: list[Wanted] = []
        for reference, pinned in references:
            own = Wanted(reference, reference, pinned)
            meant += [own] if pinned else self._seen_with_signature(reference) or [own]
        return meant

    def _seen_with_signature(self, reference: str) -> list[Wanted]:
        rows = self._index.glance(Column.SIGNATURE, reference)
        return [Wanted(row.id, reference) for row in rows if row.id and is_full_id(row.id)]

    def _end_of_succession(self, wanted: Wanted) -> Known | None:
        """Where the successors of a stage end; None when they lead nowhere."""
        known = self._library.known(wanted)
        for _ in range(MOST_HOPS):
            if known is None or not isinstance(known.lifecycle, Deprecated):
                return known
            successor = known.lifecycle.successor_id
            if not is_full_id(successor):
                return None
            known = self._library.known(Wanted(successor, wanted.reference))
        return None

    def _is_scan_cheaper(self, due: int) -> bool:
        """One scan instead of single requests, where those were clearly more (§8.6)."""
        last = self._index.last()
        total = _ASSUMED_TOTAL if last is None else last.total
        return due > 2 * math.ceil(total / self._settings.page_limit)

    def _try_scan(self) -> None:
        try:
            self._index.current()
        except NoAnswerError:
            return

    def _scan_for(self, references: Sequence[str]) -> None:
        try:
            self._index.current()
        except NoAnswerError as failure:
            shown = self._client.address.shown
            raise RegistryUnavailableError(shown, failure.reason, references) from None

    def _find(self, column: Column, text: str) -> Sequence[Row]:
        self._scan_for([text])
        return self._index.find(column, text)

    def _row_entry(self, row: Row) -> Entry:
        scan = self._index.current()
        source = SOURCE if scan.is_own else cache_source(scan.age(self._index.now()))
        return Entry(row.id or "", row.signature_id, row.name, row.lifecycle, source)


def _entry(known: Known) -> Entry:
    stage = known.stage
    return Entry(stage.id, stage.signature_id, stage.name, known.lifecycle, known.source)
