"""Characters as a pattern sees them: those that it cannot tell apart are of one kind.

Which characters a part of the pattern stands for is asked of the Rust engine, once a character.
"""

from collections.abc import Callable
from typing import Final

from noether_runner.builtins.regex_program import Program
from noether_runner.builtins.regex_rust import is_one_of
from noether_runner.builtins.regex_terms import Look, One

NO_CHARACTER: Final = 0
"""The kind of what is before the first character and after the last."""

_NONE: Final = ""


class Kinds:
    """The kinds of characters met so far; `members` says of each which sets it belongs to."""

    def __init__(self, program: Program) -> None:
        self._judges = [_judge(one) for one in program.members]
        self._looks = program.looks
        self._of_character: dict[str, int] = {}
        self._numbers: dict[tuple[object, ...], int] = {}
        self._samples = [_NONE]
        self.members: list[frozenset[int]] = [frozenset()]

    def of(self, text: str) -> list[int]:
        """The kinds of all characters, and `NO_CHARACTER` at the end."""
        known = self._of_character
        for character in set(text).difference(known):
            known[character] = self._kind(character)
        return [*map(known.__getitem__, text), NO_CHARACTER]

    def _kind(self, character: str) -> int:
        members = frozenset([at for at, judge in enumerate(self._judges) if judge(character)])
        told_apart: tuple[object, ...] = (members,)
        if self._looks:
            line_end = character if character in "\r\n" else _NONE
            words = [is_word(character, unicode=each) for each in (True, False)]
            told_apart = (members, line_end, *words)
        number = self._numbers.setdefault(told_apart, len(self.members))
        if number == len(self.members):
            self.members.append(members)
            self._samples.append(character)
        return number

    def holds(self, look: Look, before: int, after: int, *, unicode: bool) -> bool:
        """Whether a condition holds between characters of two kinds."""
        left, right = self._samples[before], self._samples[after]
        match look:
            case Look.TEXT_START:
                return left == _NONE
            case Look.TEXT_END:
                return right == _NONE
            case Look.LINE_START:
                return left in (_NONE, "\n")
            case Look.LINE_END:
                return right in (_NONE, "\n")
            case Look.CRLF_START:
                return left in (_NONE, "\n") or (left == "\r" and right != "\n")
            case Look.CRLF_END:
                return right in (_NONE, "\r") or (right == "\n" and left != "\r")
            case _:
                words = is_word(left, unicode=unicode), is_word(right, unicode=unicode)
                return _between_words(look, *words)


def _between_words(look: Look, before: bool, after: bool) -> bool:
    match look:
        case Look.BOUNDARY:
            return before != after
        case Look.NO_BOUNDARY:
            return before == after
        case Look.WORD_START:
            return not before and after
        case Look.WORD_END:
            return before and not after
        case Look.WORD_START_HALF:
            return not before
        case _:
            return not after


def is_word(character: str, *, unicode: bool) -> bool:
    """Whether a character is part of a word, in Unicode's sense or that of ASCII."""
    return is_one_of(r"\w" if unicode else r"(?-u:\w)")(character)


def _judge(one: One) -> Callable[[str], bool]:
    if one.literal:
        wanted = one.source
        return lambda character: character == wanted
    return is_one_of(one.source)
