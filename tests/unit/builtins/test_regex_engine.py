"""Where regular expressions match: laws held by the Rust engine itself, and by Python's `re`."""

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from builtin_calls import Caller, calling
from noether_contract.json_values import JsonValue
from noether_contract.messages import Limits
from noether_contract.outcomes import ErrorCode
from noether_runner.builtins.regex_engine import Regex, RegexError, compiled
from noether_runner.builtins.regex_rust import rust_regex

ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\w", r"\s", "é", "(?i:É)", r"\x61", ""])
LOOKS = st.sampled_from(
    ["^", "$", r"\b", r"\B", r"\A", r"\z", "(?m:^)", "(?m:$)", r"\<", r"\b{end-half}", "(?mR:$)"]
)
TIMES = st.sampled_from(["*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,2}?", "{2,}", "{0}"])
TEXTS = st.text(alphabet="abé _\r\n", max_size=8)


def bigger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})"),
        st.tuples(inner, TIMES).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        st.tuples(inner, TIMES).map(lambda pair: f"({pair[0]}){pair[1]}"),
        inner.map(lambda one: f"(?P<g>{one})"),
    )


PATTERNS = st.recursive(ATOMS | LOOKS, bigger, max_leaves=8)


def valid(pattern: str) -> Regex:
    try:
        return Regex(pattern)
    except RegexError:
        assume(False)
        raise


@given(PATTERNS, TEXTS)
def test_there_is_a_match_exactly_when_the_rust_engine_says_so(pattern: str, text: str) -> None:
    regex = valid(pattern)
    region = regex._automaton.leftmost(regex._kinds.of(text), 0, lambda: None)
    assert (region is not None) == rust_regex(pattern)(text)


@given(PATTERNS, TEXTS)
def test_the_match_is_the_leftmost_and_ends_where_one_can(pattern: str, text: str) -> None:
    found = next(valid(pattern).matches(text), None)
    starts = [at for at in range(len(text) + 1) if begins(pattern, at, text)]
    assert (None if found is None else found.start) == (starts[0] if starts else None)
    if found is not None:
        between = rf"\A(?s:.{{{found.start}}})(?:{pattern})(?s:.{{{len(text) - found.end}}})\z"
        assert rust_regex(between)(text)


def begins(pattern: str, at: int, text: str) -> bool:
    return rust_regex(rf"\A(?s:.{{{at}}})(?:{pattern})")(text)


@given(PATTERNS, TEXTS)
def test_matches_do_not_overlap_and_leave_out_none(pattern: str, text: str) -> None:
    last = 0
    last_end = -1
    for match in valid(pattern).matches(text):
        assert last <= match.start <= match.end
        assert match.start < match.end or match.start != last_end
        last = last_end = match.end


SIMPLE = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})"),
        st.tuples(inner, TIMES).map(lambda pair: f"({pair[0]}){pair[1]}"),
    ),
    max_leaves=6,
)


@given(SIMPLE, st.text(alphabet="abc", max_size=8))
def test_groups_are_those_of_python_where_nothing_empty_is_repeated(
    pattern: str, text: str
) -> None:
    regex = valid(pattern)
    assume(re.search(r"\)(\*|\?|\{0).*\)[*+{]", pattern) is None and "{0}" not in pattern)
    expected = re.compile(pattern).search(text)
    found = next(regex.matches(text), None)
    assert (found is None) == (expected is None)
    if found is not None and expected is not None:
        assert (found.start, found.end) == expected.span()
        groups = [found.text(group, text) for group in range(1, regex.groups + 1)]
        assert tuple(groups) == expected.groups()[: regex.groups]


@pytest.mark.parametrize(
    ("pattern", "text", "groups"),
    [
        (r"((c)?)*", "c", ["c", "c"]),
        (r"(?:(a)|b)*", "ab", ["a"]),
        (r"(a|ab)(c|bcd)(d*)", "abcd", ["a", "bcd", ""]),
        (r"(a*?)(a*)", "aaa", ["", "aaa"]),
        (r"(?U)(a*)(a*?)", "aaa", ["", "aaa"]),
        (r"(?x) (a) # first ) \n (b) [ \] # ] \n c ]", "abc", ["a", "b"]),
        (r"(?x)( a {1,2} ) ?", "aaa", ["aa"]),
        (r"([]a]+)", "b]a", ["]a"]),
        (r"([^]a]+)", "]ab", ["b"]),
        (r"([a-z&&[^aeiou]]+)", "abcd", ["bcd"]),
        (r"([\w--\d]+)", "1ab2", ["ab"]),
        (r"([!-[[a]]+)", "bZa", ["Za"]),
        (r"([-[a]]+)", "b-a", ["-a"]),
        (r"([a--[b]-]+)", "b-a", ["a"]),
        (r"([[:alpha:]~~b]+)", "bac", ["ac"]),
        (r"(\u00e9\x{e9}\u{e9}\U000000e9)", "éééé", ["éééé"]),
        (r"(\p{Greek}\pL\P{Lu})", "xλaa", ["λaa"]),
        (r"(?i)(straße|K)", "\u212a", ["\u212a"]),
        (r"(?-u:(\w+))\b", "aé", None),
        (r"(?<é.[1]>a)", "a", ["a"]),
        (r"(a){0}(b)", "b", [None, "b"]),
        (r"(b)(a){0}", "b", ["b"]),
        (r"a{ 2 , 3 }(b)?", "aab", ["b"]),
        (r"a++(b)", "aab", ["b"]),
        (r"(?i)a(?-i)b|(C)", "c", None),
        (r"(?i)a(?i:b)|(C)", "c", ["c"]),
        (r"\<(\w+)\>", " ab ", ["ab"]),
        (r"(^|b)\Ba", "bca", None),
        (r"(?mR)^(a)$", "b\r\na\r\n", ["a"]),
        (r"(?s)a(.)b", "a\nb", ["\n"]),
        (r"a(.)b", "a\nb", None),
    ],
)
def test_the_dialect(pattern: str, text: str, groups: Any) -> None:
    regex = Regex(pattern.replace(r"\n", "\n") if "(?x)" in pattern else pattern)
    found = next(regex.matches(text), None)
    told = found and [found.text(group, text) for group in range(1, regex.groups + 1)]
    assert told == groups


@pytest.mark.parametrize(
    "pattern",
    [
        *("(?=a)", r"(a)\1", "(?P=n)", "(?>a)", "(?#x)", r"a\Z", r"\Qa\E", r"\141", r"\K", r"\G"),
        *("a{x}", "a{,3}", "{", "*a", "(?P<n>a)(?P<n>b)", r"\é", "(?-u).", r"\p{Nope}", "[a"),
    ],
)
def test_what_the_reference_rejects(pattern: str) -> None:
    with pytest.raises(RegexError):
        Regex(pattern)


def test_the_size_of_a_pattern_is_bounded() -> None:
    with pytest.raises(RegexError) as caught:
        Regex("a{1000}{1000}")
    assert str(caught.value) == "Compiled regex exceeds size limit of 10485760 bytes."
    assert not Regex("x{100000}").found("x" * 50)
    assert Regex("^x{2000}").found("x" * 6000)


@pytest.mark.parametrize("depth", [60, 120])
def test_nested_groups_are_read(depth: int) -> None:
    pattern = "(" * depth + "a" + ")+" * depth
    (match,) = Regex(pattern).matches("aa")
    assert match.text(depth, "aa") == "a"


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(x+x+)+y", "x" * 3000),
        ("(a|aa)+$", "a" * 3000 + "b"),
        ("(.*)*c", "ab" * 1500),
        ("(?:a?){30}a{30}", "a" * 30),
    ],
)
def test_patterns_that_kill_backtracking_engines(pattern: str, text: str) -> None:
    assert len(list(Regex(pattern).matches(text))) <= 1


def test_an_automaton_that_grows_too_large_begins_anew() -> None:
    text = "".join("ab"[(number * number // 7) % 2] for number in range(3000))
    regex = Regex("[ab]*a[ab]{14}c")
    assert list(regex.matches(text)) == []
    regex = Regex("a[ab]{12}")
    spans = [(match.start, match.end) for match in regex.matches(text)]
    assert spans == [found.span() for found in re.finditer("a[ab]{12}", text)]


def test_threads_do_not_share_an_automaton() -> None:
    mine = compiled("a+")
    others: list[Regex] = []
    thread = threading.Thread(target=lambda: others.append(compiled("a+")))
    thread.start()
    thread.join()
    assert compiled("a+") is mine
    assert others[0] is not mine


@pytest.fixture
def caller() -> Iterator[Caller]:
    with calling() as it:
        yield it


@pytest.mark.parametrize(
    ("pattern", "text", "replacement", "output"),
    [
        ("a*", "baac", "-", "-b-c-"),
        ("", "abc", "-", "-a-b-c-"),
        ("", "", "-", "-"),
        ("(a)(b)?", "aab", "<$1|$2|$3|$x>", "<a|||><a|b||>"),
        ("a", "a", "$1a", ""),
        ("(a)", "a", "${1}a", "aa"),
        ("(?<n_1>a)", "a", "$n_1 ${n_1}${nope}", "a a"),
        ("a", "a", r"$$ $ $& $é ${x \0", r"$ $ $& $é ${x \0"),
        ("(a)", "a", "$0$0 $01 ${ 1}", "aa a "),
        ("(a)", "a", "${+1}$0000000001${-1}$9999999999", "aa"),
        (r"\b", "ab é", "|", "|ab| |é|"),
        ("é", "aéé", "$0!", "aé!é!"),
    ],
)
def test_replacements(
    caller: Caller, pattern: str, text: str, replacement: str, output: str
) -> None:
    asked: JsonValue = {"pattern": pattern, "text": text, "replacement": replacement}
    assert caller.output("regex_replace", asked) == output


def test_a_long_search_has_the_time_of_a_stage(caller: Caller) -> None:
    asked: JsonValue = {"pattern": "(a?){60}b|.", "text": "a" * 60_000, "replacement": ""}
    outcome = caller.call("regex_replace", asked, limits=Limits(stage_seconds=0.05))
    assert outcome.error is not None
    assert outcome.error.code is ErrorCode.STAGE_TIMED_OUT


def test_a_stage_tells_what_is_wrong_with_a_pattern(caller: Caller) -> None:
    message = caller.message("regex_match", {"text": "a", "pattern": "a("})
    assert message.startswith("invalid regex: regex parse error:")
    assert "unclosed group" in message
