"""A store over the standard library (`stages.md` §5.3): the file has the first word.

A record of the file with the id of a standard stage stands for it, whatever its state, so a
Tombstone takes the stage away. An Active stage of the file wins a signature or a name.
"""

from collections.abc import Sequence

from noether_runner.graph.catalogue import Entry, KnowsDeprecated
from noether_runner.stages.lifecycle import Active
from noether_runner.stages.stage import Stage
from noether_runner.stores.store import StageStore


class LayeredStore:
    """Asks `upper` first and `lower` where that has nothing to say."""

    def __init__(self, upper: StageStore, lower: StageStore) -> None:
        self._upper = upper
        self._lower = lower

    @property
    def warnings(self) -> Sequence[str]:
        """Those of both layers."""
        return (*self._upper.warnings, *self._lower.warnings)

    def active_with_signature(self, reference: str) -> Sequence[Entry]:
        """See `Catalogue`."""
        above = self._upper.active_with_signature(reference)
        return above or self._below(self._lower.active_with_signature(reference))

    def deprecated_with_signature(self, reference: str) -> Sequence[Entry]:
        """See `KnowsDeprecated`."""
        if isinstance(self._upper, KnowsDeprecated):
            return self._upper.deprecated_with_signature(reference)
        return ()

    def with_id(self, reference: str) -> Entry | None:
        """See `Catalogue`."""
        return self._upper.with_id(reference) or self._lower.with_id(reference)

    def with_id_prefix(self, prefix: str) -> Sequence[Entry]:
        """See `Catalogue`."""
        above = self._upper.with_id_prefix(prefix)
        return [*above, *self._below(self._lower.with_id_prefix(prefix))]

    def with_name(self, name: str) -> Sequence[Entry]:
        """See `Catalogue`."""
        above = self._upper.with_name(name)
        if any(isinstance(entry.lifecycle, Active) for entry in above):
            return above
        return [*above, *self._below(self._lower.with_name(name))]

    def with_legacy_id(self, reference: str) -> Sequence[Entry]:
        """See `Catalogue`. A standard stage keeps its old ids where the file has a record of it."""
        above = self._upper.with_legacy_id(reference)
        below = self._lower.with_legacy_id(reference)
        return [*above, *(self._upper.with_id(entry.id) or entry for entry in below)]

    def stage(self, stage_id: str) -> Stage:
        """See `StageStore`."""
        layer = self._upper if self._upper.with_id(stage_id) is not None else self._lower
        return layer.stage(stage_id)

    def _below(self, entries: Sequence[Entry]) -> list[Entry]:
        return [entry for entry in entries if self._upper.with_id(entry.id) is None]
