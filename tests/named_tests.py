"""Pages that prove their promises by tests: which tests a page names, and whether they exist.

A page names a test as `` `test_file.py::test_function` ``; the file lies anywhere below `tests`.
A table whose last heading is `proven by` has such a name in every row.
"""

import ast
import functools
import re
from pathlib import Path

TOP = Path(__file__).parent.parent

_NAMED = re.compile(r"`(test_\w+\.py)::(test_\w+)`")
_PROVEN_ROWS = re.compile(r"\| proven by \|\n\|[-|]+\|\n((?:\|.*\|\n)+)")
_LIKE_A_TEST = re.compile(r"`[^`\n]*test_[^`\n]*`")


def missing_tests(page: str) -> list[str]:
    """The tests that a page names and that do not exist."""
    named = sorted(set(_NAMED.findall(page)))
    return [f"{name}::{test}" for name, test in named if test not in _functions_of(name)]


def unproven_rows(page: str) -> tuple[list[str], int]:
    """The rows of `proven by` tables that name no test, and how many rows there are in all."""
    rows = [row for table in _PROVEN_ROWS.findall(page) for row in table.splitlines()]
    return [row for row in rows if not _NAMED.search(row)], len(rows)


def badly_named_tests(page: str) -> set[str]:
    """Whatever looks like a test and is not named in full."""
    named = {f"`{name}::{test}`" for name, test in _NAMED.findall(page)}
    return set(_LIKE_A_TEST.findall(page)) - named


@functools.cache
def _functions_of(name: str) -> frozenset[str]:
    paths = list((TOP / "tests").rglob(name))
    if len(paths) != 1:
        return frozenset()
    parsed = ast.parse(paths[0].read_text(encoding="utf-8"))
    functions = (node for node in ast.walk(parsed) if isinstance(node, ast.FunctionDef))
    return frozenset(function.name for function in functions)
