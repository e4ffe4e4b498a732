"""Where entries stand in a trace, and which of them go when there is no room for all."""

from hypothesis import given
from hypothesis import strategies as st

from history_samples import stage_entry
from noether_contract.messages import StageEntry, write_message
from noether_runner.execution.lanes import Entries, Lane

SIZE = len(write_message(stage_entry("root[000]")))


def entry(number: int) -> StageEntry:
    return stage_entry(f"root[{number:03}]")


def numbers(entries: Entries, lane: Lane) -> list[int]:
    found = entries.of(lane)
    return [int(each.path[5:8]) for each in found]


def test_all_stay_as_long_as_there_is_room() -> None:
    entries, lane = Entries(SIZE, 9 * SIZE), Lane(is_root=True)
    for number in range(10):
        entries.add(lane, entry(number))
    assert numbers(entries, lane) == list(range(10))
    assert entries.left_out == 0


def test_the_first_and_the_newest_stay() -> None:
    entries, lane = Entries(2 * SIZE, 3 * SIZE), Lane(is_root=True)
    for number in range(500):
        entries.add(lane, entry(number))
    assert numbers(entries, lane) == [0, 1, 497, 498, 499]
    assert entries.left_out == 495


def test_the_newest_stays_however_large_it_is() -> None:
    entries, lane = Entries(0, 10), Lane(is_root=True)
    entries.add(lane, entry(1))
    entries.add(lane, entry(2))
    assert numbers(entries, lane) == [2]


def test_branches_of_attempts_without_end_leave_nothing_behind() -> None:
    entries, root = Entries(SIZE, 3 * SIZE), Lane(is_root=True)
    for attempt in range(200):
        left, right = root.fork(2)
        inner, empty = right.fork(2)
        entries.add(inner, entry(attempt))
        entries.add(left, entry(attempt + 500))
        empty.fork(3)
    assert numbers(entries, root) == [0, 698, 699, 199]
    assert len(root.items) == 3


@given(st.lists(st.integers(0, 4), max_size=40), st.integers(0, 6))
def test_the_order_does_not_depend_on_what_went(turns: list[int], room: int) -> None:
    def play(entries: Entries) -> list[int]:
        root = Lane(is_root=True)
        lanes = [root, *root.fork(2)]
        lanes += lanes[1].fork(2)
        for number, turn in enumerate(turns):
            entries.add(lanes[turn], entry(number))
        return numbers(entries, root)

    bounded = Entries(SIZE, max(room, 1) * SIZE)
    kept, every = play(bounded), play(Entries())
    assert kept == [number for number in every if number in kept]
    assert len(kept) + bounded.left_out == len(turns)
