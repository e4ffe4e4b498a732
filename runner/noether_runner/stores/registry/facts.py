"""What may change of a registry's stage, and when it was last looked at (`stages.md` §8.4)."""

from typing import Any

import orjson

from noether_contract.lean_dataclass import dataclass
from noether_runner.stages.errors import RecordError
from noether_runner.stages.lifecycle import Lifecycle, read_lifecycle, write_lifecycle

_CLOCKS_MAY_DIFFER = 1.0
"""Seconds by which an instant may lie ahead without the clock having been set back."""


@dataclass(frozen=True, slots=True)
class Fact:
    """State and language of a stage at `seen_at` (seconds since 1970).

    No lifecycle: the registry had no such stage then. The language is here as well as in the
    record because no hash covers it: two places must agree.
    """

    lifecycle: Lifecycle | None
    language: str | None
    seen_at: float
    etag: str | None = None

    def is_fresh(self, now: float, seconds: float) -> bool:
        """Whether it is no older than that; what was seen in the future proves a changed clock."""
        return -_CLOCKS_MAY_DIFFER <= now - self.seen_at <= seconds

    def age(self, now: float) -> float:
        """Seconds since it was seen, never less than 0."""
        return max(0.0, now - self.seen_at)


def read_fact(text: bytes) -> Fact | None:
    """The fact in a cache file; None when it cannot be read, which is as good as none."""
    try:
        members: dict[str, Any] = orjson.loads(text)
        lifecycle = members["lifecycle"]
        return Fact(
            None if lifecycle is None else read_lifecycle(lifecycle),
            _text_or_none(members["language"]),
            float(members["seen_at"]),
            _text_or_none(members["etag"]),
        )
    except (ValueError, TypeError, KeyError, RecordError):
        return None


def write_fact(fact: Fact) -> bytes:
    """The text of a cache file."""
    lifecycle = None if fact.lifecycle is None else write_lifecycle(fact.lifecycle)
    return orjson.dumps(
        {
            "lifecycle": lifecycle,
            "language": fact.language,
            "seen_at": fact.seen_at,
            "etag": fact.etag,
        }
    )


def age_words(seconds: float) -> str:
    """An age for a person: `42 s`, `12 min`, `3 h`, `2 days`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} days"


def _text_or_none(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise TypeError
