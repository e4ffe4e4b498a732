"""docs/operations.md keeps its word: every promise in it names tests, and they exist."""

import pytest

from documents import Document
from named_tests import TOP, badly_named_tests, missing_tests, unproven_rows

PAGE = Document(TOP / "docs" / "operations.md")


def test_every_named_test_exists() -> None:
    assert missing_tests(PAGE.text) == []


def test_every_promise_names_one() -> None:
    unproven, rows = unproven_rows(PAGE.text)
    assert rows >= 50
    assert unproven == []


def test_whatever_looks_like_a_test_is_named_in_full() -> None:
    assert badly_named_tests(PAGE.text) == set()


@pytest.mark.parametrize("link", sorted(set(PAGE.links)))
def test_links_lead_somewhere(link: str) -> None:
    name, _, anchor = link.partition("#")
    target = (TOP / "docs" / name).resolve() if name else TOP / "docs" / "operations.md"
    assert target.exists()
    assert not anchor or anchor in Document(target).anchors
