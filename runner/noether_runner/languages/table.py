"""The table of languages: a tag of a stage record in, a language out (`runtimes.md` §1.1)."""

from noether_contract.outcomes import ErrorClass
from noether_runner.errors import StageError
from noether_runner.languages.bash import Bash
from noether_runner.languages.javascript import JavaScript
from noether_runner.languages.language import Language
from noether_runner.languages.python import Python

LANGUAGES: tuple[Language, ...] = (Python(), JavaScript(), Bash())

_CANONICAL = frozenset({"", "python", "python3", "javascript", "js", "bash", "sh"})
_BY_SPELLING = {spelling: language for language in LANGUAGES for spelling in language.spellings}


def find_language(tag: str | None) -> tuple[Language, tuple[str, ...]]:
    """The language for a tag, with warnings about the tag; raises StageError for an unknown one.

    A missing tag means Python.
    """
    if tag is None:
        python = _BY_SPELLING["python"]
        return python, ("the stage has code but names no language; it is run as python",)
    language = _BY_SPELLING.get(tag.lower())
    if language is None:
        known = ", ".join(language.name for language in LANGUAGES)
        raise StageError(
            ErrorClass.RUNTIME_UNAVAILABLE,
            f"unknown language {tag[:100]!r}; stages are written in one of: {known}",
        )
    if tag in _CANONICAL:
        return language, ()
    return language, (f"the language is written {tag!r}; the usual spelling is {language.name!r}",)
