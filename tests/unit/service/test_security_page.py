"""SECURITY.md keeps its word: every promise in it names tests, and they exist."""

from named_tests import TOP, badly_named_tests, missing_tests, unproven_rows

TEXT = (TOP / "SECURITY.md").read_text(encoding="utf-8")


def test_every_named_test_exists() -> None:
    assert missing_tests(TEXT) == []


def test_every_promise_names_one() -> None:
    unproven, rows = unproven_rows(TEXT)
    assert rows >= 40
    assert unproven == []


def test_whatever_looks_like_a_test_is_named_in_full() -> None:
    assert badly_named_tests(TEXT) == set()
