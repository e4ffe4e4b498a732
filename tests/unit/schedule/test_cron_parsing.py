"""Reading expressions: which values they mean, and what the refusals say."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noether_supervisor.schedule.expression import CronError, CronErrorKind, parse_cron
from noether_supervisor.schedule.parsing import MAX_CHARACTERS
from unit.schedule.cron_texts import cron_texts


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("* * * * *", "* * * * *"),
        ("\t0-59  0-23 1-31 \t 1-12 0-7 ", "* * * * *"),
        ("5-5 05 0005 may-may wed", "5 5 5 5 3"),
        ("*/60 0 * * *", "0 0 * * *"),
        ("50/4 22/1 * * *", "50,54,58 22,23 * * *"),
        ("0 0 * * 1/2", "0 0 * * 0,1,3,5"),
        ("0 0 * * */2", "0 0 * * 0,2,4,6"),
        ("0 0 * * */7", "0 0 * * 0"),
        ("0 0 * * 7", "0 0 * * 0"),
        ("0 0 * * 6-7", "0 0 * * 0,6"),
        ("0 0 * * MON-5", "0 0 * * 1,2,3,4,5"),
        ("0 0 * Jan/3 tue,4", "0 0 * 1,4,7,10 2,4"),
        ("3,1,2,1 0 * * *", "1,2,3 0 * * *"),
        # one of two alternatives is always true, so every day matches
        ("0 0 1 * 0-6", "0 0 * * *"),
        ("0 0 1-31 * 5", "0 0 * * *"),
        # both must match
        ("0 0 1-7 * */7", "0 0 1,2,3,4,5,6,7 * 0"),
        ("0 0 *,3 * 5", "0 0 * * 5"),
    ],
)
def test_values(text: str, canonical: str) -> None:
    assert parse_cron(text).canonical == canonical


@pytest.mark.parametrize(
    ("text", "day_and", "wildcard"),
    [
        ("0 0 1 1 1", False, False),
        ("*/5 0 1 1 1", False, True),
        ("0 *,3 1 1 1", False, True),
        ("0-59 0-23 1 1 1", False, False),
        ("0 0 */2 1 1", True, False),
        ("0 0 1 1 *,3", True, False),
        ("0 0 1 1 3,*", False, False),
        ("5,* 3,* 1 1 1", False, False),
    ],
)
def test_a_star_counts_only_as_first_character(text: str, day_and: bool, wildcard: bool) -> None:
    expression = parse_cron(text)
    assert (expression.day_and, expression.wildcard) == (day_and, wildcard)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "cron must be a string with five fields"),
        ("0" * 1001, "cron has 1001 characters, at most 1000 are allowed"),
        (
            " ",
            "cron is empty, expected 5 fields: minute, hour, day of month, month, day of week",
        ),
        ("@Daily", "@Daily is not supported, write 0 0 * * *"),
        (
            "0 9 ? * *",
            (
                "character '?' is not allowed in cron; digits, letters, "
                "'*', ',', '-', '/' and blanks are"
            ),
        ),
        ("0 9 * * * *", "cron has 6 fields, expected 5 (seconds are not supported)"),
        ("1,,2 * * * *", "minute: '1,,2' has an empty list item"),
        ("*/ * * * *", "minute: '*/' is wrong, expected a whole number after '/'"),
        (
            "* 5- * * *",
            (
                "hour: '5-' is wrong, expected '*', a value or a range such as 1-5, "
                "and after it '/' and a step if need be"
            ),
        ),
        ("* * * * monday", "day of week: 'monday' is unknown, use mon"),
        (
            "H * * * *",
            "minute: 'H' is unknown, use 0-59; names are for month and day of week only",
        ),
        ("60 * * * *", "minute: 60 is outside 0-59"),
        ("* * * 1,2-13 *", "month: 13 in '2-13' is outside 1-12"),
        ("* 22-6 * * *", "hour: range 22-6 is reversed, write 22-23,0-6"),
        ("* 22-6/2 * * *", "hour: range 22-6/2 is reversed, write two ranges"),
        ("* * * * sat-sun", "day of week: range sat-sun is reversed, write 6-7"),
        ("* * * * fri-tue", "day of week: range fri-tue is reversed, write 5-7,1-2"),
        ("* * * * 7-3", "day of week: range 7-3 is reversed, write 0-3"),
        ("* * * * 7-0", "day of week: range 7-0 is reversed, write 0"),
        ("*/0 * * * *", "minute: the step in '*/0' must be at least 1"),
        ("0 0 30-31 feb *", "cron never fires: February has no day 30"),
        ("0 0 31 4,6 *", "cron never fires: April, June have no day 31"),
    ],
)
def test_refusals_say_what_is_wrong_and_what_is_allowed(value: object, message: str) -> None:
    with pytest.raises(CronError) as refused:
        parse_cron(value)
    assert refused.value.message == message


@pytest.mark.parametrize("advised", ["22-23,0-6", "6-7", "5-7,1-2", "0-3"])
def test_the_advice_of_reversed_ranges_is_acceptable(advised: str) -> None:
    field = 1 if "22" in advised else 4
    parse_cron(" ".join(advised if index == field else "*" for index in range(5)))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        # the first problem decides: field by field, item by item, and within an item
        ("60,,2 * * * *", "out_of_range"),
        ("1,,60 * * * *", "syntax"),
        ("* 5-1 * * 8", "reversed_range"),
        ("60-5/0 * * * *", "out_of_range"),
        ("5-60/0 * * * *", "out_of_range"),
        ("5-1/0 * * * *", "reversed_range"),
        ("x-60/0 * * * *", "unknown_name"),
        ("x-/0 * * * *", "syntax"),
        ("*/mon * * * *", "syntax"),
        ("0 0 * * monday-8", "unknown_name"),
        ("@daily ? ", "alias"),
        ("? * * *", "bad_character"),
        ("x * * *", "field_count"),
        ("0 0 30 2 8", "out_of_range"),
        ("\n", "bad_character"),
        ("\v@daily", "bad_character"),
        ("0" * 900 + "60 * * * *", "out_of_range"),
    ],
)
def test_the_first_problem_decides(text: str, kind: str) -> None:
    with pytest.raises(CronError) as refused:
        parse_cron(text)
    assert refused.value.kind == kind


def test_a_message_quotes_little_and_nothing_unprintable() -> None:
    for text in ("x" * 900 + " * * * *", "1" * 900 + " * * * *", "\x1b[31m\ud800\U0001f600"):
        with pytest.raises(CronError) as refused:
            parse_cron(text)
        assert len(refused.value.message) < 200
        assert refused.value.message.isascii()
        assert refused.value.message.isprintable()


def test_the_longest_text_is_accepted() -> None:
    assert parse_cron("* * * * *".ljust(MAX_CHARACTERS)).canonical == "* * * * *"
    listed = ",".join(map(str, range(60)))
    assert parse_cron(f"{listed} * * * *").canonical == "* * * * *"


@given(cron_texts)
def test_the_canonical_text_means_the_same(text: str) -> None:
    expression = parse_cron(text)
    again = parse_cron(expression.canonical)
    assert (again.minutes, again.hours) == (expression.minutes, expression.hours)
    assert again.months == expression.months
    if expression.day_and:
        assert (again.days, again.weekdays) == (expression.days, expression.weekdays)


any_text = st.text() | st.text("0123456789*,-/ @abcdefjlmnosuwLWH#?\n").map(str)


@given(any_text | st.tuples(*[any_text] * 5).map(" ".join))
def test_any_text_is_accepted_or_refused_with_a_kind(text: str) -> None:
    answer: object
    try:
        answer = parse_cron(text)
    except CronError as error:
        answer = error.message.isascii() and error.kind in get_args(CronErrorKind)
    assert answer
