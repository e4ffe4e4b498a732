"""Members that a JSON text repeats: parsed values cannot show them, and records forbid them.

Only members with a meaning count: the names of a free-form object, such as the fields of a record
type or of an example, may repeat and the last one wins (`stages.md` §1.1).
"""

import json
from collections.abc import Iterator, Sequence

RECORD_MEMBERS = frozenset(
    {
        "id",
        "signature_id",
        "canonical_id",
        "signature",
        "capabilities",
        "cost",
        "description",
        "examples",
        "lifecycle",
        "ed25519_signature",
        "signer_public_key",
        "implementation_code",
        "implementation_language",
        "ui_style",
        "tags",
        "aliases",
        "name",
        "properties",
    }
)
"""The top-level members of a stage record that have a meaning."""


def repeated_in_record(text: bytes) -> str | None:
    """Place of the first member that a stage record repeats, or None. `text` must be valid JSON."""
    value, any_repeated = _load(text)
    return next(_in_record(value), None) if any_repeated else None


def repeated_in_store(text: bytes) -> tuple[bool, dict[int, str]]:
    """Whether the store object repeats `stages`, and the stages (by index) that repeat a member."""
    value, any_repeated = _load(text)
    if not any_repeated:
        return False, {}
    stages = value.get("stages") if isinstance(value, dict) else None
    found = {
        index: place
        for index, record in enumerate(stages if isinstance(stages, list) else [])
        if (place := next(_in_record(record), None)) is not None
    }
    return "stages" in _repeated_names(value), found


class _Repeating(dict[str, object]):
    """An object of the text that names one or more members twice."""

    __slots__ = ("names",)
    names: frozenset[str]


def _load(text: bytes) -> tuple[object, bool]:
    any_repeated = False

    def collect(pairs: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal any_repeated
        members = dict(pairs)
        if len(members) == len(pairs):
            return members
        any_repeated = True
        repeating = _Repeating(members)
        names = [name for name, _ in pairs]
        repeating.names = frozenset(name for name in names if names.count(name) > 1)
        return repeating

    # The text was read by orjson before; this second reader only looks at names. Integers are read
    # as floats because int() refuses very long ones.
    value = json.loads(text, object_pairs_hook=collect, parse_int=float)
    return value, any_repeated


def _in_record(record: object) -> Iterator[str]:
    yield from sorted(RECORD_MEMBERS & _repeated_names(record))
    if not isinstance(record, dict):
        return
    signature = record.get("signature")
    names = {"input", "output", "effects", "implementation_hash"}
    yield from _of(signature, "signature", names)
    yield from _in_type(_member(signature, "input"), "signature.input")
    yield from _in_type(_member(signature, "output"), "signature.output")
    yield from _of(record.get("cost"), "cost", {"time_ms_p50", "tokens_est", "memory_mb"})
    for index, example in enumerate(_items(record.get("examples"))):
        yield from _of(example, f"examples[{index}]", {"input", "output"})
    yield from _of(record.get("lifecycle"), "lifecycle", {"Deprecated"})
    yield from _of(
        _member(record.get("lifecycle"), "Deprecated"), "lifecycle.Deprecated", {"successor_id"}
    )
    effects = _member(signature, "effects")
    yield from _of(effects, "signature.effects", {"effects"})
    for index, effect in enumerate(_items(_member(effects, "effects"))):
        where = f"signature.effects.effects[{index}]"
        yield from _of(effect, where, {"effect", "cents", "path", "model"})


def _in_type(term: object, where: str) -> Iterator[str]:
    """The same for a type; the fields of a record are names of the author, which may repeat."""
    yield from _of(term, where, {"kind", "value"})
    content, within = _member(term, "value"), f"{where}.value"
    inner: dict[str, object] = {}
    match _member(term, "kind"):
        case "List" | "Stream":
            inner = {within: content}
        case "Union":
            inner = {f"{within}[{place}]": each for place, each in enumerate(_items(content))}
        case "Record" if isinstance(content, dict):
            inner = {f"{within}.{name}": each for name, each in content.items()}
        case "RecordWith":
            yield from _of(content, within, {"fields", "rest"})
            fields = _member(content, "fields")
            if isinstance(fields, dict):
                inner = {f"{within}.fields.{name}": each for name, each in fields.items()}
        case "Map":
            yield from _of(content, within, {"key", "value"})
            inner = {f"{within}.{side}": _member(content, side) for side in ("key", "value")}
        case "Refined":
            yield from _of(content, within, {"base", "refinement"})
            refinement = _member(content, "refinement")
            names = {"kind", "min", "max", "options"}
            yield from _of(refinement, f"{within}.refinement", names)
            inner = {f"{within}.base": _member(content, "base")}
        case _:
            pass
    for place, each in inner.items():
        yield from _in_type(each, place)


def _of(value: object, where: str, names: set[str]) -> Iterator[str]:
    yield from (f"{where}.{name}" for name in sorted(names & _repeated_names(value)))


def _repeated_names(value: object) -> frozenset[str]:
    return value.names if isinstance(value, _Repeating) else frozenset()


def _member(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def _items(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()
