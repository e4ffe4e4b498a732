"""The Rust crate `regex`, as far as pydantic's core offers it: is a pattern valid, does it match.

pydantic is there anyway, is well kept, and ships the very engine of the reference. It does not
say where a match is: that is what `regex_engine.py` adds, with this as the judge of patterns and
of single characters.
"""

from collections.abc import Callable
from functools import lru_cache

from pydantic_core import SchemaError, SchemaValidator, core_schema

Matches = Callable[[str], bool]
"""Whether a pattern matches somewhere in a text; in a time linear in the length of the text."""

_PREFIX = "SchemaError: "


class RegexError(Exception):
    """A pattern is not valid; the text is the engine's own explanation."""


def rust_regex(pattern: str) -> Matches:
    """A pattern at work; raises `RegexError`."""
    try:
        schema = core_schema.str_schema(pattern=pattern, regex_engine="rust-regex")
        return SchemaValidator(schema).isinstance_python
    except SchemaError as error:
        raise RegexError(str(error).partition(_PREFIX)[2] or str(error)) from None


@lru_cache(maxsize=256)
def is_one_of(source: str) -> Matches:
    """Whether a text is a single character of those that a part of a pattern stands for."""
    return rust_regex(rf"\A{source}\z")
