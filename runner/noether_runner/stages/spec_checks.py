"""What is checked before a stage is stored, beyond the shape of its spec (`stages.md` §6.5)."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, assert_never

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass
from noether_runner.stages.errors import SpecError
from noether_runner.stages.properties import UnknownProperty
from noether_runner.stages.property_checks import example_violations
from noether_runner.stages.signing import Verdict
from noether_runner.stages.stage import Stage
from noether_runner.stages.verify import integrity_of
from noether_runner.types.refine import violation
from noether_runner.types.render import render
from noether_runner.types.terms import (
    Leaf,
    ListOf,
    MapOf,
    NType,
    RecordOf,
    RecordWith,
    Refined,
    StreamOf,
    UnionOf,
    Var,
    union,
)
from noether_runner.types.values import misfit, refinement_chain, unrefined

SIGNATURE_KINDS = frozenset({"bad_signature", "half_signed"})
"""Kinds of `SpecError` for which `noether-stage add` ends with 2 instead of 1."""

ExampleCode = Literal[
    "TooFewExamples", "ShadowedKnownKind", "InputTypeMismatch", "OutputTypeMismatch"
]


@dataclass(frozen=True, slots=True)
class ExampleFinding:
    """Something wrong with the examples or properties of a stage (`types.md` §9.3).

    `index` is that of the example, or of the property for `ShadowedKnownKind`.
    """

    code: ExampleCode
    message: str
    index: int | None = None
    kind: str | None = None
    minimum: int | None = None
    got: int | None = None


def example_findings(stage: Stage, min_examples: int = 0) -> Iterator[ExampleFinding]:
    """Too few examples, then shadowed properties, then examples that do not fit their type.

    An example can be listed several times: once for its shape, and once for every refinement of the
    declared type that it does not satisfy.
    """
    got = len(stage.examples)
    if got < min_examples:
        message = f"expected at least {min_examples} examples, got {got}"
        yield ExampleFinding("TooFewExamples", message, minimum=min_examples, got=got)
    for index, entry in enumerate(stage.properties):
        if isinstance(entry, UnknownProperty) and entry.shadowed_kind:
            message = (
                f"properties[{index}]: a member of the property {entry.shadowed_kind} is missing "
                "or wrong, so it would never be checked"
            )
            yield ExampleFinding("ShadowedKnownKind", message, index, kind=entry.shadowed_kind)
    for index, example in enumerate(stage.examples):
        for reason in _misfits(example.input, stage.input):
            message = f"examples[{index}].input does not fit the input type: {reason}"
            yield ExampleFinding("InputTypeMismatch", message, index)
        for reason in _misfits(example.output, stage.output):
            message = f"examples[{index}].output does not fit the output type: {reason}"
            yield ExampleFinding("OutputTypeMismatch", message, index)


def check_before_storing(stage: Stage, *, check_examples: bool = True) -> None:
    """Raises `SpecError` for the first thing that keeps a stage out of a store.

    Ids, implementation hash and signature are those the record claims, so a stage that was made
    from a simple spec always passes these.
    """
    check_identity(stage)
    for finding in example_findings(stage):
        if finding.code == "ShadowedKnownKind":
            raise SpecError("shadowed_property_kind", finding.message)
        if check_examples:
            raise SpecError("example_type_mismatch", finding.message)
    _check_properties(stage)


def rehashed(stage: Stage) -> Stage:
    """The stage under the ids that its content has today, unsigned."""
    found = integrity_of(stage)
    return replace(
        stage,
        id=found.computed_id,
        signature_id=found.computed_signature_id,
        ed25519_signature=None,
        signer_public_key=None,
    )


def lint_warnings(stage: Stage) -> Iterator[str]:
    """What is legal but probably not meant: unions that their normal form would write otherwise."""
    for side, term in (("input", stage.input), ("output", stage.output)):
        for written in _unions_in(term):
            normal = union(written.members)
            if normal != written:
                yield (
                    f"in the {side} type, {render(written)} is another type than the usual "
                    f"{render(normal)}; ids depend on the order"
                )


def _unions_in(term: NType) -> Iterator[UnionOf]:
    match term:
        case Leaf() | Var():
            inner: tuple[NType, ...] = ()
        case ListOf(element) | StreamOf(element):
            inner = (element,)
        case MapOf(key, value):
            inner = (key, value)
        case RecordOf(fields) | RecordWith(fields):
            inner = tuple(of for _, of in fields)
        case Refined(base):
            inner = (base,)
        case UnionOf(members):
            yield term
            inner = members
        case _:
            assert_never(term)
    for each in inner:
        yield from _unions_in(each)


_ANEW = (
    "a full record cannot be edited: register what was changed from a spec, with name and "
    "implementation and without id"
)
_UNSIGNED = (
    "without both ed25519_signature and signer_public_key the record counts as unsigned, and "
    "noether-stage sign signs it"
)


def check_identity(stage: Stage) -> None:
    """Raises `SpecError` when content, ids, implementation hash and signature do not agree."""
    found = integrity_of(stage)
    if found.implementation_hash_matches is False:
        message = f"stage {stage.label}: implementation_hash is not the hash of implementation_code"
        raise SpecError("implementation_hash_mismatch", message, hints=(_ANEW,))
    if found.legacy_scheme is not None:
        message = (
            f"{stage.id} is an id of an older scheme ({found.legacy_scheme}); today the id of this "
            f"stage is {found.computed_id}"
        )
        raise SpecError(
            "legacy_id", message, hints=("--rehash imports it under that id, unsigned",)
        )
    if not found.id_matches:
        message = f"the record claims the id {stage.id}, its content has {found.computed_id}"
        raise SpecError("id_mismatch", message, hints=(_ANEW,))
    if found.signature_id_matches is False:
        message = (
            f"the record claims the signature id {stage.signature_id}, its content has "
            f"{found.computed_signature_id}"
        )
        raise SpecError("signature_id_mismatch", message, hints=(_ANEW,))
    if found.signature is Verdict.INVALID:
        message = (
            f"stage {stage.label} has a signature that does not fit its id: it may have been "
            "tampered with"
        )
        raise SpecError("bad_signature", message, hints=(_UNSIGNED,))
    if found.signature is Verdict.HALF_SIGNED:
        message = f"stage {stage.label} has only one of ed25519_signature and signer_public_key"
        raise SpecError("half_signed", message, hints=(_UNSIGNED,))


def _check_properties(stage: Stage) -> None:
    if stage.properties and not stage.examples:
        count = len(stage.properties)
        declared = "a property is" if count == 1 else f"{count} properties are"
        message = f"{declared} declared, but there is no example to check on; add one"
        raise SpecError("property_violation", message)
    for found in example_violations(stage.properties, stage.examples):
        message = f"properties[{found.property}] does not hold on examples[{found.example}]: "
        raise SpecError("property_violation", message + found.violation.message)


def _misfits(value: JsonValue, term: NType) -> Iterator[str]:
    shape = misfit(value, unrefined(term))
    if shape is not None:
        yield shape.sentence
    for refinement in refinement_chain(term):
        unmet = violation(value, refinement)
        if unmet is not None:
            yield unmet.reason
