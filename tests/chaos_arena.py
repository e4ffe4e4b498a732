"""Where chaos scenarios run: several at a time, since each of them mostly waits.

A scenario is a function of a `Place` and a random number generator; it returns its `Account`.
`beside_others` makes it a test: the first test to run starts the scenarios of all that were
selected, and each waits for its own. `NOETHER_CHAOS_KILLS` says how violent they are,
`NOETHER_CHAOS_SEED` repeats what was done by chance.
"""

import os
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from busy_place import Account, prepare
from process_watch import nothing_left
from running_service import Place

KILLS = int(os.environ.get("NOETHER_CHAOS_KILLS", "10"))
SEED = int(os.environ.get("NOETHER_CHAOS_SEED", random.randrange(2**32)))
AT_ONCE = int(os.environ.get("NOETHER_CHAOS_AT_ONCE", "5"))

Scenario = Callable[[Place, random.Random], Account]

ACCOUNTS: list[Account] = []
"""Of the scenarios that have ended well."""

_SCENARIOS: dict[object, Scenario] = {}


class Arena:
    """The scenarios of a session, under way or over."""

    def __init__(self, outcomes: dict[Scenario, "Future[Account]"]) -> None:
        self._outcomes = outcomes

    def outcome(self, scenario: Scenario) -> None:
        """Waits for the end of a scenario, and fails as it did."""
        ACCOUNTS.append(self._outcomes[scenario].result())


def beside_others(scenario: Scenario) -> Callable[[Arena], None]:
    """The test of a scenario, which runs beside those of others."""

    def test(arena: Arena) -> None:
        arena.outcome(scenario)

    test.__name__, test.__doc__ = scenario.__name__, scenario.__doc__
    test.__module__ = scenario.__module__
    _SCENARIOS[test] = scenario
    return test


@contextmanager
def opened_arena(
    items: Sequence[pytest.Item], new_folder: Callable[[str], Path]
) -> Iterator[Arena]:
    """Starts the scenarios of these tests; in the end no process of theirs may be left."""
    functions = [item.function for item in items if isinstance(item, pytest.Function)]
    scenarios = [_SCENARIOS[function] for function in functions if function in _SCENARIOS]
    # the store is synced once, and copied by the others
    prepare(Place(new_folder("store")))
    with nothing_left(), ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes: dict[Scenario, Future[Account]] = {}
        for scenario in scenarios:
            place = Place(new_folder(scenario.__name__[:40]))
            chance = random.Random(f"{SEED} {scenario.__name__}")
            outcomes[scenario] = pool.submit(scenario, place, chance)
        try:
            yield Arena(outcomes)
        finally:
            for outcome in outcomes.values():
                outcome.cancel()


def summary() -> str:
    """One line with the sums of all scenarios that have ended well."""
    kills, due, entries, runs, calls, repeated = (
        sum(getattr(account, name) for account in ACCOUNTS)
        for name in ("kills", "due", "entries", "runs", "calls", "repeated")
    )
    return (
        f"chaos, seed {SEED}: {len(ACCOUNTS)} scenarios without a discrepancy; {kills} kills, "
        f"{due} fires due, {entries} records, {runs} webhooks owed, {calls} deliveries, "
        f"{repeated} of them repeated, 0 fires twice, 0 lost"
    )
