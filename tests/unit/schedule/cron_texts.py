"""Strategies that write cron expressions by the grammar of `cron.md` §1."""

from hypothesis import strategies as st

from noether_supervisor.schedule.expression import CronError, parse_cron
from noether_supervisor.schedule.fields import FIELDS, Field


def _item(field: Field) -> st.SearchStrategy[str]:
    numbers = st.integers(field.first, field.last)
    values = numbers.map(str) | numbers.map("{:03}".format)
    if field.names:
        values |= st.sampled_from(field.names) | st.sampled_from(field.names).map(str.upper)
    ranges = st.tuples(numbers, numbers).map(lambda ends: f"{min(ends)}-{max(ends)}")
    bases = st.just("*") | values | ranges
    steps = st.just("") | st.integers(1, 70).map("/{}".format)
    return st.tuples(bases, steps).map("".join)


def _field(field: Field) -> st.SearchStrategy[str]:
    lists = st.lists(_item(field), min_size=1, max_size=4).map(",".join)
    return st.just("*") | lists


def _fires(text: str) -> bool:
    try:
        parse_cron(text)
    except CronError as error:
        # any other refusal is a mistake of these strategies: the tests will say so
        return error.kind != "never_fires"
    return True


cron_texts = st.tuples(*map(_field, FIELDS)).map(" ".join).filter(_fires)
"""Any acceptable expression."""
