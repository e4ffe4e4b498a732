"""What the entries of `history --json` cover: the check that each due instant is there once."""

from datetime import UTC, datetime, timedelta
from typing import Any

SECOND = timedelta(seconds=1)


def instant(text: str) -> datetime:
    """The instant that the program wrote, to the second."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def whole_second_after(moment: datetime) -> datetime:
    """The first whole second later than a moment."""
    return moment.replace(microsecond=0) + SECOND


def covered(entries: list[dict[str, Any]], step: timedelta = SECOND) -> list[datetime]:
    """Every due instant that the entries of one job cover, in order; runs by hand cover none."""
    found = []
    for entry in entries:
        if not entry["manual"]:
            first = instant(entry["due"])
            instants = [first + step * number for number in range(entry["due_count"])]
            assert instants[-1] == instant(entry["due_last"])
            found += instants
    return sorted(found)


def assert_each_once(instants: list[datetime], step: timedelta = SECOND) -> None:
    """Whether these are all instants from the first to the last, each of them once."""
    assert instants == [instants[0] + step * number for number in range(len(instants))]
