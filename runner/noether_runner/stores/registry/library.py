"""Stages by id, from the cache where that is allowed and from the registry where it is not.

The content of a stage never changes, so a cached record serves for ever. Its state may change, and
counts for as long as `settings.py` says; while the registry cannot be asked it counts longer, with
a warning.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field, replace

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass
from noether_runner.stages.errors import RecordError
from noether_runner.stages.lifecycle import Lifecycle
from noether_runner.stages.stage import Stage
from noether_runner.stages.verify import Finding, StageRefusedError
from noether_runner.stores.registry.active import ActiveIndex
from noether_runner.stores.registry.client import (
    NoAnswerError,
    NotModified,
    Question,
    RegistryClient,
    Reply,
)
from noether_runner.stores.registry.envelope import NotFound, Result
from noether_runner.stores.registry.errors import (
    CacheCorruptError,
    RecordUnreadableError,
    RegistryUnavailableError,
)
from noether_runner.stores.registry.facts import Fact, age_words
from noether_runner.stores.registry.proven import Cached, ProvenRecords, is_older
from noether_runner.stores.registry.settings import Settings

SOURCE = "registry"
"""How the trace says that the registry itself answered, in this run."""

_FULL_ID = re.compile(r"[0-9a-f]{64}")


def is_full_id(reference: str) -> bool:
    """Whether the text has the form of a stage or signature id."""
    return _FULL_ID.fullmatch(reference) is not None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A stage by its id; `reference` is how the graph names it, `pinned` that it names this one."""

    id: str
    reference: str
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """A stage and its state, for the rest of the run. `source` goes into the trace."""

    stage: Stage
    lifecycle: Lifecycle
    source: str


@dataclass(slots=True)
class _Outage:
    """Stages that had to be served from the cache: their labels, the greatest age, the reason."""

    reason: str = ""
    oldest: float = 0.0
    labels: list[str] = field(default_factory=list)


class Library:
    """Stages by id. What was found out once holds for the whole run."""

    def __init__(
        self,
        client: RegistryClient,
        records: ProvenRecords,
        index: ActiveIndex,
        settings: Settings,
        now: Callable[[], float],
    ) -> None:
        self._client = client
        self._records = records
        self._index = index
        self._settings = settings
        self._now = now
        self._known: dict[str, Known | None] = {}
        self._stages: dict[str, Stage] = {}
        self._outage = _Outage()

    def warnings(self) -> Iterator[str]:
        """Stages of older schemes, mended damage, and what was served although it is old."""
        yield from self._records.remarks
        if self._outage.labels:
            yield (
                f"registry {self._client.address.shown} cannot be asked ({self._outage.reason}): "
                f"served from the cache, up to {age_words(self._outage.oldest)} old: "
                f"{', '.join(sorted(self._outage.labels))}"
            )

    def known(self, wanted: Wanted) -> Known | None:
        """The stage of an id with its state; None when the registry has none."""
        self.look_up([wanted])
        return self._known[wanted.id]

    def due(self, wanted: Sequence[Wanted]) -> int:
        """For how many of them the registry has to be asked."""
        return len(self._not_fresh(wanted))

    def look_up(self, wanted: Sequence[Wanted]) -> None:
        """Finds out about several ids at once.

        Raises `RegistryUnavailableError`, `CacheCorruptError`, `RecordUnreadableError` or
        `StageRefusedError`.
        """
        asked = self._not_fresh(wanted)
        replies = self._client.ask_all([_question(cached) for _, cached in asked])
        missing: list[tuple[Wanted, NoAnswerError]] = []
        for (each, cached), reply in zip(asked, replies, strict=True):
            if isinstance(reply, Reply):
                self._take(cached, reply)
            elif not self._serve_stale(each, cached, reply):
                missing.append((each, reply))
        if missing:
            raise self._unavailable(missing)

    def stage(self, stage_id: str) -> Stage | None:
        """The proven content of a stage, whatever its state; None when the registry has none."""
        if stage_id in self._stages:
            return self._stages[stage_id]
        wanted = Wanted(stage_id, stage_id, pinned=True)
        cached = self._cached(wanted)
        if cached.stage is not None:
            return self._stages.setdefault(stage_id, cached.stage)
        known = self.known(wanted)
        return None if known is None else known.stage

    def _not_fresh(self, wanted: Sequence[Wanted]) -> list[tuple[Wanted, Cached]]:
        """What is neither known in this run nor fresh in the cache, each id once."""
        found: dict[str, tuple[Wanted, Cached]] = {}
        for each in wanted:
            if each.id in self._known or each.id in found:
                continue
            cached = self._cached(each)
            if not self._take_fresh(each, cached):
                found[each.id] = each, cached
        return list(found.values())

    def _take_fresh(self, wanted: Wanted, cached: Cached) -> bool:
        stage, fact = cached.stage, cached.fact
        # A stage that was not there is asked for again: somebody may be about to register it.
        if stage is None or fact is None or fact.lifecycle is None or self._is_due(wanted, cached):
            return False
        self._remember(stage, fact.lifecycle, self._source(fact))
        return True

    def _cached(self, wanted: Wanted) -> Cached:
        """What cache and index have of a stage; the newer one tells its state."""
        cached = self._records.read(wanted.id)
        # A scan that this run uses anyway must not say otherwise; another is not opened for it.
        scan = self._index.last() if self._is_due(wanted, cached) else self._index.in_use
        if scan is not None and (cached.stage is None or is_older(cached.fact, scan.seen_at)):
            record = self._index.record(wanted.id)
            if record is not None:
                self._take_from_index(cached, record, scan.seen_at)
        return cached

    def _is_due(self, wanted: Wanted, cached: Cached) -> bool:
        settings = self._settings
        seconds = settings.pinned_seconds if wanted.pinned else settings.state_seconds
        fact = cached.fact
        return cached.stage is None or fact is None or not fact.is_fresh(self._now(), seconds)

    def _take_from_index(self, cached: Cached, record: JsonValue, seen_at: float) -> None:
        """Adopts a record that a scan brought, unless it proves nothing: then it is asked for."""
        try:
            self._records.adopt(cached, record, seen_at)
        except RecordError:
            return
        except StageRefusedError as refusal:
            if refusal.kind is Finding.LANGUAGE_CHANGED:
                raise

    def _take(self, cached: Cached, reply: Reply) -> None:
        now = self._now()
        match reply.meaning:
            case NotFound():
                self._records.note(cached, Fact(None, None, now))
                self._known[cached.id] = None
            case NotModified():
                stage, fact = cached.stage, cached.fact
                assert stage is not None
                assert fact is not None
                assert fact.lifecycle is not None
                self._records.note(cached, replace(fact, seen_at=now))
                self._remember(stage, fact.lifecycle, SOURCE)
            case Result(record):
                try:
                    stage = self._records.keep(cached, record, now, reply.etag)
                except RecordError as error:
                    shown = self._client.address.shown
                    raise RecordUnreadableError(shown, cached.id, error.message) from None
                self._remember(stage, stage.lifecycle, SOURCE)

    def _serve_stale(self, wanted: Wanted, cached: Cached, failure: NoAnswerError) -> bool:
        """Makes do with what the cache has, where that is allowed."""
        stage, fact = cached.stage, cached.fact
        if fact is None or (stage is None and fact.lifecycle is not None):
            return False
        age = fact.age(self._now())
        is_absent = stage is None or fact.lifecycle is None
        if age > self._settings.stale_on_error_seconds and (is_absent or not wanted.pinned):
            return False
        if stage is None or fact.lifecycle is None:
            self._known[wanted.id] = None
            return True
        self._remember(stage, fact.lifecycle, self._source(fact))
        self._outage.reason = failure.reason
        self._outage.oldest = max(self._outage.oldest, age)
        self._outage.labels.append(stage.label)
        return True

    def _unavailable(
        self, missing: Sequence[tuple[Wanted, NoAnswerError]]
    ) -> RegistryUnavailableError | CacheCorruptError:
        shown = self._client.address.shown
        for wanted, failure in missing:
            damage = self._records.damage(wanted.id)
            if damage is not None:
                return CacheCorruptError(shown, wanted.id, damage, failure.reason)
        references = list(dict.fromkeys(wanted.reference for wanted, _ in missing))
        return RegistryUnavailableError(shown, missing[0][1].reason, references)

    def _source(self, fact: Fact) -> str:
        scan = self._index.in_use
        if scan is not None and scan.is_own and fact.seen_at >= scan.seen_at:
            return SOURCE
        return cache_source(fact.age(self._now()))

    def _remember(self, stage: Stage, lifecycle: Lifecycle, source: str) -> None:
        self._known[stage.id] = Known(stage, lifecycle, source)
        self._stages[stage.id] = stage


def cache_source(age: float) -> str:
    """How the trace says that an answer came from the cache; `age` in seconds."""
    return f"cache, {age_words(age)} old"


def _question(cached: Cached) -> Question:
    fact = cached.fact
    is_usable = cached.stage is not None and fact is not None and fact.lifecycle is not None
    etag = fact.etag if fact is not None and is_usable else None
    return Question(f"/stages/{cached.id}", etag=etag)
