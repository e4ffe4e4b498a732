"""Cached records that have proved what they are (`stages.md` §8.4).

A record is proved at every reading and before it is stored: its content has its id and its code
its hash (§3.4, steps 1 to 3), and its language, which no hash covers, is the one known so far.
What the cache has of it otherwise is damage: moved aside, and told once it is mended.
"""

import orjson

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass
from noether_runner.stages.errors import RecordError
from noether_runner.stages.stage import Stage, read_stage, read_stage_text
from noether_runner.stages.verify import Finding, Policy, StageRefusedError, verify
from noether_runner.stores.registry.cache import Cache
from noether_runner.stores.registry.facts import Fact

_CONTENT = Policy("content")


@dataclass(slots=True)
class Cached:
    """What the cache has of a stage: proven content, and what was last seen of its state."""

    id: str
    stage: Stage | None = None
    fact: Fact | None = None

    @property
    def language_is_known(self) -> bool:
        """Whether there is a language that a record must have."""
        return self.stage is not None or (self.fact is not None and self.fact.lifecycle is not None)

    @property
    def language(self) -> str | None:
        """The language known so far."""
        if self.stage is not None:
            return self.stage.language
        return None if self.fact is None else self.fact.language


def is_older(fact: Fact | None, seen_at: float) -> bool:
    """Whether something seen at that instant tells more than the fact."""
    return fact is None or fact.seen_at < seen_at


class ProvenRecords:
    """Reads and stores records of one registry's cache."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._damage: dict[str, str] = {}
        self.remarks: dict[str, None] = {}
        """What a person should know of records given out, each sentence once."""

    def read(self, stage_id: str) -> Cached:
        """What there is of a stage; a record that proves nothing is moved aside."""
        cached = Cached(stage_id, fact=self._cache.fact(stage_id))
        text = self._cache.record(stage_id)
        if text is None:
            return cached
        try:
            cached.stage = self._proven(cached, read_stage_text(text))
        except (RecordError, StageRefusedError) as error:
            aside = self._cache.set_aside(stage_id)
            self._damage[stage_id] = f"{error.message}; it lies in {aside}"
        return cached

    def keep(self, cached: Cached, record: JsonValue, now: float, etag: str | None) -> Stage:
        """Proves and stores what the registry just answered.

        Raises `RecordError` or `StageRefusedError`, and stores nothing then.
        """
        stage = self._store(cached, record)
        self.note(cached, Fact(stage.lifecycle, stage.language, now, etag))
        return stage

    def adopt(self, cached: Cached, record: JsonValue, seen_at: float) -> None:
        """The same for a record that was seen some time ago; newer facts stay."""
        stage = self._store(cached, record)
        if is_older(cached.fact, seen_at):
            self.note(cached, Fact(stage.lifecycle, stage.language, seen_at))

    def note(self, cached: Cached, fact: Fact) -> None:
        """Stores what was seen of a stage's state."""
        self._cache.note(cached.id, fact)
        cached.fact = fact

    def damage(self, stage_id: str) -> str | None:
        """What was wrong with a record that no other one has replaced yet."""
        return self._damage.get(stage_id)

    def _store(self, cached: Cached, record: JsonValue) -> Stage:
        stage = self._proven(cached, read_stage(record))
        self._cache.keep(stage.id, orjson.dumps(record))
        cached.stage = stage
        damage = self._damage.pop(stage.id, None)
        if damage is not None:
            again = f"the cached record of stage {stage.label} was damaged and was fetched again"
            self.remarks[f"{again} ({damage})"] = None
        return stage

    def _proven(self, cached: Cached, stage: Stage) -> Stage:
        if stage.id != cached.id:
            message = f"stage {cached.id} is refused: its record has the id {stage.id}"
            raise StageRefusedError(Finding.ID_MISMATCH, cached.id, message)
        remarks = verify(stage, _CONTENT)
        if cached.language_is_known and stage.language != cached.language:
            message = (
                f"stage {stage.label} ({stage.id[:8]}) is refused: its record says that it is "
                f"written in {stage.language}, but it was known as {cached.language}; no hash "
                f"covers the language, so a change of it is not believed. If it is meant, remove "
                f"the cache {self._cache.folder}"
            )
            raise StageRefusedError(Finding.LANGUAGE_CHANGED, stage.id, message)
        self.remarks.update(dict.fromkeys(remarks))
        return stage
