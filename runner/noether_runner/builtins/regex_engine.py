"""Finds where a regular expression matches, in linear time, as the Rust engine would.

The Rust engine itself (`regex_rust.py`) judges patterns and single characters, and says whether
there is a match at all. Here its way through a text is followed: an automaton runs to the end of
the leftmost match, then over that match once more, for its start and its groups. All alternatives
are followed side by side (Thompson, Pike): for each character at most as many steps are made as
the pattern has parts, whatever the pattern.
"""

import threading
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from noether_runner.builtins.regex_automaton import Automaton, GoOn, Slots
from noether_runner.builtins.regex_kinds import Kinds
from noether_runner.builtins.regex_program import program_of
from noether_runner.builtins.regex_reader import read_pattern
from noether_runner.builtins.regex_rust import RegexError, rust_regex

_QUICK: Final = 10_000_000
"""Characters times instructions up to which the Rust engine is asked first."""

__all__ = ["GoOn", "Match", "Regex", "RegexError", "compiled"]


class Match:
    """Where one match and its groups stand."""

    __slots__ = ("_slots", "end", "start")

    def __init__(self, slots: Slots) -> None:
        self.start, self.end = slots[0], slots[1]
        self._slots = slots

    def text(self, group: int, whole: str) -> str | None:
        """What a group matched of a text; None when it took no part or does not exist."""
        at = 2 * group
        if at + 1 >= len(self._slots) or self._slots[at + 1] < 0:
            return None
        return whole[self._slots[at] : self._slots[at + 1]]


class Regex:
    """A pattern; `groups` is the number of its groups, `names` are their indices by name.

    Raises `RegexError` when the pattern is not valid.
    """

    def __init__(self, pattern: str) -> None:
        self._found = rust_regex(pattern)
        try:
            structure = read_pattern(pattern)
            self._program = program_of(structure.term)
        except RecursionError:
            raise RegexError("the pattern is nested too deeply") from None
        self._kinds = Kinds(self._program)
        self._automaton = Automaton(self._program, self._kinds)
        self.groups = self._program.groups
        self.names = structure.names

    def found(self, text: str, go_on: GoOn = lambda: None) -> bool:
        """Whether there is a match anywhere."""
        if self._is_quick(text):
            return self._found(text)
        return self._automaton.leftmost(self._kinds.of(text), 0, go_on) is not None

    def _is_quick(self, text: str) -> bool:
        """Whether the Rust engine, which cannot be interrupted, is done with a text in no time."""
        return len(text) * self._program.size < _QUICK

    def matches(self, text: str, go_on: GoOn = lambda: None) -> Iterator[Match]:
        """All matches that do not overlap, from left to right.

        An empty match does not count directly at the end of the one before.
        """
        if self._is_quick(text) and not self._found(text):
            return
        kinds = self._kinds.of(text)
        last_end, start = -1, 0
        while start <= len(text):
            region = self._automaton.leftmost(kinds, start, go_on)
            if region is None:
                return
            slots = self._automaton.follow(kinds, *region, self.groups, go_on)
            match = Match(slots)
            if match.start == match.end == last_end:
                start += 1
                continue
            yield match
            last_end = start = match.end


class _OfThread(threading.local):
    """Each thread has patterns of its own: an automaton changes while it is used."""

    def __init__(self) -> None:
        self.compiled = lru_cache(maxsize=64)(Regex)


_OF_THREAD = _OfThread()


def compiled(pattern: str) -> Regex:
    """A pattern, ready for use in the calling thread; the last ones used are kept.

    Raises `RegexError`.
    """
    return _OF_THREAD.compiled(pattern)
