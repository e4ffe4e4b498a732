"""What a standard stage in the runner can reach of its run: one object a call."""

import contextlib
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import field

from noether_contract.lean_dataclass import dataclass
from noether_runner.builtins.surroundings import (
    CutShortError,
    Processes,
    StageCalls,
    StageSource,
    UncertainError,
)
from noether_runner.errors import RunnerError
from noether_runner.execution.calls import StageCall
from noether_runner.execution.stopping import must_stop
from noether_runner.graph.catalogue import Entry
from noether_runner.nested_calls import Execute, Neighbourhood, NestedCalls
from noether_runner.nested_record import NestedRecord
from noether_runner.run_processes import RunProcesses, stage_timed_out
from noether_runner.sandbox.cancellation import Cancellation
from noether_runner.stages.lifecycle import Active
from noether_runner.stages.stage import Stage
from noether_runner.stores.store import StageStore

_HEX = re.compile(r"[0-9a-fA-F]{4,}")


@dataclass(frozen=True, slots=True)
class RunReach:
    """The `Reach` of one call; keeps the record of what the stage calls in turn."""

    neighbourhood: Neighbourhood
    execute: Execute
    call: StageCall
    depth: int
    cancellation: Cancellation
    run_processes: RunProcesses
    stage_seconds: float
    record: NestedRecord
    notes: dict[str, None] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def go_on(self) -> None:
        """See `Reach`."""
        if must_stop(self.cancellation):
            raise CutShortError
        if time.monotonic() - self.began > self.stage_seconds:
            raise stage_timed_out(self.stage_seconds)

    @property
    def calls(self) -> StageCalls:
        """See `Reach`."""
        return NestedCalls(
            self.neighbourhood,
            self.execute,
            self.call,
            self.depth,
            self.cancellation,
            self.record,
            self.notes,
        )

    @property
    def stages(self) -> StageSource:
        """See `Reach`."""
        return StoreStages(self.neighbourhood.store)

    @property
    def processes(self) -> Processes:
        """See `Reach`."""
        return self.run_processes.for_call(self.cancellation, self.stage_seconds)

    @property
    def warnings(self) -> list[str]:
        """What was noticed while other stages were called."""
        told = self.record.warning
        return [*self.notes, *([told] if told else [])]


@dataclass(frozen=True, slots=True)
class StoreStages:
    """The `StageSource` over the store of a run."""

    store: StageStore

    def find(self, reference: str) -> Stage | None:
        """See `StageSource`. The order is that of the resolver (`graph.md` §3.6)."""
        entry = self._entry(reference)
        if entry is None:
            return None
        try:
            return self.store.stage(entry.id)
        except RunnerError as error:
            raise UncertainError(error.message) from None

    def _entry(self, reference: str) -> Entry | None:
        active = self.store.active_with_signature(reference)
        if active:
            return min(active, key=_id_of)
        exact = self.store.with_id(reference)
        if exact is not None:
            return exact
        is_hex = _HEX.fullmatch(reference) is not None
        by_prefix = self.store.with_id_prefix(reference) if is_hex else ()
        named = self.store.with_name(reference)
        in_use = [entry for entry in named if isinstance(entry.lifecycle, Active)]
        older = self.store.with_legacy_id(reference) if is_hex else ()
        return _only(by_prefix or in_use or named or older, reference)

    def all(self) -> Iterator[Stage]:
        """See `StageSource`."""
        for stage_id in sorted({entry.id for entry in self.store.with_id_prefix("")}):
            with contextlib.suppress(RunnerError):
                yield self.store.stage(stage_id)


def _id_of(entry: Entry) -> str:
    return entry.id


def _only(entries: Iterable[Entry], reference: str) -> Entry | None:
    distinct = {entry.id: entry for entry in entries}
    if len(distinct) > 1:
        raise UncertainError(f'{len(distinct)} stages could be meant by "{reference}"')
    return next(iter(distinct.values()), None)
