"""What a Python spec must look like to be runnable as a stage (`stages.md` §6.4).

It defines a module-level `execute`, has no main block, and reads no standard input while it is
imported. Decided on the syntax tree; source that this Python cannot parse (written for another
version) is judged line by line, as the reference does.
"""

import ast
import warnings
from collections.abc import Iterator
from typing import Literal

from noether_contract.lean_dataclass import dataclass

LANGUAGES = frozenset({"python", "python3"})
"""Languages that the check applies to, spelled exactly so."""

BreachKind = Literal["python_missing_execute", "python_main_block", "python_stdin_read"]


@dataclass(frozen=True, slots=True)
class Breach:
    """The rule that a source breaks, and the line (from 1) where; None when nothing is there."""

    kind: BreachKind
    line: int | None

    @property
    def message(self) -> str:
        """A sentence for the author."""
        return _MESSAGES[self.kind] + (f" (line {self.line})" if self.line else "")


_MESSAGES: dict[BreachKind, str] = {
    "python_missing_execute": "the Python source defines no function execute at module level; "
    "write `def execute(input):`",
    "python_main_block": "the Python source has an `if __name__ == '__main__'` block, which a "
    "stage never runs; remove it",
    "python_stdin_read": "the Python source reads standard input (sys.stdin or input()) while it "
    "is imported; the stage's input is the argument of execute",
}


def contract_breach(source: str) -> Breach | None:
    """The first broken rule in the order execute, main block, standard input; None if none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _breach_by_line(source)
    if not any(_is_execute(statement) for statement in module.body):
        return Breach("python_missing_execute", None)
    for statement in module.body:
        if isinstance(statement, ast.If) and _asks_for_main(statement.test):
            return Breach("python_main_block", statement.lineno)
    for node in _run_at_import(module):
        if _reads_stdin(node):
            return Breach("python_stdin_read", getattr(node, "lineno", None))
    return None


def _is_execute(statement: ast.stmt) -> bool:
    match statement:
        case ast.FunctionDef(name="execute") | ast.AsyncFunctionDef(name="execute"):
            return True
        case _:
            return False


def _asks_for_main(test: ast.expr) -> bool:
    nodes = list(ast.walk(test))
    return any(isinstance(node, ast.Name) and node.id == "__name__" for node in nodes) and any(
        isinstance(node, ast.Constant) and node.value == "__main__" for node in nodes
    )


def _run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes in source order, without the bodies of functions, lambdas and classes."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                outside = [*child.decorator_list, *_defaults(child.args)]
            case ast.Lambda():
                outside = _defaults(child.args)
            case ast.ClassDef():
                outside = [*child.decorator_list, *child.bases]
            case _:
                yield child
                yield from _run_at_import(child)
                continue
        for expression in outside:
            yield expression
            yield from _run_at_import(expression)


def _defaults(arguments: ast.arguments) -> list[ast.expr]:
    return [*arguments.defaults, *(default for default in arguments.kw_defaults if default)]


def _reads_stdin(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id="sys"), attr="stdin"):
            return True
        case ast.Call(func=ast.Name(id="input")):
            return True
        case _:
            return False


def _breach_by_line(source: str) -> Breach | None:
    lines = [
        (number, line)
        for number, line in enumerate(source.split("\n"), start=1)
        if not line.startswith((" ", "\t"))
    ]
    if not any(line.startswith(("def execute(", "async def execute(")) for _, line in lines):
        return Breach("python_missing_execute", None)
    for number, line in lines:
        if line.startswith("if __name__") and ("'__main__'" in line or '"__main__"' in line):
            return Breach("python_main_block", number)
    for number, line in lines:
        if "sys.stdin" in line or line.startswith("input(") or " input(" in line:
            return Breach("python_stdin_read", number)
    return None
