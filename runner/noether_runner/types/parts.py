"""The direct parts of a type, and a copy with other parts: what every walk over types needs.

Walks that fill in variables count what they make, because generic stages in a row can double a
type at every step.
"""

from collections.abc import Callable
from typing import Final, assert_never

from noether_contract.outcomes import ErrorCode
from noether_runner.errors import RunnerError
from noether_runner.types.syntax import MAX_TYPE_DEPTH
from noether_runner.types.terms import (
    Fields,
    Leaf,
    ListOf,
    MapOf,
    NType,
    RecordOf,
    RecordWith,
    Refined,
    StreamOf,
    UnionOf,
    Var,
    union,
)


def parts(term: NType) -> tuple[NType, ...]:
    """The types directly inside; fields by name, the key of a map before its value."""
    match term:
        case Leaf() | Var():
            return ()
        case ListOf(element) | StreamOf(element):
            return (element,)
        case MapOf(key, value):
            return (key, value)
        case RecordOf(fields) | RecordWith(fields):
            return tuple([of for _, of in fields])
        case UnionOf(members):
            return members
        case Refined(base):
            return (base,)
        case _:
            assert_never(term)


def rebuild(term: NType, change: Callable[[NType], NType]) -> NType:
    """The same type with each direct part changed, in the order of `parts`."""
    match term:
        case Leaf() | Var():
            return term
        case ListOf(element):
            return ListOf(change(element))
        case StreamOf(element):
            return StreamOf(change(element))
        case MapOf(key, value):
            key = change(key)
            return MapOf(key, change(value))
        case RecordOf(fields):
            return RecordOf(changed_fields(fields, change))
        case RecordWith(fields, rest):
            return RecordWith(changed_fields(fields, change), rest)
        case UnionOf(members):
            return UnionOf(tuple([change(each) for each in members]))
        case Refined(base, refinement):
            return Refined(change(base), refinement)
        case _:
            assert_never(term)


def changed_fields(fields: Fields, change: Callable[[NType], NType]) -> Fields:
    """The same fields with each type changed."""
    return tuple([(name, change(of)) for name, of in fields])


def normalised(term: NType) -> NType:
    """The type with every union in it put through the constructor `union`, innermost first."""
    rebuilt = rebuild(term, normalised)
    return union(rebuilt.members) if isinstance(rebuilt, UnionOf) else rebuilt


def mentions_variables(term: NType) -> bool:
    """Whether a variable or an open record occurs anywhere, also below a refinement."""
    if isinstance(term, (Var, RecordWith)):
        return True
    return any(mentions_variables(part) for part in parts(term))


MAX_PARTS: Final = 20_000
"""Terms in one type that was made by filling in variables."""


class TypeTooLargeError(RunnerError):
    """A type grew too large or too deep while variables were filled in."""

    def __init__(self) -> None:
        super().__init__(
            ErrorCode.TYPE_CHECK_FAILED,
            f"a type grew beyond {MAX_PARTS} parts or {MAX_TYPE_DEPTH} levels; use simpler "
            "generic stages here, or switch type_check off",
        )


class PartCount:
    """Counts the parts and levels of one type while it is made."""

    def __init__(self) -> None:
        self._parts = 0
        self._depth = 0

    def __enter__(self) -> None:
        self._parts += 1
        self._depth += 1
        if self._parts > MAX_PARTS or self._depth > MAX_TYPE_DEPTH:
            raise TypeTooLargeError

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
