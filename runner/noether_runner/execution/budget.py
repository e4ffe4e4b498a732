"""The cost budget of one run, shared by all its branches (`graph.md` §4.6)."""

import threading

from noether_contract.lean_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that would cross the limit: what was spent before it, and what it costs."""

    spent_cents: int
    limit_cents: int
    cost_cents: int


class Budget:
    """Counts cents before they are spent; a call that would cross the limit reserves nothing.

    Nothing is ever given back: a stage that fails has cost its money. Without a limit it only
    counts.
    """

    def __init__(self, limit_cents: int | None) -> None:
        self.limit_cents = limit_cents
        self._spent_cents = 0
        self._lock = threading.Lock()

    @property
    def spent_cents(self) -> int:
        """What has been reserved so far."""
        return self._spent_cents

    def reserve(self, cost_cents: int) -> Refusal | None:
        """Reserves the cost of one call, or says why not."""
        limit = self.limit_cents
        with self._lock:
            if limit is not None and self._spent_cents + cost_cents > limit:
                return Refusal(self._spent_cents, limit, cost_cents)
            self._spent_cents += cost_cents
            return None
