"""The stage record: reading it with the tolerance of `stages.md` §1, and writing it again.

Reading keeps every top-level member it does not know in `Stage.extra`, and writing puts it back;
unknown members further down are dropped. Reading changes nothing that takes part in an identity:
a union keeps its written order, effects and capabilities come out sorted.
"""

from collections.abc import Mapping
from dataclasses import field

from noether_contract.json_values import JsonTextError, JsonValue, parse_json
from noether_contract.lean_dataclass import dataclass
from noether_runner.stages.effects import (
    Capability,
    EffectSet,
    read_capabilities,
    read_effect_set,
    unsigned,
)
from noether_runner.stages.errors import RecordError, json_kind
from noether_runner.stages.identity import StageSignature
from noether_runner.stages.lifecycle import Lifecycle, read_lifecycle, write_lifecycle
from noether_runner.stages.properties import Example, Property, read_property, write_property
from noether_runner.stages.repeated import RECORD_MEMBERS, repeated_in_record
from noether_runner.types.terms import NType, TypeSyntaxError, read_type, write_type


@dataclass(frozen=True, slots=True)
class Cost:
    """What its author estimates one call to take; whole numbers or unknown."""

    time_ms_p50: int | None = None
    tokens_est: int | None = None
    memory_mb: int | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage record. `extra` holds top-level members that this version does not know."""

    id: str
    signature_id: str | None
    name: str | None
    input: NType
    output: NType
    effects: EffectSet
    implementation_hash: str
    capabilities: tuple[Capability, ...]
    cost: Cost
    description: str
    examples: tuple[Example, ...]
    lifecycle: Lifecycle
    ed25519_signature: str | None = None
    signer_public_key: str | None = None
    code: str | None = None
    language: str | None = None
    ui_style: str | None = None
    tags: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    properties: tuple[Property, ...] = ()
    extra: Mapping[str, JsonValue] = field(default_factory=dict)

    @property
    def signature(self) -> StageSignature:
        """The members that take part in both ids; a missing name counts as empty."""
        return StageSignature(self.name or "", self.input, self.output, self.effects)

    @property
    def label(self) -> str:
        """How messages name the stage: its name, else the first eight digits of its id."""
        return self.name or self.id[:8]


def read_stage_text(text: str | bytes) -> Stage:
    """The stage in a JSON text. Raises `RecordError`, also for text that is no JSON."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    try:
        json = parse_json(data)
    except JsonTextError as error:
        raise RecordError("", f"not JSON: {error}") from None
    repeated = repeated_in_record(data)
    if repeated is not None:
        raise RecordError(repeated, "the member occurs twice")
    return read_stage(json)


def read_stage(json: JsonValue) -> Stage:
    """The stage of a parsed record. Raises `RecordError` naming the member and what was expected.

    Repeated members cannot be seen in a parsed value: a caller that has the text uses
    `read_stage_text` or looks with `stages.repeated` itself.
    """
    record = _object(json, "")
    signature = _object(_required(record, "signature"), "signature")
    return Stage(
        id=_text(record, "id"),
        signature_id=_signature_id(record),
        name=_optional_text(record, "name"),
        input=_type(signature, "input"),
        output=_type(signature, "output"),
        effects=read_effect_set(_required(signature, "effects", "signature"), "signature.effects"),
        implementation_hash=_text(signature, "implementation_hash", "signature"),
        capabilities=read_capabilities(_required(record, "capabilities")),
        cost=read_cost(_required(record, "cost")),
        description=_text(record, "description"),
        examples=_examples(_required(record, "examples")),
        lifecycle=read_lifecycle(_required(record, "lifecycle")),
        ed25519_signature=_optional_text(record, "ed25519_signature"),
        signer_public_key=_optional_text(record, "signer_public_key"),
        code=_optional_text(record, "implementation_code"),
        language=_optional_text(record, "implementation_language"),
        ui_style=_optional_text(record, "ui_style"),
        tags=_texts(record, "tags"),
        aliases=_texts(record, "aliases"),
        properties=read_properties(record["properties"]) if "properties" in record else (),
        extra={name: value for name, value in record.items() if name not in RECORD_MEMBERS},
    )


def write_stage(stage: Stage) -> dict[str, JsonValue]:
    """The record of a stage, members in the order of `stages.md` §1.1, unknown ones last."""
    record: dict[str, JsonValue] = {"id": stage.id}
    if stage.signature_id is not None:
        record["signature_id"] = stage.signature_id
    record["signature"] = {
        "input": write_type(stage.input),
        "output": write_type(stage.output),
        "effects": stage.effects.write(),
        "implementation_hash": stage.implementation_hash,
    }
    record["capabilities"] = [capability.value for capability in stage.capabilities]
    record["cost"] = {
        "time_ms_p50": stage.cost.time_ms_p50,
        "tokens_est": stage.cost.tokens_est,
        "memory_mb": stage.cost.memory_mb,
    }
    record["description"] = stage.description
    record["examples"] = [{"input": each.input, "output": each.output} for each in stage.examples]
    record["lifecycle"] = write_lifecycle(stage.lifecycle)
    record["ed25519_signature"] = stage.ed25519_signature
    record["signer_public_key"] = stage.signer_public_key
    optional: dict[str, JsonValue] = {
        "implementation_code": stage.code,
        "implementation_language": stage.language,
        "ui_style": stage.ui_style,
        "tags": list(stage.tags) or None,
        "aliases": list(stage.aliases) or None,
        "name": stage.name,
        "properties": [write_property(entry) for entry in stage.properties] or None,
    }
    record.update((name, value) for name, value in optional.items() if value is not None)
    record.update(stage.extra)
    return record


def read_cost(json: JsonValue) -> Cost:
    """The cost object; members are whole numbers from 0, null or absent."""
    cost = _object(json, "cost")
    return Cost(
        _estimate(cost, "time_ms_p50"), _estimate(cost, "tokens_est"), _estimate(cost, "memory_mb")
    )


def read_properties(json: JsonValue) -> tuple[Property, ...]:
    """The array of properties; only an entry that is no object is an error."""
    entries = _array(json, "properties")
    return tuple(read_property(entry, f"properties[{i}]") for i, entry in enumerate(entries))


def _estimate(cost: dict[str, JsonValue], name: str) -> int | None:
    value = cost.get(name)
    return None if value is None else unsigned(value, f"cost.{name}")


def _required(record: dict[str, JsonValue], name: str, within: str = "") -> JsonValue:
    if name not in record:
        raise RecordError(within, f"the member {name!r} is missing")
    return record[name]


def _object(json: JsonValue, where: str) -> dict[str, JsonValue]:
    if not isinstance(json, dict):
        raise RecordError(where, f"expected an object, got {json_kind(json)}")
    return json


def _array(json: JsonValue, where: str) -> list[JsonValue]:
    if not isinstance(json, list):
        raise RecordError(where, f"expected an array, got {json_kind(json)}")
    return json


def _text(record: dict[str, JsonValue], name: str, within: str = "") -> str:
    value = _required(record, name, within)
    if not isinstance(value, str):
        where = f"{within}.{name}" if within else name
        raise RecordError(where, f"expected a string, got {json_kind(value)}")
    return value


def _optional_text(record: dict[str, JsonValue], name: str) -> str | None:
    value = record.get(name)
    if value is not None and not isinstance(value, str):
        raise RecordError(name, f"expected a string or null, got {json_kind(value)}")
    return value


def _texts(record: dict[str, JsonValue], name: str) -> tuple[str, ...]:
    if name not in record:
        return ()
    texts: list[str] = []
    for index, value in enumerate(_array(record[name], name)):
        if not isinstance(value, str):
            raise RecordError(f"{name}[{index}]", f"expected a string, got {json_kind(value)}")
        texts.append(value)
    return tuple(texts)


def _signature_id(record: dict[str, JsonValue]) -> str | None:
    if "canonical_id" not in record:
        return _optional_text(record, "signature_id")
    if "signature_id" in record:
        reason = "signature_id and canonical_id name the same member; keep only signature_id"
        raise RecordError("canonical_id", reason)
    return _optional_text(record, "canonical_id")


def _type(signature: dict[str, JsonValue], side: str) -> NType:
    json = _required(signature, side, "signature")
    try:
        return read_type(json)
    except TypeSyntaxError as error:
        raise RecordError(f"signature.{side}", f"not a type: {error}") from None


def _examples(json: JsonValue) -> tuple[Example, ...]:
    examples: list[Example] = []
    for index, entry in enumerate(_array(json, "examples")):
        where = f"examples[{index}]"
        example = _object(entry, where)
        examples.append(
            Example(_required(example, "input", where), _required(example, "output", where))
        )
    return tuple(examples)
