"""How a registry and its cache fail a run."""

from collections.abc import Sequence

from noether_contract.outcomes import ErrorCode
from noether_runner.errors import RunnerError

_LISTED = 10


class RegistryUnavailableError(RunnerError):
    """The registry cannot be asked, and the cache has no answer that will do.

    `references` are those of the graph that cannot be followed without it.
    """

    def __init__(self, registry: str, reason: str, references: Sequence[str]) -> None:
        named = ", ".join(f'"{each}"' for each in references[:_LISTED])
        more = len(references) - _LISTED
        if more > 0:
            named += f" and {more} more"
        message = (
            f"registry_unavailable: the registry {registry} cannot be asked ({reason}), and the "
            f"cache has nothing that will do for {named}; no other store was tried"
        )
        super().__init__(ErrorCode.REGISTRY_UNAVAILABLE, message)
        self.references = tuple(references)
        self.reason = reason


class CacheCorruptError(RunnerError):
    """A cached record is damaged, and the registry cannot be asked for another copy."""

    def __init__(self, registry: str, stage_id: str, what: str, reason: str) -> None:
        message = (
            f"cache_corrupt: the cached record of stage {stage_id} is damaged ({what}), and the "
            f"registry {registry} cannot be asked for it again ({reason})"
        )
        super().__init__(ErrorCode.CACHE_CORRUPT, message)
        self.stage_id = stage_id


class RecordUnreadableError(RunnerError):
    """The registry has a record of a stage, but it is none that this version can read."""

    def __init__(self, registry: str, stage_id: str, reason: str) -> None:
        message = f"registry {registry}: the stage {stage_id} cannot be read: {reason}"
        super().__init__(ErrorCode.STORE_UNREADABLE, message)
        self.stage_id = stage_id
