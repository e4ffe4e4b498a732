"""From the structure of a regular expression to instructions for a machine without backtracking.

The order of alternatives in a `Fork` is the order of preference. The shapes are those of the Rust
engine: what can match the empty text needs care, or a repetition would prefer wrongly.
"""

from dataclasses import field
from itertools import pairwise
from typing import TypeAlias, assert_never

from noether_contract.lean_dataclass import dataclass
from noether_runner.builtins.regex_terms import (
    At,
    Choice,
    Empty,
    Group,
    Look,
    One,
    Repeat,
    Sequel,
    Term,
)


@dataclass(slots=True)
class Eat:
    """Takes one character out of the set number `member` and goes on at `next`."""

    member: int
    next: int = -1


@dataclass(slots=True)
class Check:
    """Goes on at `next` if a condition holds here."""

    look: Look
    unicode: bool
    next: int = -1


@dataclass(slots=True)
class Mark:
    """Notes the place in a slot (twice the index of a group, and one more for its end)."""

    slot: int
    next: int = -1


@dataclass(slots=True)
class Fork:
    """Goes on at several places, the first preferred."""

    nexts: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Done:
    """A match."""


Instruction: TypeAlias = Eat | Check | Mark | Fork | Done


@dataclass(frozen=True, slots=True)
class Program:
    """Instructions; execution begins at `start`. `members` are the sets of characters by number."""

    instructions: tuple[Instruction, ...]
    start: int
    members: tuple[One, ...]
    groups: int
    looks: bool

    @property
    def size(self) -> int:
        """The number of instructions."""
        return len(self.instructions)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Instructions with one way in and one way out: `end` is patched to what follows."""

    start: int
    end: int


def program_of(term: Term) -> Program:
    """The program of a whole pattern."""
    return _Compiler().whole(term)


class _Compiler:
    def __init__(self) -> None:
        self._instructions: list[Instruction] = []
        self._members: dict[One, int] = {}
        self._groups = 0
        self._looks = False

    def whole(self, term: Term) -> Program:
        """The program of a whole pattern."""
        piece = self._piece(term)
        self._patch(piece.end, self._add(Done()))
        return Program(
            tuple(self._instructions),
            piece.start,
            tuple(self._members),
            self._groups,
            self._looks,
        )

    def _piece(self, term: Term) -> _Piece:
        match term:
            case Empty():
                return self._single(Fork())
            case One():
                return self._single(Eat(self._members.setdefault(term, len(self._members))))
            case At(look, unicode):
                self._looks = True
                return self._single(Check(look, unicode))
            case Group(index, inner):
                self._groups = max(self._groups, index)
                begin = self._add(Mark(2 * index))
                return self._chain(begin, self._piece(inner), self._add(Mark(2 * index + 1)))
            case Sequel(parts):
                pieces = [self._piece(part) for part in parts]
                for before, after in pairwise(pieces):
                    self._patch(before.end, after.start)
                return _Piece(pieces[0].start, pieces[-1].end)
            case Choice(parts):
                fork, end = self._add(Fork()), self._add(Fork())
                for part in parts:
                    piece = self._piece(part)
                    self._patch(fork, piece.start)
                    self._patch(piece.end, end)
                return _Piece(fork, end)
            case Repeat():
                return self._repeat(term)
            case _:
                assert_never(term)

    def _repeat(self, term: Repeat) -> _Piece:
        match term.least, term.most:
            case 0, 1:
                return self._bounded(term, 0, 1)
            case 0, None if term.inner.shortest > 0:
                fork = _ForkOf(self, term)
                inner = self._piece(term.inner)
                fork.to(inner.start)
                self._patch(inner.end, fork.at)
                return fork.piece()
            case 0, None:
                return self._optional_loop(term)
            case least, None:
                return self._at_least(term, least)
            case least, most:
                assert most is not None
                return self._bounded(term, least, most)

    def _optional_loop(self, term: Repeat) -> _Piece:
        """`x*` as `(?:x+)?`: else the order of preference is lost when x can match nothing."""
        question = _ForkOf(self, term)
        loop = self._at_least(term, 1)
        question.to(loop.start)
        end = self._add(Fork())
        self._patch(question.exit(), end)
        self._patch(loop.end, end)
        return _Piece(question.at, end)

    def _at_least(self, term: Repeat, least: int) -> _Piece:
        before = self._copies(term.inner, least - 1)
        last = self._piece(term.inner)
        fork = _ForkOf(self, term)
        fork.to(last.start)
        self._patch(last.end, fork.at)
        exit_at = fork.exit()
        if before is None:
            return _Piece(last.start, exit_at)
        self._patch(before.end, last.start)
        return _Piece(before.start, exit_at)

    def _bounded(self, term: Repeat, least: int, most: int) -> _Piece:
        """The optional copies stand inside one another, so that one of them can end them all."""
        before = self._copies(term.inner, least)
        end = self._add(Fork())
        previous = before
        start = None if before is None else before.start
        for _ in range(least, most):
            fork = _ForkOf(self, term)
            inner = self._piece(term.inner)
            fork.to(inner.start)
            self._patch(fork.exit(), end)
            if previous is not None:
                self._patch(previous.end, fork.at)
            start = fork.at if start is None else start
            previous = inner
        assert previous is not None
        assert start is not None
        self._patch(previous.end, end)
        return _Piece(start, end)

    def _copies(self, term: Term, count: int) -> _Piece | None:
        first: _Piece | None = None
        last: _Piece | None = None
        for _ in range(count):
            piece = self._piece(term)
            if last is not None:
                self._patch(last.end, piece.start)
            first, last = first or piece, piece
        return None if first is None or last is None else _Piece(first.start, last.end)

    def _single(self, instruction: Instruction) -> _Piece:
        at = self._add(instruction)
        return _Piece(at, at)

    def _chain(self, begin: int, inner: _Piece, end: int) -> _Piece:
        self._patch(begin, inner.start)
        self._patch(inner.end, end)
        return _Piece(begin, end)

    def _add(self, instruction: Instruction) -> int:
        self._instructions.append(instruction)
        return len(self._instructions) - 1

    def _patch(self, at: int, to: int) -> None:
        match self._instructions[at]:
            case Fork(nexts):
                nexts.append(to)
            case Eat() | Check() | Mark() as instruction:
                instruction.next = to
            case Done():
                raise AssertionError("nothing follows a match")


class _ForkOf:
    """The fork of a repetition: once more, or out; which one first is a matter of its greed."""

    def __init__(self, compiler: _Compiler, term: Repeat) -> None:
        self._compiler = compiler
        self._greedy = term.greedy
        self._fork = Fork()
        self.at = compiler._add(self._fork)

    def to(self, start: int) -> None:
        """Once more."""
        self._fork.nexts.append(start)

    def exit(self) -> int:
        """The way out: an instruction to be patched to what follows."""
        out = self._compiler._add(Fork())
        self._fork.nexts.insert(1 if self._greedy else 0, out)
        return out

    def piece(self) -> _Piece:
        """The whole, entered and left at the fork."""
        return _Piece(self.at, self.exit())
