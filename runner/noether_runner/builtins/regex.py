"""Standard stages with regular expressions, in the dialect of Rust's crate (`stdlib.md` §8.1)."""

import re
from typing import Final

from noether_contract.json_values import JsonValue
from noether_runner.builtins.builtin import Builtin, BuiltinError, Context
from noether_runner.builtins.fields import bounded, record_of, text_field
from noether_runner.builtins.regex_engine import Match, Regex, RegexError, compiled

_INDEX = re.compile(r"\+?0*([0-9]{1,9})")
_REFERENCE = re.compile(r"\$(?:\$|([0-9A-Za-z_]+)|\{([^}]*)\})")


def regex_match(value: JsonValue, context: Context) -> JsonValue:
    """The first match anywhere in the text, and its groups; null for one that took no part."""
    record = record_of(value)
    text = text_field(record, "text")
    pattern = _pattern(text_field(record, "pattern"))
    found = next(pattern.matches(text, context.reach.go_on), None)
    if found is None:
        return {"matched": False, "full_match": None, "groups": []}
    groups: list[JsonValue] = [found.text(group, text) for group in range(1, pattern.groups + 1)]
    return {"matched": True, "full_match": found.text(0, text), "groups": groups}


def regex_replace(value: JsonValue, context: Context) -> JsonValue:
    """The text with every match replaced; `$1`, `$name` and `${name}` stand for groups."""
    record = record_of(value)
    text = text_field(record, "text")
    pattern_text = text_field(record, "pattern")
    replacement = _Replacement(text_field(record, "replacement"))
    pattern = _pattern(pattern_text)
    pieces: list[str] = []
    last = added = 0
    for found in pattern.matches(text, context.reach.go_on):
        filling = replacement.filled(pattern, found, text)
        added += len(filling)
        bounded(added)
        pieces += [text[last : found.start], filling]
        last = found.end
    return "".join([*pieces, text[last:]])


def _pattern(pattern: str) -> Regex:
    try:
        return compiled(pattern)
    except RegexError as error:
        raise BuiltinError(f"invalid regex: {error}") from None


class _Replacement:
    """A replacement text: pieces as they are, and the names of groups between them.

    A `$` that begins neither a name, nor `${…}`, nor `$$` is a plain character.
    """

    def __init__(self, text: str) -> None:
        self._pieces: list[tuple[str, str | None]] = []
        last = 0
        for found in _REFERENCE.finditer(text):
            before = text[last : found.start()]
            name = found[1] if found[2] is None else found[2]
            self._pieces.append((before + "$", None) if name is None else (before, name))
            last = found.end()
        self._pieces.append((text[last:], None))

    def filled(self, pattern: Regex, match: Match, text: str) -> str:
        """The replacement of one match; an unknown group is empty."""
        parts = []
        for piece, name in self._pieces:
            parts.append(piece)
            if name is not None:
                number = _number(name)
                number = pattern.names.get(name) if number is None else number
                parts.append((match.text(number, text) if number is not None else None) or "")
        return "".join(parts)


def _number(name: str) -> int | None:
    """The index that a name in a replacement is: `1`, `+1` and `001` are the same one.

    None for what is no number, and for one that no group has.
    """
    found = _INDEX.fullmatch(name)
    return None if found is None else int(found[1])


STAGES: Final = (
    Builtin("regex_match", regex_match),
    Builtin("regex_replace", regex_replace),
)
