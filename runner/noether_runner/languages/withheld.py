"""Environment variables that a stage's source names (`scheduler.md` §2, last paragraph).

A variable that is not granted must not be a riddle: the failure text of a stage that reads one
shows the line to add. This is a search in text, not a proof; it is asked only about names that
exist and were withheld.
"""

import re
from collections.abc import Collection

_PYTHON_READS = re.compile(r"\b(?:environ|environb|getenv)\b")
_QUOTED_NAME = re.compile(r"""(['"])([A-Za-z_][A-Za-z0-9_]*)\1""")
_JAVASCRIPT_MEMBER = re.compile(
    r"""\bprocess\.env\s*(?:\?\.\s*)?(?:\.\s*)?(?:\[\s*['"`])?([A-Za-z_$][\w$]*)"""
)
_JAVASCRIPT_PARTS = re.compile(r"\{([^{}]*)\}\s*=\s*process\.env\b")
_WORD = re.compile(r"[A-Za-z_$][\w$]*")
_BASH_VARIABLE = re.compile(r"\$\{?[#!]?([A-Za-z_][A-Za-z0-9_]*)")
_BASH_PRINTENV = re.compile(r"\bprintenv\s+([A-Za-z_][A-Za-z0-9_]*)")


def named_in_source(language: str, code: str, names: Collection[str]) -> tuple[str, ...]:
    """Those of `names` that the source reads as environment variables, sorted.

    In Python any quoted name counts once the source reads the environment at all: stages often
    take the variable's name from their input, with a default (`token_env`).
    """
    if not names:
        return ()
    found: set[str] = set()
    if language == "python":
        if _PYTHON_READS.search(code):
            found.update(match[2] for match in _QUOTED_NAME.finditer(code))
    elif language == "javascript":
        found.update(match[1] for match in _JAVASCRIPT_MEMBER.finditer(code))
        for match in _JAVASCRIPT_PARTS.finditer(code):
            found.update(_WORD.findall(match[1]))
    elif language == "bash":
        found.update(match[1] for match in _BASH_VARIABLE.finditer(code))
        found.update(match[1] for match in _BASH_PRINTENV.finditer(code))
    return tuple(sorted(found.intersection(names)))


def hint(names: tuple[str, ...]) -> str:
    """The sentence that goes with a failure; empty for no names."""
    if not names:
        return ""
    listed = ", ".join(f'"{name}"' for name in names)
    options = " ".join(f"--pass-env {name}" for name in names)
    return (
        f"The stage's source reads {', '.join(names)}, set here but not granted to stages: if it "
        f'needs that, add "pass_env": [{listed}] to the job (noether-run: {options}).'
    )
