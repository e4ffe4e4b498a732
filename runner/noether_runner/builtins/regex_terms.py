"""The parts of a regular expression, as far as finding matches has to know them."""

from collections.abc import Sequence
from enum import Enum
from typing import TypeAlias

from noether_contract.lean_dataclass import dataclass


class Look(Enum):
    """A condition on a place between two characters."""

    TEXT_START = "\\A"
    TEXT_END = "\\z"
    LINE_START = "(?m)^"
    LINE_END = "(?m)$"
    CRLF_START = "(?mR)^"
    CRLF_END = "(?mR)$"
    BOUNDARY = "\\b"
    NO_BOUNDARY = "\\B"
    WORD_START = "\\<"
    WORD_END = "\\>"
    WORD_START_HALF = "\\b{start-half}"
    WORD_END_HALF = "\\b{end-half}"


@dataclass(frozen=True, slots=True)
class Empty:
    """Matches the empty text."""

    shortest: int = 0
    longest: int | None = 0


@dataclass(frozen=True, slots=True)
class One:
    """One character out of a set.

    `source` is a pattern of the engine's own that says which; for a plain character, itself with
    `literal` set.
    """

    source: str
    literal: bool = False
    shortest: int = 1
    longest: int | None = 1


@dataclass(frozen=True, slots=True)
class At:
    """A condition; `unicode` says whose words count for those about words."""

    look: Look
    unicode: bool = True
    shortest: int = 0
    longest: int | None = 0


@dataclass(frozen=True, slots=True)
class Group:
    """A capturing group; the first one has the index 1."""

    index: int
    inner: "Term"
    shortest: int
    longest: int | None


@dataclass(frozen=True, slots=True)
class Sequel:
    """One part after the other."""

    parts: tuple["Term", ...]
    shortest: int
    longest: int | None


@dataclass(frozen=True, slots=True)
class Choice:
    """The first part that lets the whole match."""

    parts: tuple["Term", ...]
    shortest: int
    longest: int | None


@dataclass(frozen=True, slots=True)
class Repeat:
    """From `least` to `most` times (None: without end), as often as possible or as seldom."""

    inner: "Term"
    least: int
    most: int | None
    greedy: bool
    shortest: int
    longest: int | None


Term: TypeAlias = Empty | One | At | Group | Sequel | Choice | Repeat


def group(index: int, inner: Term) -> Term:
    """A capturing group around a term."""
    return Group(index, inner, inner.shortest, inner.longest)


def sequel(parts: Sequence[Term]) -> Term:
    """Parts after one another; a single part is itself."""
    if not parts:
        return Empty()
    if len(parts) == 1:
        return parts[0]
    lengths = [part.longest for part in parts]
    longest = None if None in lengths else sum(length or 0 for length in lengths)
    return Sequel(tuple(parts), sum(part.shortest for part in parts), longest)


def choice(parts: Sequence[Term]) -> Term:
    """Parts to choose from; a single part is itself."""
    if len(parts) == 1:
        return parts[0]
    lengths = [part.longest for part in parts]
    longest = None if None in lengths else max(length or 0 for length in lengths)
    return Choice(tuple(parts), min(part.shortest for part in parts), longest)


def repeat(inner: Term, least: int, most: int | None, *, greedy: bool) -> Term:
    """A repetition, in the form to which the Rust engine reduces it.

    What can only match the empty text is tried at most once; what is repeated zero times is gone,
    and its groups with it.
    """
    if inner.longest == 0:
        least = min(least, 1)
        most = 1 if most is None else min(most, 1)
    if most == 0:
        return Empty()
    if (least, most) == (1, 1):
        return inner
    longest = None if most is None or inner.longest is None else most * inner.longest
    return Repeat(inner, least, most, greedy, least * inner.shortest, longest)
