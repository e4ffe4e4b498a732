"""Reading a listing page by page: always to an end, nothing twice."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noether_runner.stores.registry.envelope import Failure
from noether_runner.stores.registry.paging import Page, PageLoop, read_page


def page(ids: list[Any], total: int) -> Page:
    return Page([{"id": each} for each in ids], total)


def test_what_was_seen_is_not_given_again() -> None:
    loop = PageLoop(10)
    assert loop.take(page(["a", "b"], 5)) == [{"id": "a"}, {"id": "b"}]
    assert loop.offset == 2
    assert loop.take(page(["b", "c"], 5)) == [{"id": "c"}]
    assert loop.offset == 4
    assert loop.take(page(["a"], 9)) == []
    assert loop.offset is None


def test_entries_without_an_id_are_left_out() -> None:
    loop = PageLoop(10)
    assert loop.take(Page([1, None, {}, {"id": 3}, {"id": "a"}], 9)) == [{"id": "a"}]
    assert loop.offset == 5


def test_there_is_a_most() -> None:
    loop = PageLoop(2)
    loop.take(page(["a"], 100))
    assert loop.offset == 1
    loop.take(page(["b"], 100))
    assert loop.offset is None


def test_totals() -> None:
    assert read_page({"stages": [1], "total": 7, "more": 0}) == Page([1], 7)
    for missing in ({}, {"total": None}, {"total": "7"}, {"total": True}):
        assert read_page({"stages": [], **missing}) == Page([], 0)


@pytest.mark.parametrize("payload", [None, 1, [], {}, {"stages": None}, {"stages": {}}])
def test_what_is_no_page(payload: Any) -> None:
    assert isinstance(read_page(payload), Failure)


@given(st.lists(st.tuples(st.lists(st.sampled_from("abcdef"), max_size=4), st.integers(-1, 30))))
def test_every_listing_ends_and_tells_each_id_once(pages: list[tuple[list[str], int]]) -> None:
    loop = PageLoop(1000)
    told: list[Any] = []
    received = 0
    for ids, total in pages:
        if loop.offset is None:
            break
        assert loop.offset == received
        received += len(ids)
        told += [each["id"] for each in loop.take(page(ids, total)) if isinstance(each, dict)]
    assert len(told) == len(set(told))
