"""Compiling the source of a Python stage, wherever its `from __future__` lines stand.

Standard library only. Stages are often registered with helper source pasted in front, which puts
their future imports in the middle of the text; those count as if they came first
(`runtimes.md` §1.3).
"""

import ast
import types

_MISPLACED = "from __future__ imports must occur at the beginning"


def compile_stage(code: str, file: str) -> types.CodeType:
    """The code object of a stage; raises SyntaxError or ValueError as `compile` does.

    Line numbers are those of the source: statements are moved in the syntax tree, not in the
    text, so a line that merely looks like a future import inside a string stays where it is.
    """
    try:
        return compile(code, file, "exec", dont_inherit=True)
    except SyntaxError as error:
        if _MISPLACED not in str(error):
            raise
    tree = ast.parse(code, file)
    future = [statement for statement in tree.body if _is_future(statement)]
    others = [statement for statement in tree.body if not _is_future(statement)]
    first = 1 if others and _is_docstring(others[0]) else 0
    tree.body = [*others[:first], *future, *others[first:]]
    return compile(tree, file, "exec", dont_inherit=True)


def _is_future(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.ImportFrom)
        and statement.module == "__future__"
        and statement.level == 0
    )


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
