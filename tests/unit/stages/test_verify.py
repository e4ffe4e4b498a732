from dataclasses import replace

import pytest

from noether_runner.stages.effects import PURE, UNKNOWN
from noether_runner.stages.identity import stage_id_v0, stage_id_v1
from noether_runner.stages.signing import STDLIB_PUBLIC_KEY, SigningKey
from noether_runner.stages.stage import Stage
from noether_runner.stages.verify import Finding, Policy, StageRefusedError, verify
from stage_samples import sample

AUTHOR = SigningKey(bytes(range(32)))
OTHER = SigningKey(bytes(range(1, 33)))
STDLIB = SigningKey(
    bytes.fromhex("01d39ad57bf9426b9eb673a3f245c07304e60fd6fc5e6565e0fab6932684e8c2")
)
STAGE = sample()


def signed(stage: Stage, key: SigningKey = AUTHOR) -> Stage:
    made = key.sign(stage.id)
    return replace(
        stage,
        ed25519_signature=made.ed25519_signature,
        signer_public_key=made.signer_public_key.upper(),
    )


def finding(stage: Stage, policy: Policy) -> Finding | None:
    try:
        verify(stage, policy)
    except StageRefusedError as error:
        return error.kind
    return None


def test_a_refusal_names_the_stage() -> None:
    with pytest.raises(StageRefusedError, match="stage sample") as refused:
        verify(STAGE, Policy("signed"))
    assert refused.value.stage_id == STAGE.id


@pytest.mark.parametrize("mode", ["content", "signed"])
@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        (replace(STAGE, code="def execute(x): return 0"), Finding.IMPLEMENTATION_HASH_MISMATCH),
        (replace(STAGE, effects=UNKNOWN), Finding.ID_MISMATCH),
        (replace(STAGE, id="0" * 64), Finding.ID_MISMATCH),
        (replace(STAGE, signature_id="0" * 64), Finding.SIGNATURE_ID_MISMATCH),
        (replace(signed(STAGE), ed25519_signature=None), Finding.HALF_SIGNED),
        (replace(signed(STAGE), ed25519_signature="00" * 64), Finding.BAD_SIGNATURE),
    ],
)
def test_refused_in_either_mode(stage: Stage, expected: Finding, mode: str) -> None:
    policy = Policy("signed") if mode == "signed" else Policy("content")
    assert finding(stage, policy) is expected


def test_an_edited_stage_is_refused_although_its_signature_still_verifies() -> None:
    edited = replace(signed(STAGE), code="def execute(input):\n    return 'evil'\n")
    assert finding(edited, Policy()) is Finding.IMPLEMENTATION_HASH_MISMATCH


def test_content_asks_for_no_signature() -> None:
    assert verify(STAGE, Policy()) == ()
    assert finding(STAGE, Policy("signed")) is Finding.UNSIGNED


def test_a_stage_without_code_or_signature_id_proves_its_id_only() -> None:
    assert verify(replace(STAGE, code=None, signature_id=None), Policy()) == ()


def test_trusted_keys_in_either_case_of_letters() -> None:
    stage = signed(STAGE)
    assert finding(stage, Policy("signed")) is None
    assert finding(stage, Policy("signed", (AUTHOR.public_key,))) is None
    assert finding(stage, Policy("signed", (AUTHOR.public_key.upper(),))) is None
    assert finding(stage, Policy("signed", (OTHER.public_key,))) is Finding.UNTRUSTED_KEY


def test_the_public_stdlib_key_vouches_for_standard_stages_only() -> None:
    stage = signed(STAGE, STDLIB)
    everything = Policy("signed", (STDLIB_PUBLIC_KEY,))
    assert finding(stage, Policy()) is None
    assert finding(stage, everything) is Finding.UNTRUSTED_KEY
    known = frozenset({STAGE.id})
    assert finding(stage, Policy("signed", (OTHER.public_key,), builtin_ids=known)) is None


@pytest.mark.parametrize("scheme", [stage_id_v0, stage_id_v1])
def test_an_id_of_an_older_scheme_is_a_warning_with_the_current_id(scheme: object) -> None:
    assert callable(scheme)
    old = str(scheme(STAGE.signature, STAGE.implementation_hash))
    (warning,) = verify(replace(STAGE, id=old), Policy())
    assert STAGE.id in warning
    assert finding(replace(STAGE, id=old, effects=PURE, name="renamed"), Policy()) in (
        None,
        Finding.SIGNATURE_ID_MISMATCH,
    )
