"""What a stage must prove before it takes part in an execution (`stages.md` §3.4).

One chain, run on every load into an execution:

1. the code is the one that `implementation_hash` names;
2. the content is the one that the ids name (an id of an older scheme passes, with a warning);
3. a signature, when there is one, is valid;
4. only in mode `signed`: there is a signature, by a trusted key when any are named.

There is no way to switch it off. The reference checks only 3, so an edited store file passes there.
"""

from collections.abc import Container
from dataclasses import field
from enum import StrEnum
from typing import Literal

from noether_contract.lean_dataclass import dataclass
from noether_contract.outcomes import ErrorCode
from noether_runner.errors import RunnerError
from noether_runner.stages.identity import (
    implementation_hash_of,
    signature_id,
    stage_id,
    stage_id_v0,
    stage_id_v1,
)
from noether_runner.stages.signing import STDLIB_PUBLIC_KEY, Verdict, signature_verdict
from noether_runner.stages.stage import Stage

_CHANGED = (
    "; the record was changed after its ids were made: register the stage again from its spec, or "
    "restore the record"
)


class Finding(StrEnum):
    """What the chain can find wrong; also the `kind` of errors."""

    IMPLEMENTATION_HASH_MISMATCH = "implementation_hash_mismatch"
    ID_MISMATCH = "id_mismatch"
    SIGNATURE_ID_MISMATCH = "signature_id_mismatch"
    LEGACY_ID = "legacy_id"
    BAD_SIGNATURE = "bad_signature"
    HALF_SIGNED = "half_signed"
    UNSIGNED = "unsigned"
    UNTRUSTED_KEY = "untrusted_key"
    LANGUAGE_CHANGED = "language_changed"
    """Not found by `verify`, which sees one record: told by the registry's client (§8.4)."""


class StageRefusedError(RunnerError):
    """A stage does not prove what it must; `kind` says what, the message names the stage."""

    def __init__(self, kind: Finding, stage_id: str, message: str) -> None:
        super().__init__(ErrorCode.STAGE_REFUSED, message)
        self.kind = kind
        self.stage_id = stage_id


@dataclass(frozen=True, slots=True)
class Policy:
    """What is demanded. `trusted_keys` are public keys in hex, empty for "any key";
    `builtin_ids` are the ids for which the standard library's key counts as trusted."""

    mode: Literal["content", "signed"] = "content"
    trusted_keys: tuple[str, ...] = ()
    builtin_ids: Container[str] = field(default=frozenset())


@dataclass(frozen=True, slots=True)
class Integrity:
    """A record's ids as its content gives them, beside what it claims."""

    computed_id: str
    computed_signature_id: str
    id_matches: bool
    signature_id_matches: bool | None
    legacy_scheme: Literal["v0", "v1"] | None
    implementation_hash_matches: bool | None
    signature: Verdict


def integrity_of(stage: Stage) -> Integrity:
    """Computes everything that can be computed from a record; None where nothing is claimed."""
    signature = stage.signature
    current = stage_id(signature, stage.implementation_hash)
    computed_signature_id = signature_id(signature)
    claimed = stage.signature_id
    return Integrity(
        computed_id=current,
        computed_signature_id=computed_signature_id,
        id_matches=stage.id == current,
        signature_id_matches=None if claimed is None else claimed == computed_signature_id,
        legacy_scheme=None if stage.id == current else _legacy_scheme(stage),
        implementation_hash_matches=None
        if stage.code is None
        else implementation_hash_of(stage.code) == stage.implementation_hash,
        signature=signature_verdict(stage.id, stage.ed25519_signature, stage.signer_public_key),
    )


def verify(stage: Stage, policy: Policy) -> tuple[str, ...]:
    """Runs the chain; gives the warnings, raises `StageRefusedError` at the first finding."""
    found = integrity_of(stage)
    if found.implementation_hash_matches is False:
        message = f"its code is not the one that its implementation_hash names{_CHANGED}"
        raise _refused(Finding.IMPLEMENTATION_HASH_MISMATCH, stage, message)
    if not found.id_matches and found.legacy_scheme is None:
        message = f"its content has the id {found.computed_id}{_CHANGED}"
        raise _refused(Finding.ID_MISMATCH, stage, message)
    if found.signature_id_matches is False:
        message = f"its content has the signature id {found.computed_signature_id}{_CHANGED}"
        raise _refused(Finding.SIGNATURE_ID_MISMATCH, stage, message)
    _check_signature(stage, found.signature, policy)
    if found.legacy_scheme is None:
        return ()
    warning = (
        f"stage {stage.label} ({stage.id[:8]}) has an id of an older scheme "
        f"({found.legacy_scheme}); its current id is {found.computed_id}"
    )
    return (warning,)


def _check_signature(stage: Stage, verdict: Verdict, policy: Policy) -> None:
    match verdict:
        case Verdict.INVALID:
            message = (
                "its signature does not fit its id: it may have been tampered with; restore the "
                "record, or have it signed again by whom you trust"
            )
            raise _refused(Finding.BAD_SIGNATURE, stage, message)
        case Verdict.HALF_SIGNED:
            message = (
                "it has only one of ed25519_signature and signer_public_key; restore the other, or "
                "take both out and have it signed again"
            )
            raise _refused(Finding.HALF_SIGNED, stage, message)
        case Verdict.UNSIGNED:
            if policy.mode == "signed":
                message = (
                    "it is not signed, and only signed stages may run (verify: signed); "
                    "noether-stage sign signs it"
                )
                raise _refused(Finding.UNSIGNED, stage, message)
        case Verdict.VALID:
            if policy.mode == "signed" and not _is_trusted(stage, policy):
                message = f"it is signed by {stage.signer_public_key}, {_untrusted(stage)}"
                raise _refused(Finding.UNTRUSTED_KEY, stage, message)


def _is_trusted(stage: Stage, policy: Policy) -> bool:
    key = (stage.signer_public_key or "").lower()
    if key == STDLIB_PUBLIC_KEY:
        # Everybody has the private half: it vouches for the ids that this program knows itself.
        return stage.id in policy.builtin_ids
    return not policy.trusted_keys or key in (trusted.lower() for trusted in policy.trusted_keys)


def _untrusted(stage: Stage) -> str:
    if (stage.signer_public_key or "").lower() == STDLIB_PUBLIC_KEY:
        return (
            "the key of the standard library, whose private half everybody has: it vouches for "
            "standard stages only; have it signed by somebody else"
        )
    return "which is no trusted key; if you trust its author, add the key to trusted_keys"


def _legacy_scheme(stage: Stage) -> Literal["v0", "v1"] | None:
    if stage.id == stage_id_v1(stage.signature, stage.implementation_hash):
        return "v1"
    if stage.id == stage_id_v0(stage.signature, stage.implementation_hash):
        return "v0"
    return None


def _refused(kind: Finding, stage: Stage, message: str) -> StageRefusedError:
    return StageRefusedError(
        kind, stage.id, f"stage {stage.label} ({stage.id[:8]}) is refused: {message}"
    )
