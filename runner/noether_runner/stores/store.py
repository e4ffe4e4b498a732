"""What a run asks of a store, and how a store says that it cannot answer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from noether_contract.outcomes import ErrorCode
from noether_runner.errors import RunnerError
from noether_runner.graph.catalogue import Catalogue
from noether_runner.stages.stage import Stage


class StageStore(Catalogue, Protocol):
    """A catalogue that can also give out its stages. One instance is one snapshot for one run."""

    def stage(self, stage_id: str) -> Stage:
        """The stage of exactly this id, verified (`stages.md` §3.4).

        Raises `StoreError` when the record cannot be read, `StageRefusedError` when it does not
        prove what it must, `StageMissingError` when there is none.
        """
        ...

    @property
    def warnings(self) -> Sequence[str]:
        """What a person should know of the store; grows while stages are given out."""
        ...


class StoreError(RunnerError):
    """A store, or one record of it, cannot be read or written. The message begins with the path."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(ErrorCode.STORE_UNREADABLE, f"store {path.absolute()}: {reason}")
        self.store_path = path
        self.reason = reason


class StageMissingError(RunnerError):
    """No stage of this store has the id."""

    def __init__(self, stage_id: str) -> None:
        super().__init__(ErrorCode.STAGE_NOT_FOUND, f"no stage has the id {stage_id}")
        self.stage_id = stage_id


def reason_of(error: OSError) -> str:
    """The operating system's own short text for an error."""
    return error.strerror or type(error).__name__
