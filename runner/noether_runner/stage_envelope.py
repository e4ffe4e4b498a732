"""What `noether-stage` prints: envelopes for programs, sentences for people (`stages.md` §6.11).

Success is one pretty JSON object on standard output, an error one on standard error, both UTF-8
whatever the locale says. Sentences on standard error may stand before an envelope there.
"""

import sys
import time
from typing import Any, TextIO

import orjson

from noether_contract import __version__
from noether_contract.lean_dataclass import dataclass
from noether_runner.errors import RunnerError
from noether_runner.stages.errors import SpecError
from noether_runner.stages.signing import KeyFileError
from noether_runner.stages.spec_checks import SIGNATURE_KINDS
from noether_runner.stores.ledger import RefusedError
from noether_runner.stores.listing import NotFoundError

FAILED = 1
REFUSED = 2


@dataclass(frozen=True, slots=True)
class Answer:
    """What one command prints; `started` is when it began, on the monotonic clock."""

    started: float

    def succeed(self, data: dict[str, Any], *, ok: bool = True) -> None:
        """Prints the envelope of a command that did its work; `ok` tells whether all was well."""
        self._envelope(sys.stdout, {"ok": ok, "command": "noether", "data": data})

    def fail(self, error: RunnerError) -> int:
        """Prints the envelope of an error; gives the exit code."""
        code, kind, hints = _described(error)
        told: dict[str, Any] = {"code": code, "kind": kind, "message": error.message}
        if hints:
            told |= {"hint": hints[0], "hints": list(hints)}
        self._envelope(sys.stderr, {"ok": False, "command": "noether", "error": told})
        return REFUSED if kind in SIGNATURE_KINDS or isinstance(error, KeyFileError) else FAILED

    def misuse(self, message: str) -> None:
        """Prints the envelope of a usage error."""
        told = {"code": "INVALID_ARGS", "kind": "usage", "message": message}
        self._envelope(sys.stderr, {"ok": False, "command": "noether", "error": told})

    def _envelope(self, stream: TextIO, document: dict[str, Any]) -> None:
        duration_ms = int((time.monotonic() - self.started) * 1000)
        meta = {"duration_ms": duration_ms, "version": __version__}
        print_json({**document, "meta": meta}, stream)


def print_json(document: object, stream: TextIO) -> None:
    """Prints a document with two spaces of indent."""
    print_text(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode(), stream)


def print_text(text: str, stream: TextIO) -> None:
    """Prints a text and a newline in UTF-8."""
    stream.flush()
    stream.buffer.write(text.encode("utf-8", "replace") + b"\n")
    stream.flush()


def tell(sentence: str) -> None:
    """Says something to a person, on standard error."""
    print_text(f"noether-stage: {sentence}", sys.stderr)


def _described(error: RunnerError) -> tuple[str, str, tuple[str, ...]]:
    """The code, among the words that the envelope allows; our own kind of error; hints."""
    match error:
        case SpecError():
            code = "CONFLICT" if error.kind == "language_conflict" else "GENERAL_ERROR"
            return code, error.kind, error.hints
        case NotFoundError():
            return "NOT_FOUND", error.kind, error.hints
        case RefusedError():
            return "PRECONDITION_FAILED", error.kind, ()
        case KeyFileError():
            return "GENERAL_ERROR", "key_file", ()
        case _:
            return "GENERAL_ERROR", str(error.code), ()
