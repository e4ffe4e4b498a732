from hypothesis import given
from hypothesis import strategies as st

from noether_runner.languages.masking import Mask
from noether_runner.sandbox.logs import Log

SECRET = "s3cr3t-v4lue"


def test_long_values_are_masked_and_short_ones_left() -> None:
    mask = Mask([SECRET, "short", "s3cr3t-v4lue-and-more"])
    assert mask.text(f"a {SECRET} b short c {SECRET}-and-more") == "a *** b short c ***"


def test_nothing_to_mask() -> None:
    assert Mask([]).text(SECRET) == SECRET


def test_characters_with_a_meaning_in_patterns() -> None:
    assert Mask(["a.*(b)[c]"]).text("a.*(b)[c] axx(b)[c]") == "*** axx(b)[c]"


def test_a_value_cut_in_two_by_the_gap() -> None:
    log = Log(b"begin " + SECRET[:8].encode(), SECRET[4:].encode() + b" end", dropped=5)
    text = Mask([SECRET]).log(log)
    assert text == "begin ***\n[... 5 bytes left out ...]\n*** end"


def test_a_value_across_the_seam_of_a_whole_log() -> None:
    whole = f"a {SECRET} ä".encode()
    for seam in range(len(whole)):
        assert Mask([SECRET]).log(Log(whole[:seam], whole[seam:])) == "a *** ä"


@given(st.lists(st.text(min_size=8), max_size=4), st.text(), st.text())
def test_no_value_survives(values: list[str], before: str, after: str) -> None:
    mask = Mask(values)
    for value in values:
        if not set(value) & set("*"):
            assert value not in mask.text(f"{before}{value}{after}").replace("***", "\n\n\n")
