"""The hashes that name a stage: current ids and those of older schemes (`stages.md` §2).

| scheme | versions of the reference | hashed |
|---|---|---|
| v0 | 0.1 | compact JSON of input, output, effects, implementation hash, in that order |
| v1 | 0.2 – 0.5 | canonical JSON (RFC 8785) of the same four |
| v2 | from 0.6 | canonical JSON of the four and the name |

v2 is the only scheme that is written; the older ones are recognised.
"""

import hashlib

import orjson

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass
from noether_runner.canonical_json import canonical_bytes
from noether_runner.stages.effects import EffectSet
from noether_runner.types.terms import NType, write_type


@dataclass(frozen=True, slots=True)
class StageSignature:
    """The hashed members that every implementation of one stage shares. `name` may be empty."""

    name: str
    input: NType
    output: NType
    effects: EffectSet


def canonical_signature(signature: StageSignature) -> bytes:
    """The exact bytes whose hash is the signature id."""
    return canonical_bytes({**_members(signature), "name": signature.name})


def canonical_stage(signature: StageSignature, implementation_hash: str) -> bytes:
    """The exact bytes whose hash is the stage id."""
    return canonical_bytes(
        {
            **_members(signature),
            "name": signature.name,
            "implementation_hash": implementation_hash,
        }
    )


def signature_id(signature: StageSignature) -> str:
    """The id that all implementations of one signature share: 64 hex digits."""
    return _hash(canonical_signature(signature))


def stage_id(signature: StageSignature, implementation_hash: str) -> str:
    """The id of one implementation: 64 hex digits."""
    return _hash(canonical_stage(signature, implementation_hash))


def implementation_hash_of(code: str) -> str:
    """The hash of a user's source, exactly as given: no trimming, no newline conversion."""
    return _hash(code.encode())


def stdlib_implementation_hash(name: str) -> str:
    """What stands for the source of a standard stage (§2.2); the prefix never changes."""
    return _hash(f"noether-stdlib-v0.1.0:{name}".encode())


def stage_id_v1(signature: StageSignature, implementation_hash: str) -> str:
    """The id that versions 0.2 to 0.5 of the reference gave; the name took no part."""
    members = {**_members(signature), "implementation_hash": implementation_hash}
    return _hash(canonical_bytes(members))


def stage_id_v0(signature: StageSignature, implementation_hash: str) -> str:
    """The id that version 0.1 of the reference gave; the members' order is part of it."""
    members = {**_members(signature), "implementation_hash": implementation_hash}
    return _hash(orjson.dumps(members))


def _members(signature: StageSignature) -> dict[str, JsonValue]:
    return {
        "input": write_type(signature.input),
        "output": write_type(signature.output),
        "effects": signature.effects.write(),
    }


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
