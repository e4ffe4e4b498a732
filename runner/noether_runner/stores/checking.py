"""`noether-stage verify`: what can be checked of stored stages without running them (§6.9)."""

from collections.abc import Iterator, Sequence
from typing import Any

from noether_contract.lean_dataclass import dataclass
from noether_runner.stages.property_checks import example_violations
from noether_runner.stages.signing import Verdict
from noether_runner.stages.stage import Stage
from noether_runner.stages.verify import Integrity, integrity_of
from noether_runner.stores.listing import SHORT_ID


@dataclass(frozen=True, slots=True)
class Checks:
    """Which checks to make. `identity` stands for the ids and the implementation hash."""

    identity: bool = True
    signatures: bool = True
    properties: bool = True
    require_signed: bool = False


def verify_stages(stages: Sequence[Stage], checks: Checks) -> dict[str, Any]:
    """The report over some stages, in the order of their ids."""
    entries = [_entry(stage, checks) for stage in sorted(stages, key=lambda stage: stage.id)]
    counts = {
        status: sum(entry["status"] == status for entry in entries)
        for status in ("passed", "failed", "skipped")
    }
    return {"total": len(entries), **counts, "stages": entries}


def _entry(stage: Stage, checks: Checks) -> dict[str, Any]:
    found = integrity_of(stage)
    violations: list[dict[str, Any]] = []
    skipped: list[str] = []
    if checks.identity:
        violations += _identity_violations(found)
    if checks.signatures:
        if found.signature is Verdict.UNSIGNED and not checks.require_signed:
            skipped.append("no signature")
        elif found.signature is not Verdict.VALID:
            violations.append({"check": "signature", "violation": _SIGNATURE[found.signature]})
    if checks.properties:
        if stage.properties:
            violations += _property_violations(stage)
        else:
            skipped.append("no properties declared")
    details: dict[str, Any] = {
        "examples": len(stage.examples),
        "properties": len(stage.properties),
    }
    if violations:
        details["violations"] = violations
    if skipped:
        details["skip_reasons"] = skipped
    made = checks.identity + checks.signatures + checks.properties
    status = "failed" if violations else "skipped" if len(skipped) == made else "passed"
    return {
        "id": stage.id[:SHORT_ID],
        **({} if stage.name is None else {"name": stage.name}),
        "description": stage.description,
        "status": status,
        "details": details,
    }


_SIGNATURE = {
    Verdict.INVALID: "the signature does not fit the id: it may have been tampered with",
    Verdict.HALF_SIGNED: "only one of ed25519_signature and signer_public_key is set",
    Verdict.UNSIGNED: "the stage is not signed",
}


def _identity_violations(found: Integrity) -> Iterator[dict[str, Any]]:
    if found.implementation_hash_matches is False:
        sentence = "the code is not the one that implementation_hash names"
        yield {"check": "implementation_hash", "violation": sentence}
    if found.legacy_scheme is not None:
        sentence = (
            f"the id is of an older scheme ({found.legacy_scheme}); today it is {found.computed_id}"
        )
        yield {"check": "id", "violation": sentence}
    elif not found.id_matches:
        yield {"check": "id", "violation": f"the content has the id {found.computed_id}"}
    if found.signature_id_matches is False:
        sentence = f"the content has the signature id {found.computed_signature_id}"
        yield {"check": "id", "violation": sentence}


def _property_violations(stage: Stage) -> Iterator[dict[str, Any]]:
    if not stage.examples:
        yield {"check": "property", "violation": "there is no example to check the properties on"}
    for found in example_violations(stage.properties, stage.examples):
        yield {
            "check": "property",
            "example_index": found.example,
            "violation": found.violation.message,
        }
