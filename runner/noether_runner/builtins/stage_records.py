"""Standard stages that verify a stage record's id and signature (`stdlib.md` §12.1)."""

import re
from typing import Final

from noether_contract.json_values import JsonValue
from noether_runner.builtins.builtin import BuiltinError, plain
from noether_runner.builtins.fields import optional_text, record_of
from noether_runner.errors import RunnerError
from noether_runner.stages.effects import read_effect_set
from noether_runner.stages.identity import StageSignature, stage_id
from noether_runner.stages.signing import Verdict, signature_verdict
from noether_runner.types.terms import read_type

_MEMBERS = ("input", "output", "effects", "implementation_hash")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})*")
_SIGNATURE_BYTES = 64
_KEY_BYTES = 32
_PRIME = 2**255 - 19
_CURVE_D = -121665 * pow(121666, -1, _PRIME) % _PRIME


def verify_stage_content_hash(value: JsonValue) -> JsonValue:
    """Whether a record's id is the hash of its content."""
    record = record_of(value)
    claimed = optional_text(record, "id", "")
    computed = _computed_id(optional_text(record, "name", ""), record.get("signature"))
    error = None
    if claimed != computed:
        error = f"content hash mismatch: stage.id={claimed} computed={computed}"
    return {"passed": error is None, "stage_id": claimed, "computed": computed, "error": error}


def _computed_id(name: str, signature: JsonValue) -> str:
    if not isinstance(signature, dict):
        raise _unreadable("expected an object with input, output, effects, implementation_hash")
    missing = [member for member in _MEMBERS if member not in signature]
    if missing:
        raise _unreadable(f"missing field `{missing[0]}`")
    code = signature["implementation_hash"]
    if not isinstance(code, str):
        raise _unreadable("implementation_hash is not text")
    try:
        shape = (read_type(signature["input"]), read_type(signature["output"]))
        effects = read_effect_set(signature["effects"])
    except RunnerError as error:
        raise _unreadable(error.message) from None
    return stage_id(StageSignature(name, *shape, effects), code)


def _unreadable(reason: str) -> BuiltinError:
    return BuiltinError(f"cannot parse signature as StageSignature: {reason}")


def verify_stage_ed25519(value: JsonValue) -> JsonValue:
    """Whether a record's signature is one of its id; a record without one passes."""
    record = record_of(value)
    signature, key = record.get("ed25519_signature"), record.get("signer_public_key")
    has_signature, has_key = isinstance(signature, str), isinstance(key, str)
    if not has_signature and not has_key:
        return _verdict(
            passed=True,
            signed=False,
            warning="stage is unsigned — consider signing before promoting to Active",
        )
    if not (isinstance(signature, str) and isinstance(key, str)):
        return _verdict(
            passed=False,
            signed=False,
            warning="malformed: exactly one of ed25519_signature / signer_public_key is set",
        )
    problem = _undecodable(signature, key)
    if problem is not None:
        problem = f"signature decode error: {problem}"
    elif signature_verdict(optional_text(record, "id", ""), signature, key) is not Verdict.VALID:
        problem = "Ed25519 signature verification failed — stage may have been tampered with"
    return _verdict(passed=problem is None, signed=True, warning=problem)


def _verdict(*, passed: bool, signed: bool, warning: str | None) -> JsonValue:
    return {"passed": passed, "signed": signed, "warning": warning}


def _undecodable(signature: str, key: str) -> str | None:
    """What is wrong with the two texts before anything is verified, in this order."""
    if not _HEX.fullmatch(signature):
        return "invalid signature hex encoding"
    if len(signature) != 2 * _SIGNATURE_BYTES:
        return "invalid signature bytes"
    if not _HEX.fullmatch(key):
        return "invalid public key hex encoding"
    if len(key) != 2 * _KEY_BYTES or not _is_point(bytes.fromhex(key)):
        return "invalid public key"
    return None


def _is_point(key: bytes) -> bool:
    """Whether 32 bytes are a point of the curve: RFC 8032 §5.1.3, up to the square root."""
    y = int.from_bytes(key, "little") & (2**255 - 1)
    above, below = (y * y - 1) % _PRIME, (_CURVE_D * y * y + 1) % _PRIME
    square = above * pow(below, -1, _PRIME) % _PRIME
    return square == 0 or pow(square, (_PRIME - 1) // 2, _PRIME) == 1


STAGES: Final = (
    plain("verify_stage_content_hash", verify_stage_content_hash),
    plain("verify_stage_ed25519", verify_stage_ed25519),
)
