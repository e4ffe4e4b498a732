"""The offending line of a file as messages show it: short, printable, without secrets."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import islice

MAX_CHARACTERS = 120
"""Longest excerpt; of a longer line the part around the column is shown."""

_SECRET_KEYS = frozenset({"registry_api_key", "secret", "env", "headers", "webhook"})
_PATH_KEY = re.compile(r'[^.\[\]"]+')
_LOOKS_SECRET = re.compile(
    r'"[^"]*(?:api_?key|secret|token|passw|authorization|credential|webhook)[^"]*"\s*:\s*'
    r'(?P<value>"[^"]*"?)'
    r'|(?P<userinfo>(?<=://)[^/@"\s]+)@',
    re.IGNORECASE,
)


def is_secret_path(path: str) -> bool:
    """Whether the value at `path` may be a secret, or hold one: keys, tokens, webhook URLs."""
    return not _SECRET_KEYS.isdisjoint(_PATH_KEY.findall(path))


def spans_that_look_secret(text: str) -> list[tuple[int, int]]:
    """Spans of a text that is not JSON which may hold secrets, judged by the names before them."""
    return [
        match.span("value") if match.group("value") else match.span("userinfo")
        for match in _LOOKS_SECRET.finditer(text)
    ]


def excerpt(text: str, offset: int, hidden: Sequence[tuple[int, int]] = ()) -> str:
    """The line of `text` around `offset`; `hidden` spans (sorted, apart) are shown as `***`."""
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    end = len(text) if end < 0 else end
    left, right = start, end
    if end - start > MAX_CHARACTERS:
        left = max(start, min(offset - MAX_CHARACTERS // 3, end - MAX_CHARACTERS))
        right = min(end, left + MAX_CHARACTERS)
    shown = _with_hidden(text, left, right, hidden)
    shown = "".join(letter if letter.isprintable() else " " for letter in shown).strip()
    return f"{'…' if left > start else ''}{shown}{'…' if right < end else ''}"


def _with_hidden(text: str, left: int, right: int, hidden: Sequence[tuple[int, int]]) -> str:
    pieces: list[str] = []
    at = left
    first = max(bisect_right(hidden, (left, 0)) - 1, 0)
    for start, end in islice(hidden, first, bisect_right(hidden, (right, 0))):
        if end <= at or start >= right:
            continue
        pieces.append(text[at : max(start, at)])
        pieces.append("***")
        at = min(end, right)
    pieces.append(text[at:right])
    return "".join(pieces)
