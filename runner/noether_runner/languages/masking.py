"""Keeping secret values out of texts that leave the runner (`runtimes.md` §7.7)."""

import re
from collections.abc import Iterable

from noether_runner.sandbox.logs import Log

SHORTEST = 8
"""Values of fewer characters are not masked: they would hit innocent text."""

_MASK = "***"
_SHORTEST_PART = 4


class Mask:
    """Replaces exact occurrences of secret values by `***`."""

    def __init__(self, values: Iterable[str]) -> None:
        # the longest first: one value may contain another
        self._values = sorted({v for v in values if len(v) >= SHORTEST}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, self._values))) if self._values else None

    def text(self, text: str) -> str:
        """The text without secret values."""
        return self._pattern.sub(_MASK, text) if self._pattern else text

    def log(self, log: Log) -> str:
        """The kept text of a log, marked where bytes are missing.

        A value cut in two by the gap is masked as well, as far as it is there.
        """
        if not log.truncated:
            return self.text((log.head + log.tail).decode("utf-8", "replace"))
        head = self.text(log.head.decode("utf-8", "replace"))
        tail = self.text(log.tail.decode("utf-8", "replace"))
        gap = f"\n[... {log.dropped} bytes left out ...]\n"
        return f"{self._without_partial_end(head)}{gap}{self._without_partial_start(tail)}"

    def _without_partial_end(self, text: str) -> str:
        for value in self._values:
            for length in range(len(value) - 1, _SHORTEST_PART - 1, -1):
                if text.endswith(value[:length]):
                    return text[:-length] + _MASK
        return text

    def _without_partial_start(self, text: str) -> str:
        for value in self._values:
            for length in range(len(value) - 1, _SHORTEST_PART - 1, -1):
                if text.startswith(value[-length:]):
                    return _MASK + text[length:]
        return text
