"""The promises of `decide` over any history: found by hypothesis, and one long seeded run."""

import random

from hypothesis import given
from hypothesis import strategies as st

from unit.decisions.world import WEIGHTS, WHATS, What, World

numbers = st.integers(0, 2**64)


@given(numbers, st.lists(st.tuples(st.sampled_from(WHATS), numbers), max_size=40))
def test_any_history_keeps_the_promises(start: int, history: list[tuple[What, int]]) -> None:
    world = World(start)
    for what, number in history:
        world.do(what, number)
    world.wind_down()
    world.check_ledger()


def test_ten_thousand_random_events_keep_the_promises() -> None:
    chance = random.Random(20260414)
    world = World(chance.getrandbits(64))
    for what in chance.choices(WHATS, WEIGHTS, k=10_000):
        world.do(what, chance.getrandbits(64))
    world.wind_down()
    world.check_ledger()
    covered = sum(sum(instants.values()) for instants in world.ledger.covered.values())
    # the history was worth the name
    assert covered > 10_000
    assert len(world.ledger.ended) > 1_000
