"""Whatever text stands for a cron expression or a zone: a meaning, or one short `CronError`.

That reading ends soon is by construction: the length is bounded first, a field is read once, and
whether a day can ever come is looked up in the calendar, not searched for in time.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bad_input import few, fewer, odd_strings, odd_values, outcome
from noether_supervisor.schedule.expression import (
    CronError,
    Schedule,
    ZoneError,
    named_zone,
    parse_cron,
    process_zone,
)
from noether_supervisor.schedule.fields import CronErrorKind
from noether_supervisor.schedule.parsing import MAX_CHARACTERS
from unit.schedule.cron_texts import cron_texts

KINDS = get_args(CronErrorKind)
MARKS = "0123456789*,-/ \tabcdefjmnorstuvwyJANSUN@LW#?%+.:;\n\0\u00a0\u0660\uff10é"

cron_like = st.one_of(
    st.text(MARKS, max_size=60),
    st.lists(st.text("0123456789*,-/", max_size=8), min_size=4, max_size=6).map(" ".join),
    st.builds(
        lambda text, place, mark: text[:place] + mark + text[place:],
        cron_texts,
        st.integers(0, 40),
        st.sampled_from(list(MARKS)) | odd_strings,
    ),
    st.sampled_from(["@reboot", "@daily", "@every 5m", "0 0 30 2 *", "0 0 31 4,6 *", "60 * * * *"]),
    st.builds("{0}{1}".format, st.sampled_from(["* * * * *", ""]), odd_strings),
    st.integers(0, 10**30).map(lambda number: f"{number} */{number} * * *"),
    st.just(",".join(["*/1"] * 100_000) + " * * * *"),
    st.just(" ".join(["*"] * 50_000)),
)
"""Texts near the grammar, and texts that begin like one and never end."""


@few
@given(cron_like)
def test_a_text_is_an_expression_or_one_short_error(text: str) -> None:
    expression = outcome(lambda: parse_cron(text), CronError)
    if isinstance(expression, CronError):
        assert expression.kind in KINDS
        assert expression.message.isprintable()
        assert len(expression.message) < 500
        return
    assert len(text) <= MAX_CHARACTERS
    after = datetime(2026, 1, 1, tzinfo=UTC)
    due = Schedule(expression, named_zone("Europe/Madrid")).next(after)
    assert after < due < after + timedelta(days=366 * 50)


@few
@given(odd_values.filter(lambda value: not isinstance(value, str)))
def test_what_is_no_text_is_told(value: Any) -> None:
    with pytest.raises(CronError) as refused:
        parse_cron(value)
    assert refused.value.kind == "not_a_string"


zone_like = st.one_of(
    odd_strings,
    st.text("/.abcEurope:<>+-0123456789,MJ\0", max_size=40),
    st.sampled_from(
        [
            *("Europe", "europe/madrid", "Europe/Madird", "../UTC", "/etc/passwd", "//", "UTC/"),
            *("posixrules", "tzdata.zi", "zone.tab", "EST5EDT,M3.2.0,M11.1.0", "EST5EDT,J1,J2"),
            *("A" * 5000, "Europe/" + "x" * 300, ":Europe/Madrid", "::", "CET-1CEST", "<+03>-3"),
        ]
    ),
)


@fewer
@given(zone_like)
def test_a_zone_is_a_zone_or_one_short_error(name: str) -> None:
    found = [
        outcome(lambda: named_zone(name), ZoneError),
        outcome(lambda: process_zone({"TZ": name}), ZoneError),
    ]
    for zone in found:
        if isinstance(zone, ZoneError):
            assert zone.message.isprintable()
            assert len(zone.message) < 500
        else:
            assert datetime(2026, 7, 1, tzinfo=UTC).astimezone(zone).utcoffset() is not None
