import pytest
from hypothesis import given
from hypothesis import strategies as st

from noether_runner.languages.modules import package_of
from noether_runner.languages.requirements import (
    Rejected,
    Requirements,
    read_requirements,
    rejection_words,
)


def test_the_first_line_decides_even_when_nothing_of_it_is_taken() -> None:
    found = read_requirements("#\n  # requires: x\n# requires: six==1.16.0\n")
    assert found == Requirements((), (Rejected("x", "unpinned"),))


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("-x==1", "bad_name"),
        ("x-==1", "bad_name"),
        ("==1", "empty_name"),
        ("x==", "empty_version"),
        ("x==1*", "bad_version"),
        ("é==1", "bad_name"),
        ("x", "unpinned"),
    ],
)
def test_what_is_not_taken(entry: str, reason: str) -> None:
    assert read_requirements(f"# requires: {entry}").rejected == (Rejected(entry, reason),)


def test_names_without_a_version_when_they_are_allowed() -> None:
    found = read_requirements("# requires: x, -y, z==", allow_unpinned=True)
    assert found.accepted == ("x",)
    assert [each.reason for each in found.rejected] == ["bad_name", "empty_version"]


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    """No entry gets lost, and none that is taken could be an option of pip."""
    found = read_requirements(f"# requires: {text}")
    assert not any(entry.startswith("-") for entry in found.accepted)


def test_the_package_of_a_module() -> None:
    assert package_of("yaml") == "PyYAML"
    assert package_of("sklearn.linear_model") == "scikit-learn"
    assert package_of("requests") == "requests"
    assert package_of("mymodule") is None


def test_a_warning_says_what_may_stand_there() -> None:
    (rejected,) = read_requirements("# requires: six>=1").rejected
    assert rejection_words(rejected) == (
        "the entry 'six>=1' of '# requires:' is ignored: unpinned (expected NAME==VERSION; no "
        "other version will do)"
    )
    (endless,) = read_requirements(f"# requires: {'x' * 9000}").rejected
    assert len(rejection_words(endless)) < 250
