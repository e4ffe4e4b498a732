"""Telling what a Python stage threw, whatever it threw: hostile texts, endless chains, no memory.

Standard library only.
"""

import builtins
import traceback
from types import TracebackType
from typing import Any

globals()["__builtins__"] = dict(vars(builtins))
# functions defined below look names up here (CPython), whatever a stage does to `builtins`

_MAX_TEXT = 16 * 1024
"""Longest message and traceback that leave the process; the runner masks, then cuts to 8 KiB."""

_MAX_FRAMES = 30
_MAX_CHAIN = 5
_MAX_GROUP = 5
_MAX_GROUP_DEPTH = 3
_OWN_FOLDER = __file__.rpartition("/")[0]


def failure(error: BaseException, phase: str) -> dict[str, Any]:
    """The members of the error frame for what user code threw, and `status` to exit with.

    `phase` is the class of an ordinary exception: `load_error` or `raised`.
    """
    name = _type_name(error)
    kind, status = phase, 1
    message = _described(error)
    if isinstance(error, SystemExit):
        kind = "exited"
        status, message = _exit_words(error)
    elif isinstance(error, MemoryError):
        kind = "memory"
    return {
        "class": kind,
        "type": name,
        "message": message,
        "traceback": _traceback(error),
        "status": status,
    }


def _described(error: BaseException, depth: int = 0) -> str:
    """`Type: text`, as the last line of a traceback; only `Type` when there is no text.

    What a group holds is named as well: its own text says only how many there are.
    """
    text = _text(error)
    name = _type_name(error)
    told = f"{name}: {text}" if text else name
    if not isinstance(error, BaseExceptionGroup) or depth >= _MAX_GROUP_DEPTH:
        return told
    inner = [_described(each, depth + 1) for each in error.exceptions[:_MAX_GROUP]]
    return _printable(f"{told}: {'; '.join(inner)}")


def _type_name(error: BaseException) -> str:
    try:
        return _printable(type(error).__name__)
    except BaseException:
        return "exception of unknown type"


def _text(value: object) -> str:
    """`str(value)`, made printable and short; survives a `__str__` that raises."""
    try:
        return _printable(str(value))
    except BaseException:
        return "(its text could not be made: __str__ raised)"


def _printable(text: str) -> str:
    """The text without lone surrogates, cut."""
    cut = text[:_MAX_TEXT]
    return cut.encode("utf-8", "backslashreplace").decode("utf-8")


def _exit_words(error: SystemExit) -> tuple[int, str]:
    """Exit status and message of `sys.exit(...)`."""
    code = error.code
    if code is None:
        code = 0
    if isinstance(code, int):
        status = int(code) & 0xFF
        return status, f"exited with status {status} before returning a result"
    return 1, f"exited with status 1 before returning a result: {_text(code)}"


def _traceback(error: BaseException) -> str:
    """The author's frames of the exception and of what caused it, oldest first; the tail of it."""
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and len(parts) < _MAX_CHAIN and id(current) not in seen:
        seen.add(id(current))
        parts.append(_one_traceback(current))
        if current.__cause__ is not None:
            current = current.__cause__
        elif current.__suppress_context__:
            current = None
        else:
            current = current.__context__
    return "\n\n".join(reversed(parts))[-_MAX_TEXT:]


def _one_traceback(error: BaseException) -> str:
    try:
        frames = traceback.extract_tb(_skip_own(error.__traceback__), limit=-_MAX_FRAMES)
        lines = traceback.format_list(frames)
    except BaseException:
        lines = []
    text = "".join(lines)
    head = "Traceback (most recent call last):\n" if text else ""
    return _printable_tail(f"{head}{text}") + _described(error) + _notes(error)


def _notes(error: BaseException) -> str:
    """What was added to the exception (PEP 678), a line each."""
    try:
        return "".join(f"\n{_text(note)}" for note in error.__notes__)
    except BaseException:
        return ""


def _printable_tail(text: str) -> str:
    return text[-_MAX_TEXT:].encode("utf-8", "backslashreplace").decode("utf-8")


def _skip_own(trace: TracebackType | None) -> TracebackType | None:
    """The traceback below our own frames: between them are those of the library that awaits."""
    below = each = trace
    while each is not None:
        if each.tb_frame.f_code.co_filename.startswith(_OWN_FOLDER):
            below = each.tb_next
        each = each.tb_next
    return below
