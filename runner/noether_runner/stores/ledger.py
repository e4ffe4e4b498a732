"""The stages of a store file in memory, and the operations that change them (`stages.md` §4).

Nothing here touches a file: `writing.py` reads a ledger, lets it be changed and writes it back.
An operation that is refused changes nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import orjson

from noether_contract.outcomes import ErrorCode
from noether_runner.errors import RunnerError
from noether_runner.stages.lifecycle import (
    Active,
    Deprecated,
    Lifecycle,
    lifecycle_text,
    may_become,
)
from noether_runner.stages.stage import Stage, write_stage
from noether_runner.stores.content import EMPTY, Content, Record, problem_text

RefusalKind = Literal["AlreadyExists", "NotFound", "InvalidTransition", "InvalidSuccessor"]


class RefusedError(RunnerError):
    """An operation that the rules of the lifecycle forbid; nothing was changed."""

    def __init__(self, kind: RefusalKind, message: str) -> None:
        super().__init__(ErrorCode.BAD_REQUEST, message)
        self.kind = kind


class Ledger:
    """The records of one store. Entries that cannot be read are kept, word for word.

    `is_changed` tells whether any operation went through.
    """

    def __init__(self, content: Content = EMPTY) -> None:
        self._content = content
        self._stages: dict[str, Stage] = {}
        self._places: dict[str, int] = {}
        self._by_signature: dict[str, set[str]] = {}
        self._unreadable: list[tuple[int, Record]] = []
        for place, record in enumerate(content.records):
            if record.stage is None:
                self._unreadable.append((place, record))
            else:
                self._keep(record.stage)
                self._places[record.stage.id] = place
        self.is_changed = False

    @property
    def problems(self) -> Sequence[str]:
        """A sentence for every record that cannot be read."""
        return [problem_text(record, place) for place, record in self._unreadable]

    def __iter__(self) -> Iterator[Stage]:
        return iter(self._stages.values())

    def get(self, stage_id: str) -> Stage | None:
        """The stage of exactly this id."""
        return self._stages.get(stage_id)

    def problem_with(self, stage_id: str) -> str | None:
        """A sentence when there is a record of this id that cannot be read."""
        for place, record in self._unreadable:
            if record.id == stage_id:
                return problem_text(record, place)
        return None

    def active_with_signature(self, signature_id: str) -> Sequence[Stage]:
        """The Active stages of a signature by id: the first one is the one that it stands for."""
        stages = [self._stages[each] for each in sorted(self._by_signature.get(signature_id, ()))]
        return [stage for stage in stages if isinstance(stage.lifecycle, Active)]

    def put(self, stage: Stage) -> Sequence[Stage]:
        """Adds a stage; an Active one deprecates the others of its signature, which are given back.

        Refuses (`AlreadyExists`) an id that is there, also one whose record cannot be read.
        """
        problem = self.problem_with(stage.id)
        if problem is not None:
            raise RefusedError("AlreadyExists", f"{problem}; mend or remove that record first")
        if stage.id in self._stages:
            raise RefusedError("AlreadyExists", f"stage {stage.id} is in the store already")
        return self.upsert(stage)

    def upsert(self, stage: Stage) -> Sequence[Stage]:
        """Adds or replaces a whole record without asking how its state came about."""
        self._unreadable = [each for each in self._unreadable if each[1].id != stage.id]
        self._keep(stage)
        self.is_changed = True
        return self._deprecate_others(stage) if isinstance(stage.lifecycle, Active) else ()

    def update_lifecycle(self, stage_id: str, wanted: Lifecycle) -> Sequence[Stage]:
        """Moves a stage on; gives back the stages that this deprecated besides."""
        stage = self._existing(stage_id)
        if not may_become(stage.lifecycle, wanted):
            now, then = lifecycle_text(stage.lifecycle), lifecycle_text(wanted)
            message = f"invalid lifecycle transition: {now} → {then} (stage {stage.label})"
            if isinstance(wanted, Active):
                message += "; only a Draft can be activated"
            raise RefusedError("InvalidTransition", message)
        if isinstance(wanted, Deprecated):
            self._check_successor(stage, wanted)
        return self.upsert(replace(stage, lifecycle=wanted))

    def reactivate(self, stage_id: str) -> Sequence[Stage]:
        """Makes a Deprecated stage Active again and deprecates the others of its signature.

        An administrative operation that the ordinary transitions do not have (§4.1).
        """
        stage = self._existing(stage_id)
        if not isinstance(stage.lifecycle, Deprecated):
            now = lifecycle_text(stage.lifecycle)
            message = f"only a Deprecated stage can be reactivated; {stage_id} is {now}"
            raise RefusedError("InvalidTransition", message)
        return self.upsert(replace(stage, lifecycle=Active()))

    def remove(self, stage_id: str) -> None:
        """Takes a stage out; one that is not there is fine, successors may dangle."""
        stage = self._stages.pop(stage_id, None)
        if stage is not None:
            self._by_signature.get(stage.signature_id or "", set()).discard(stage_id)
            self.is_changed = True

    def successor_warnings(self, successor: str, of: Stage) -> Iterator[str]:
        """What is odd, though allowed, about a successor."""
        found = self._stages.get(successor)
        if found is None:
            return
        if not isinstance(found.lifecycle, Active):
            yield f"the successor {successor} is {lifecycle_text(found.lifecycle)}, not Active"
        if found.signature_id != of.signature_id:
            yield f"the successor {successor} has another signature than {of.id}"

    def text(self) -> bytes:
        """The store file: stages by id, two-space indent, no newline at the end."""
        last = len(self._content.records)
        entries: list[tuple[str, int, object]] = [
            (stage.id, self._places.get(stage.id, last), write_stage(stage)) for stage in self
        ]
        if self._unreadable:
            texts = self._content.record_texts()
            entries += [
                (record.id or "", place, orjson.Fragment(texts[place]))
                for place, record in self._unreadable
            ]
        # Of two records with one id the later one counts: they keep their order.
        entries.sort(key=lambda entry: entry[:2])
        document = {"stages": [entry[2] for entry in entries], **self._content.extra}
        return orjson.dumps(document, option=orjson.OPT_INDENT_2)

    def _keep(self, stage: Stage) -> None:
        before = self._stages.get(stage.id)
        if before is not None and before.signature_id is not None:
            self._by_signature[before.signature_id].discard(stage.id)
        self._stages[stage.id] = stage
        if stage.signature_id is not None:
            self._by_signature.setdefault(stage.signature_id, set()).add(stage.id)

    def _existing(self, stage_id: str) -> Stage:
        stage = self._stages.get(stage_id)
        if stage is None:
            problem = self.problem_with(stage_id)
            raise RefusedError("NotFound", problem or f"no stage has the id {stage_id}")
        return stage

    def _check_successor(self, stage: Stage, wanted: Deprecated) -> None:
        if wanted.successor_id == stage.id:
            message = f"stage {stage.id} cannot be its own successor"
            raise RefusedError("InvalidSuccessor", message)
        if wanted.successor_id not in self._stages:
            message = f"the successor {wanted.successor_id} is not in the store"
            raise RefusedError("InvalidSuccessor", message)

    def _deprecate_others(self, stage: Stage) -> Sequence[Stage]:
        if stage.signature_id is None:
            return ()
        active = self.active_with_signature(stage.signature_id)
        others = [other for other in active if other.id != stage.id]
        for other in others:
            self._keep(replace(other, lifecycle=Deprecated(stage.id)))
        return others
