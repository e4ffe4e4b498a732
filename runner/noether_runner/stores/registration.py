"""From a spec file to an entry of a ledger: what `noether-stage add` and `sync` have in common.

Everything that can be wrong with a spec is found here, before the ledger is touched
(`stages.md` §6.5, §6.6).
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import orjson

from noether_contract.json_values import JsonTextError, parse_json
from noether_contract.lean_dataclass import dataclass
from noether_runner.stages.errors import SpecError
from noether_runner.stages.lifecycle import Active, Draft, Lifecycle
from noether_runner.stages.signing import SigningKey
from noether_runner.stages.spec import MAX_SPEC_BYTES, read_spec_text
from noether_runner.stages.spec_checks import check_before_storing, rehashed
from noether_runner.stages.stage import Stage, write_stage
from noether_runner.stores.ledger import Ledger
from noether_runner.stores.store import reason_of


@dataclass(frozen=True, slots=True)
class Intake:
    """How specs are taken in. Stages without a signature are signed when there is a `key`."""

    key: SigningKey | None = None
    check_examples: bool = True
    rehash: bool = False


@dataclass(frozen=True, slots=True)
class Registered:
    """What became of a stage: its state now, whether it was there before, whom it superseded."""

    stage: Stage
    existed: bool
    superseded: Sequence[Stage] = ()
    activated: bool = False

    @property
    def lifecycle(self) -> Lifecycle:
        """The state in which the stage is stored."""
        return self.stage.lifecycle


def read_spec_file(path: Path) -> bytes:
    """The bytes of a spec file, no more than a little over the limit; raises `SpecError`."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_SPEC_BYTES + 1)
    except OSError as error:
        message = f"{path.absolute()} cannot be read ({reason_of(error)})"
        hints = ("noether-stage sync registers a folder",) if path.is_dir() else ()
        raise SpecError("unreadable_file", message, hints=hints) from None


def take_in(data: bytes, intake: Intake) -> Stage:
    """The checked, possibly signed stage of a spec's bytes; raises `SpecError`."""
    stage = read_spec_text(data)
    try:
        check_before_storing(stage, check_examples=intake.check_examples)
    except SpecError as error:
        if not (intake.rehash and error.kind == "legacy_id"):
            raise
        stage = rehashed(stage)
        check_before_storing(stage, check_examples=intake.check_examples)
    _check_depth(stage)
    return sign(stage, intake.key) if intake.key is not None else stage


def _check_depth(stage: Stage) -> None:
    """Refuses a record that would spoil the whole store: in one, everything is two levels lower."""
    try:
        parse_json(orjson.dumps({"stages": [write_stage(stage)]}))
    except JsonTextError as error:
        message = f"no store could hold this stage: in a store file, {error.reason}"
        hint = "write the examples or types with fewer levels"
        raise SpecError("invalid_json", message, hints=(hint,)) from None


def sign(stage: Stage, key: SigningKey) -> Stage:
    """The stage with a signature, unless it carries one already."""
    if stage.ed25519_signature is not None or stage.signer_public_key is not None:
        return stage
    made = key.sign(stage.id)
    return replace(
        stage,
        ed25519_signature=made.ed25519_signature,
        signer_public_key=made.signer_public_key,
    )


def sign_as(stage: Stage, key: SigningKey) -> Stage:
    """The stage with a signature by this very key.

    Raises `SpecError` (`signed_by_another`) rather than throw away the word of somebody else.
    """
    signer = stage.signer_public_key
    if signer is None or signer.lower() == key.public_key:
        return sign(stage, key)
    message = f"stage {stage.label} ({stage.id[:8]}) is signed by another key already: {signer}"
    hint = "a record carries one signature; take the other one out of it to sign it yourself"
    raise SpecError("signed_by_another", message, hints=(hint,))


def register(ledger: Ledger, stage: Stage, *, draft: bool) -> Registered:
    """Adds a stage, and makes it Active unless it is to stay a draft; drafts supersede nobody.

    A stage that is there already keeps its record; a Draft among them becomes Active when no draft
    is asked for. Raises `RefusedError`, and `SpecError` (`language_conflict`) when the known record
    runs the same source in another language: the language is no part of the id.
    """
    known = ledger.get(stage.id)
    if known is None:
        return put(ledger, stage, draft=draft)
    if known.code is not None and stage.code is not None and known.language != stage.language:
        message = (
            f"stage {stage.id} is in the store with the language {known.language}; the same source "
            f"in {stage.language} would have the same id"
        )
        hint = "change the source or the name by a character"
        raise SpecError("language_conflict", message, hints=(hint,))
    if draft or not isinstance(known.lifecycle, Draft):
        return Registered(known, existed=True)
    superseded = ledger.update_lifecycle(stage.id, Active())
    return Registered(_stored(ledger, stage), True, superseded, activated=True)


def put(ledger: Ledger, stage: Stage, *, draft: bool) -> Registered:
    """Adds a stage that is not there; raises `RefusedError` when it is."""
    if draft and isinstance(stage.lifecycle, Active):
        stage = replace(stage, lifecycle=Draft())
    superseded = ledger.put(stage)
    if not draft and isinstance(stage.lifecycle, Draft):
        superseded = ledger.update_lifecycle(stage.id, Active())
    return Registered(_stored(ledger, stage), existed=False, superseded=superseded)


def _stored(ledger: Ledger, stage: Stage) -> Stage:
    return ledger.get(stage.id) or stage
