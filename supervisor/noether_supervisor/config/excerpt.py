"""The offending line of a file as messages show it: short, printable, without secrets.

A text is shown only where a key says that it is harmless, so a secret stays hidden when its key is
misspelt, stands in the wrong place, or when the file is no JSON at all.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice, pairwise

MAX_CHARACTERS = 120
"""Longest excerpt; of a longer line the part around the column is shown."""

SHOWN_TEXTS = frozenset(
    {
        *("jobs", "store_path", "defaults", "state_dir", "max_concurrent_runs", "history"),
        *("keep_runs", "keep_days", "listen", "shutdown_grace", "verify", "trusted_keys"),
        *("stage_user", "name", "cron", "graph", "timezone", "enabled", "timeout"),
        *("stage_timeout", "memory_mb", "cpu_seconds", "overlap", "catch_up", "catch_up_window"),
        *("jitter", "retry", "attempts", "delay", "backoff", "isolation", "pass_env", "fs_read"),
        *("fs_write", "network", "allow_effects", "allow_capabilities", "budget_cents"),
        *("type_check", "output_check"),
    }
)
"""Keys whose texts are no secrets; those of all others are shown as `***`."""

_SECRET_KEYS = frozenset({"registry_api_key", "secret", "env", "headers", "webhook"})
_PATH_KEY = re.compile(r'[^.\[\]"]+')
_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"?|[\[\]{},:\n]|[^\s\ufeff\[\]{},:"]+')
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_PLAIN_VALUE = re.compile(r"-?[0-9][0-9.eE+-]*|true|false|null")


def is_secret_path(path: str) -> bool:
    """Whether the value at `path` may be a secret, or hold one: keys, tokens, webhook URLs."""
    return not _SECRET_KEYS.isdisjoint(_PATH_KEY.findall(path))


def may_show_text(path: str) -> bool:
    """Whether a text at `path` may be shown: every key on the way to it is known as harmless."""
    keys = [key for key in _PATH_KEY.findall(path) if not key.isdigit()]
    return bool(keys) and SHOWN_TEXTS.issuperset(keys)


def spans_that_look_secret(text: str) -> list[tuple[int, int]]:
    """Spans of a text that is not JSON which may hold secrets: whatever is not known to be none.

    Shown are keys, punctuation, numbers, `true`, `false`, `null`, and the texts of harmless keys.
    """
    return list(_secret_spans(text))


def _secret_spans(text: str) -> Iterator[tuple[int, int]]:
    enclosing: list[tuple[str, str, _Around]] = []
    key, around = "", _Around.HARMLESS
    for token in _tokens(text):
        met = token.text
        if met in "{[":
            enclosing.append((met, key, around))
            around = max(around, _around(key))
        elif met in "}]":
            if enclosing and enclosing[-1][0] == ("{" if met == "}" else "["):
                _, key, around = enclosing.pop()
        elif met in ",:":
            continue
        elif token.begins_member and token.after == ":":
            key = met.strip("\"'")
        elif token.is_whole_value and not max(around, _around(key or "?")):
            continue
        else:
            is_secret = max(around, _around(key)) is _Around.SECRET
            if is_secret or not _PLAIN_VALUE.fullmatch(met):
                yield token.span
            # After damage what follows may belong to anything.
            key = key if key in _SECRET_KEYS else ""


class _Around(IntEnum):
    """What a key says of the values below it: in UNKNOWN ones texts are hidden, in SECRET all."""

    HARMLESS = 0
    UNKNOWN = 1
    SECRET = 2


def _around(key: str) -> _Around:
    if key in _SECRET_KEYS:
        return _Around.SECRET
    return _Around.HARMLESS if key in SHOWN_TEXTS or not key else _Around.UNKNOWN


@dataclass(frozen=True, slots=True)
class _Token:
    """A word, string or mark of a text, with the marks beside it; a line break is one too.

    `follows_value`: a comma may have been forgotten before it.
    """

    text: str
    span: tuple[int, int]
    before: str
    after: str
    follows_value: bool

    @property
    def begins_member(self) -> bool:
        forgotten = self.follows_value and _STRING.fullmatch(self.text)
        return bool(forgotten) or self.before in ("", "{", ",", "[", "\n")

    @property
    def is_whole_value(self) -> bool:
        if self.before not in (":", "[", ",", "\n"):
            return False
        forgotten = _STRING.fullmatch(self.text) and _STRING.fullmatch(self.after)
        return bool(forgotten) or self.after in (",", "]", "}", "\n", "")


def _tokens(text: str) -> Iterator[_Token]:
    before, follows_value = "", False
    for found, following in pairwise([*_TOKEN.finditer(text), None]):
        assert found is not None
        met = found.group()
        if met != "\n":
            after = following.group() if following else ""
            yield _Token(met, found.span(), before, after, follows_value)
            is_whole = _STRING.fullmatch(met) or _PLAIN_VALUE.fullmatch(met)
            follows_value = before == ":" and bool(is_whole)
        if met != "\n" or before != ":":
            before = met


def harmless(text: str, most: int) -> str:
    """A text out of the file on one line: control characters written out, cut to `most`."""
    if len(text) > most:
        text = f"{text[: most - 1]}…"
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


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
        if start > at or not pieces:  # hidden spans that touch are shown as one
            pieces += [text[at : max(start, at)], "***"]
        at = min(end, right)
    pieces.append(text[at:right])
    return "".join(pieces)
