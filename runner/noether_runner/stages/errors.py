"""How the reading of a stage record or of a hand-written spec can fail."""

from noether_contract.outcomes import ErrorCode
from noether_runner.errors import RunnerError


class RecordError(RunnerError):
    """A stage record cannot be read (`stages.md` §1).

    `where` is the member's place in the record (`signature.effects[1].cents`; empty for the whole
    record), `reason` says what was expected and what was met.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(ErrorCode.STORE_UNREADABLE, f"{where}: {reason}" if where else reason)
        self.where = where
        self.reason = reason


class SpecError(RunnerError):
    """A spec file is refused before anything is stored; `kind` is a name of `stages.md` §6.5.

    `hints` are further sentences for a person: what to write instead.
    """

    def __init__(self, kind: str, message: str, *, hints: tuple[str, ...] = ()) -> None:
        super().__init__(ErrorCode.BAD_REQUEST, message)
        self.kind = kind
        self.hints = hints


def json_kind(value: object) -> str:
    """The JSON word for the kind of a value, for sentences that say what was met."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, list):
        return "an array"
    return "an object"
