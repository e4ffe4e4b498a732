"""The memory of pure stage calls within one run (`graph.md` §4.5).

Used by the run's own line of execution only, never inside branches and bindings; so it needs no
lock, and its counts do not depend on timing.
"""

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Remembered:
    """The result of an earlier call and its value hash."""

    output: JsonValue
    output_hash: str


class Memo:
    """Results by stage and argument hash; `hits` and `misses` count the questions asked."""

    def __init__(self) -> None:
        self._results: dict[tuple[str, str], Remembered] = {}
        self.hits = 0
        self.misses = 0

    def recall(self, stage_id: str, input_hash: str) -> Remembered | None:
        """The result of the same call, if it was made before and succeeded."""
        found = self._results.get((stage_id, input_hash))
        if found is None:
            self.misses += 1
        else:
            self.hits += 1
        return found

    def keep(self, stage_id: str, input_hash: str, result: Remembered) -> None:
        """Remembers a successful call."""
        self._results[stage_id, input_hash] = result
