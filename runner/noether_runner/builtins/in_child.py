"""What runs a standard stage in a process of its own: the child's half of `standard_stages.py`.

Request and answer are plain JSON values. The answer says by its members how the stage ended, so
that a stage's own message is never wrapped in a Python traceback: `output`, or `failed` with the
message; `warnings` in any case.
"""

import os
import sys
from collections.abc import Mapping

from noether_contract.json_values import JsonValue
from noether_runner.builtins.builtin import BuiltinError, Reach
from noether_runner.builtins.lookup import builtins_of

PROGRAM = """from noether_runner.builtins.in_child import answer


def execute(request):
    return answer(*request)
"""
"""The stage program that calls `answer`; its input is the list of the arguments."""


def answer(theme: str, name: str, argument: JsonValue, directory: str) -> dict[str, JsonValue]:
    """Runs one stage in the given working directory."""
    context = _ChildContext()
    told: dict[str, JsonValue] = {"warnings": context.warnings}
    try:
        os.chdir(directory)
    except OSError as error:
        return {"failed": f"the working directory {directory} is gone: {error.strerror}", **told}
    try:
        return {"output": builtins_of(theme)[name].run(argument, context), **told}
    except BuiltinError as error:
        return {"failed": error.message, **told}


class _ChildContext:
    """What a stage may ask of its run, here: its environment is simply that of the process."""

    def __init__(self) -> None:
        self.warnings: list[JsonValue] = []

    @property
    def environment(self) -> Mapping[str, str]:
        return os.environ

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def log(self, text: str) -> None:
        sys.stdout.write(text)

    @property
    def reach(self) -> Reach:
        raise BuiltinError("a stage in a process of its own cannot reach the run around it")
