"""Standard stages about types (`stdlib.md` §11.3)."""

from typing import Final

from noether_contract.json_values import JsonValue
from noether_runner.builtins.builtin import BuiltinError, plain
from noether_runner.builtins.fields import record_of
from noether_runner.types.shorthand import read_spec_type
from noether_runner.types.subtype import mismatch, reason_text
from noether_runner.types.terms import NType, TypeSyntaxError


def type_check(value: JsonValue) -> JsonValue:
    """Whether a value of type `sub` may stand where `sup` is expected."""
    record = record_of(value)
    reason = mismatch(_type(record, "sub"), _type(record, "sup"))
    return {"compatible": reason is None, "reason": None if reason is None else reason_text(reason)}


def _type(record: dict[str, JsonValue], name: str) -> NType:
    if name not in record:
        raise BuiltinError(f"missing field '{name}'")
    try:
        return read_spec_type(record[name])
    except TypeSyntaxError as error:
        raise BuiltinError(f"field '{name}' is no type: {error.message}") from None


STAGES: Final = (plain("type_check", type_check),)
