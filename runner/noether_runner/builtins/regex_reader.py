"""Reads the structure of a regular expression that the Rust engine has accepted.

Only the structure: which groups, choices, repetitions and conditions there are. What a single
character may be (classes, escapes, `.`, letters without case) stays in the words of the pattern
and is left to the engine. Syntax: `stdlib.md` §8.1, and the documentation of the crate `regex`.
"""

import re
from dataclasses import field
from typing import Final

from noether_contract.lean_dataclass import dataclass
from noether_runner.builtins.fields import WHITE_SPACE
from noether_runner.builtins.regex_terms import At, Look, One, Term, choice, group, repeat, sequel

_COUNT: Final = re.compile(r"\{\s*([0-9]+)\s*(,\s*([0-9]*)\s*)?\}")
_FLAGS: Final = re.compile(r"\?([a-zA-Z-]*)([:)])")
_NAME: Final = re.compile(r"\?P?<([^>]*)>")
_WORD_LOOK: Final = re.compile(r"\{\s*(start|end|start-half|end-half)\s*\}")
_BRACED: Final = re.compile(r"\s*\{[^}]*\}")
_HEX_DIGITS: Final = {"x": 2, "u": 4, "U": 8}
_LOOKS: Final = {
    "A": Look.TEXT_START,
    "z": Look.TEXT_END,
    "b": Look.BOUNDARY,
    "B": Look.NO_BOUNDARY,
    "<": Look.WORD_START,
    ">": Look.WORD_END,
    "start": Look.WORD_START,
    "end": Look.WORD_END,
    "start-half": Look.WORD_START_HALF,
    "end-half": Look.WORD_END_HALF,
}
_SET_OPERATORS: Final = ("&&", "--", "~~")
_FLAGS_OF_ONE: Final = "isuxR"
"""Flags that change which characters a part of the pattern stands for."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """The structure of a pattern; `names` are those of its groups, by index."""

    term: Term
    names: dict[str, int]


@dataclass(slots=True)
class _Open:
    """A group that is being read."""

    flags: frozenset[str]
    index: int | None = None
    choices: list[Term] = field(default_factory=list)
    parts: list[Term] = field(default_factory=list)

    def term(self) -> Term:
        """What has been read of it."""
        inner = choice([*self.choices, sequel(self.parts)])
        return inner if self.index is None else group(self.index, inner)


def read_pattern(pattern: str) -> Pattern:
    """The structure of a pattern that is known to be valid."""
    return _Reader(pattern).read()


class _Reader:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._flags: frozenset[str] = frozenset("u")
        self._groups = 0
        self._names: dict[str, int] = {}
        self._open = [_Open(self._flags)]

    def read(self) -> Pattern:
        """The whole pattern."""
        while self._skip_blanks() and self._at < len(self._pattern):
            self._read_one(self._pattern[self._at])
        return Pattern(self._open[0].term(), self._names)

    def _read_one(self, sign: str) -> None:
        current = self._open[-1]
        match sign:
            case "(":
                self._begin_group()
            case ")":
                self._at += 1
                ended = self._open.pop()
                self._flags = ended.flags
                self._open[-1].parts.append(ended.term())
            case "|":
                self._at += 1
                current.choices.append(sequel(current.parts))
                current.parts = []
            case "*" | "+" | "?":
                self._at += 1
                self._repeat({"*": 0, "+": 1, "?": 0}[sign], 1 if sign == "?" else None)
            case "{":
                self._repeat_counted()
            case _:
                current.parts.append(self._part(sign))

    def _part(self, sign: str) -> Term:
        start = self._at
        match sign:
            case "^":
                self._at += 1
                return At(self._line_look(Look.TEXT_START, Look.LINE_START, Look.CRLF_START))
            case "$":
                self._at += 1
                return At(self._line_look(Look.TEXT_END, Look.LINE_END, Look.CRLF_END))
            case "\\":
                look = self._look()
                if look is not None:
                    return At(look, "u" in self._flags)
                self._at = self._escape_end(start)
            case "[":
                self._at = self._class_end(start)
            case ".":
                self._at += 1
            case _:
                self._at += 1
                if "i" not in self._flags:
                    return One(sign, literal=True)
        return One(self._with_flags(self._pattern[start : self._at]))

    def _line_look(self, text: Look, line: Look, crlf: Look) -> Look:
        if "m" not in self._flags:
            return text
        return crlf if "R" in self._flags else line

    def _look(self) -> Look | None:
        """The condition that an escape stands for, if it does."""
        letter = self._pattern[self._at + 1]
        if letter == "b":
            special = _WORD_LOOK.match(self._pattern, self._at + 2)
            if special is not None:
                self._at = special.end()
                return _LOOKS[special[1]]
        found = _LOOKS.get(letter) if letter in "AzbB<>" else None
        if found is not None:
            self._at += 2
        return found

    def _with_flags(self, source: str) -> str:
        """The part alone, under the flags that hold where it stands."""
        on = "".join(flag for flag in _FLAGS_OF_ONE if flag in self._flags)
        off = "" if "u" in self._flags else "-u"
        return f"(?{on}{off}:{source})"

    def _begin_group(self) -> None:
        self._at += 1
        self._skip_blanks()
        outer = self._flags
        if named := _NAME.match(self._pattern, self._at):
            self._at = named.end()
            self._open.append(_Open(outer, self._next_group()))
            self._names[named[1]] = self._groups
        elif flags := _FLAGS.match(self._pattern, self._at):
            self._at = flags.end()
            self._flags = _changed(outer, flags[1])
            if flags[2] == ":":
                self._open.append(_Open(outer))
        else:
            self._open.append(_Open(outer, self._next_group()))

    def _next_group(self) -> int:
        self._groups += 1
        return self._groups

    def _repeat_counted(self) -> None:
        found = _COUNT.match(self._pattern, self._at)
        assert found is not None
        self._at = found.end()
        self._skip_blanks()
        least = int(found[1])
        most = least if found[2] is None else int(found[3]) if found[3] else None
        self._repeat(least, most)

    def _repeat(self, least: int, most: int | None) -> None:
        lazy = self._pattern.startswith("?", self._at)
        self._at += lazy
        parts = self._open[-1].parts
        parts[-1] = repeat(parts[-1], least, most, greedy=lazy == ("U" in self._flags))

    def _skip_blanks(self) -> bool:
        """With the flag `x`, white space and comments mean nothing."""
        self._at = self._after_blanks(self._at)
        return True

    def _after_blanks(self, at: int) -> int:
        pattern = self._pattern
        while "x" in self._flags and at < len(pattern):
            if pattern[at] in WHITE_SPACE:
                at += 1
            elif pattern[at] == "#":
                end = pattern.find("\n", at)
                at = len(pattern) if end < 0 else end + 1
            else:
                break
        return at

    def _escape_end(self, start: int) -> int:
        """Where the escape that begins at `start` ends."""
        letter, at = self._pattern[start + 1], start + 2
        if letter not in "xuUpP":
            return at
        at = self._after_blanks(at)
        braced = _BRACED.match(self._pattern, at)
        if braced is not None:
            return braced.end()
        for _ in range(_HEX_DIGITS.get(letter, 1)):
            at = self._after_blanks(at) + 1
        return at

    def _class_end(self, start: int) -> int:
        """Where the class that begins at `start` ends."""
        at, depth = start, 0
        while True:
            at = self._after_blanks(at)
            sign = self._pattern[at]
            if sign == "[":
                depth += 1
                at = self._after_class_start(at)
            elif sign == "]":
                depth -= 1
                at += 1
                if depth == 0:
                    return at
            elif self._pattern.startswith(_SET_OPERATORS, at):
                at += 2
            else:
                at = self._after_members(at)

    def _after_class_start(self, at: int) -> int:
        """After `[`, `^`, and what is a plain member there: every `-`, or else a single `]`."""
        at = self._after_blanks(at + 1)
        if self._pattern[at] == "^":
            at = self._after_blanks(at + 1)
        if self._pattern[at] == "]":
            return at + 1
        while self._pattern[at] == "-":
            at = self._after_blanks(at + 1)
        return at

    def _after_members(self, at: int) -> int:
        """After one member of a class or a range of them, which may end at a plain `[`."""
        at = self._after_member(at)
        dash = self._after_blanks(at)
        if self._pattern[dash] != "-":
            return at
        last = self._after_blanks(dash + 1)
        return at if self._pattern[last] in "]-" else self._after_member(last)

    def _after_member(self, at: int) -> int:
        return self._escape_end(at) if self._pattern[at] == "\\" else at + 1


def _changed(flags: frozenset[str], change: str) -> frozenset[str]:
    """The flags after a change such as `i-s`."""
    on, _, off = change.partition("-")
    return (flags | set(on)) - set(off)
