"""Findings as text and as JSON."""

from dataclasses import fields
from typing import TypeAlias

from noether_contract.json_values import JsonValue
from noether_runner.types.check.findings import TypeFinding
from noether_runner.types.check.type_warnings import TypeWarning
from noether_runner.types.subtype import Reason, write_reason
from noether_runner.types.terms import NType, write_type
from noether_runner.types.unify import Clash, Mismatch, OccursCheck


def finding_text(finding: TypeFinding | TypeWarning) -> str:
    """One sentence, with the path of the node at its end."""
    return f"{finding.sentence} (at {finding.node})"


def write_finding(finding: TypeFinding | TypeWarning) -> dict[str, JsonValue]:
    """The record form: `code`, `node`, the data members of `types.md` §7.3, and `message`."""
    written: dict[str, JsonValue] = {"code": type(finding).__name__}
    for member in fields(finding):
        name = _NAMES.get(member.name, member.name)
        written[name] = _write_member(getattr(finding, member.name))
    written["message"] = finding_text(finding)
    return written


_NAMES = {"from_type": "from", "to_type": "to"}  # `from` is no name in Python

_Member: TypeAlias = str | int | NType | Reason | Clash


def _write_member(member: _Member) -> JsonValue:
    match member:
        case str() | int():
            return member
        case OccursCheck(variable):
            return {"code": "OccursCheck", "var": variable}
        case Mismatch(why):
            return {"code": "Mismatch", "why": why}
        case _ if isinstance(member, NType):
            return write_type(member)
        case _:
            return write_reason(member)
