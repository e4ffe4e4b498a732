"""The questions that resolution asks about stages; stores answer them (`graph.md` §3.6)."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from noether_contract.lean_dataclass import dataclass
from noether_runner.stages.lifecycle import Lifecycle


@dataclass(frozen=True, slots=True)
class Entry:
    """What resolution must know of a stage; `source` names the store that has it."""

    id: str
    signature_id: str | None
    name: str | None
    lifecycle: Lifecycle
    source: str


class Catalogue(Protocol):
    """Where stages are looked up; each question is about all stages, whatever their lifecycle,
    unless its name says otherwise. Answers may come in any order."""

    def active_with_signature(self, reference: str) -> Sequence[Entry]:
        """Active stages whose signature id equals the reference."""
        ...

    def with_id(self, reference: str) -> Entry | None:
        """The stage of exactly this id."""
        ...

    def with_id_prefix(self, prefix: str) -> Sequence[Entry]:
        """Stages whose id begins with these characters; case counts."""
        ...

    def with_name(self, name: str) -> Sequence[Entry]:
        """Stages of exactly this name."""
        ...

    def with_legacy_id(self, reference: str) -> Sequence[Entry]:
        """Stages that an older scheme called so, or by an id that begins so (`stages.md` §2.5)."""
        ...


@runtime_checkable
class KnowsDeprecated(Protocol):
    """A catalogue that can also say whom a signature used to stand for; used for a hint only."""

    def deprecated_with_signature(self, reference: str) -> Sequence[Entry]:
        """Deprecated stages whose signature id equals the reference."""
        ...
