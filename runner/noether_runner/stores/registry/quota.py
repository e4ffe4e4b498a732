"""The registry's rate limit, kept by all runs together (`stages.md` §8.5).

A token bucket at 80 % of `X-RateLimit-Limit` a minute, and the instant before which a 429 wants
no further request. Its state is a small file beside the cache, since every run is a process of its
own; while no limit is known, nothing is written.
"""

import fcntl
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import orjson

from noether_contract.lean_dataclass import dataclass
from noether_runner.stores.registry.cache import make_folder

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]+)?", re.ASCII)
_SHARE = 0.8
_WINDOW_SECONDS = 60.0
_LONGEST_BLOCK_SECONDS = 3600.0
"""A `Retry-After` beyond this is taken for a mistake."""


@dataclass(frozen=True, slots=True)
class _State:
    """`tokens` as of the instant `at`; instants are seconds since 1970. No limit: not told yet."""

    limit: int | None = None
    tokens: float = 0.0
    at: float = 0.0
    not_before: float = 0.0

    @property
    def capacity(self) -> float:
        return max(1.0, (self.limit or 0) * _SHARE)

    def filled(self, now: float) -> "_State":
        """The state at `now`; a clock that went backwards fills nothing."""
        grown = max(0.0, now - self.at) * self.capacity / _WINDOW_SECONDS
        return replace(self, tokens=min(self.capacity, self.tokens + grown), at=now)


class Quota:
    """`path` is the file that runs share; None keeps the state to this run."""

    def __init__(self, path: Path | None, now: Callable[[], float]) -> None:
        self._path = path
        self.now = now
        self._own = _State()

    def take(self) -> float:
        """Reserves one request; seconds to wait before it may be sent."""
        with self._changing(create=False) as change:
            now = self.now()
            state = change.state
            waiting = min(max(0.0, state.not_before - now), _LONGEST_BLOCK_SECONDS)
            if state.limit is None:
                return waiting
            state = state.filled(now)
            change.state = replace(state, tokens=state.tokens - 1)
            missing = max(0.0, 1 - state.tokens)
            return max(waiting, missing * _WINDOW_SECONDS / state.capacity)

    def give_back(self) -> None:
        """The reserved request is not sent after all."""
        with self._changing(create=False) as change:
            if change.state.limit is not None:
                change.state = replace(change.state, tokens=change.state.tokens + 1)

    def learn(self, headers: Mapping[str, str]) -> None:
        """Notes what an answer tells of the limit."""
        limit = _count(headers.get("x-ratelimit-limit"))
        if not limit:
            return
        with self._changing(create=True) as change:
            state = change.state
            if state.limit != limit:
                now = self.now()
                state = _State(limit, at=now, not_before=state.not_before)
                state = replace(state, tokens=state.capacity - 1)
            remaining = _count(headers.get("x-ratelimit-remaining"))
            if remaining is not None:
                state = replace(state, tokens=min(state.tokens, float(remaining)))
            change.state = state

    def block(self, seconds: float) -> None:
        """No request of any run before `seconds` have passed: the registry said so."""
        with self._changing(create=True) as change:
            not_before = self.now() + min(seconds, _LONGEST_BLOCK_SECONDS)
            change.state = replace(change.state, not_before=not_before)

    @contextmanager
    def _changing(self, *, create: bool) -> Iterator["_Change"]:
        """The state, to be changed by nobody else meanwhile; written back when it was."""
        descriptor = None if self._path is None else _open(self._path, create=create)
        if descriptor is None:
            change = _Change(self._own)
            yield change
            self._own = change.state
            return
        with os.fdopen(descriptor, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            before = _read(file.read())
            change = _Change(before)
            yield change
            if change.state != before:
                file.seek(0)
                file.truncate()
                file.write(orjson.dumps(change.state))


@dataclass(slots=True)
class _Change:
    """A state in the hands of who may change it."""

    state: _State


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that an answer asks to wait for (`Retry-After`, RFC 9110 §10.2.3); None: it does not.

    A date is read against the server's own `Date`, where it sends one: its clock may differ from
    ours, which says `now` (seconds since 1970).
    """
    text = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    until = _instant(text)
    if until is None:
        return None
    since = _instant(headers.get("date", ""))
    return max(0.0, until - (now if since is None else since))


def _instant(text: str) -> float | None:
    """The instant of an HTTP date, seconds since 1970."""
    from email.utils import parsedate_to_datetime  # here: hardly any answer has one

    try:
        date = parsedate_to_datetime(text)
        # a date without a zone is meant as UTC
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, IndexError, TypeError):
        return None


def _count(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else None


def _open(path: Path, *, create: bool) -> int | None:
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        if create:
            make_folder(path.parent)
        return os.open(path, flags | os.O_CREAT if create else flags, 0o600)
    except OSError:
        return None


def _read(text: bytes) -> _State:
    try:
        state = _State(**orjson.loads(text))
        state.filled(state.not_before)
    except (ValueError, TypeError):
        return _State()
    return state
