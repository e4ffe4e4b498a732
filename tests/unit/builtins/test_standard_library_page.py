"""The page about the standard library says what the catalog says."""

from standard_library_page import PAGE, page


def test_the_page_is_up_to_date() -> None:
    hint = "run: python tests/standard_library_page.py"
    assert PAGE.read_text(encoding="utf-8") == page(), hint
