"""Effects and capabilities of a stage (`types.md` §3, `stages.md` §2.3).

An `EffectSet` is always in canonical order without duplicates, because it takes part in a stage's
identity: two sets are the same exactly when they hash alike.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass
from noether_runner.stages.errors import RecordError, json_kind
from noether_runner.types.value_kinds import excerpt

MAX_UNSIGNED = 2**64 - 1


class EffectKind(StrEnum):
    """The ten kinds, by their name in records; the order of definition is the canonical order."""

    COST = "Cost"
    FALLIBLE = "Fallible"
    FS_READ = "FsRead"
    FS_WRITE = "FsWrite"
    LLM = "Llm"
    NETWORK = "Network"
    NON_DETERMINISTIC = "NonDeterministic"
    PROCESS = "Process"
    PURE = "Pure"
    UNKNOWN = "Unknown"

    @property
    def policy_name(self) -> str:
        """The name that policies and people use: `fs-read`, `non-deterministic`."""
        return _POLICY_NAMES[self]

    @property
    def order(self) -> int:
        """Place in the canonical order, from 0."""
        return _ORDER[self]


_BY_NAME = {kind.value: kind for kind in EffectKind}
_ORDER = {kind: place for place, kind in enumerate(EffectKind)}
_POLICY_NAMES = {
    kind: "".join("-" + c.lower() if c.isupper() else c for c in kind.value).lstrip("-")
    for kind in EffectKind
}
_DATA_MEMBER = {
    EffectKind.COST: "cents",
    EffectKind.FS_READ: "path",
    EffectKind.FS_WRITE: "path",
    EffectKind.LLM: "model",
}


class Capability(StrEnum):
    """What a stage needs from its surroundings, by the name in records and in their order."""

    NETWORK = "Network"
    FS_READ = "FsRead"
    FS_WRITE = "FsWrite"
    GPU = "Gpu"
    LLM = "Llm"
    PROCESS = "Process"


@dataclass(frozen=True, slots=True)
class Effect:
    """One declared effect. `data` is the cents of a Cost, the path of FsRead and FsWrite, the model
    of an Llm effect, and None for the other kinds."""

    kind: EffectKind
    data: int | str | None = None

    def write(self) -> dict[str, JsonValue]:
        """The record form: `{"effect": "Cost", "cents": 5}`."""
        member = _DATA_MEMBER.get(self.kind)
        if member is None:
            return {"effect": self.kind.value}
        return {"effect": self.kind.value, member: self.data}

    def __str__(self) -> str:
        return self.kind if self.data is None else f"{self.kind}({self.data})"


@dataclass(frozen=True, slots=True)
class EffectSet:
    """Distinct effects in canonical order; build one with `EffectSet.of`. May be empty."""

    effects: tuple[Effect, ...] = ()

    @classmethod
    def of(cls, effects: Iterable[Effect]) -> "EffectSet":
        """Sorts and drops duplicates; of two spellings of one path the first one is kept."""
        distinct: dict[tuple[object, ...], Effect] = {}
        for effect in effects:
            distinct.setdefault(_sort_key(effect), effect)
        return cls(tuple(distinct[key] for key in sorted(distinct)))

    @property
    def kinds(self) -> frozenset[EffectKind]:
        """The kinds that occur."""
        return frozenset(effect.kind for effect in self.effects)

    @property
    def is_pure(self) -> bool:
        """Whether the stage declares itself Pure, so that its results may be remembered."""
        return any(effect.kind is EffectKind.PURE for effect in self.effects)

    @property
    def cost_cents(self) -> int:
        """What one call is declared to cost: the sum of all Cost effects."""
        return sum(effect.data for effect in self.effects if isinstance(effect.data, int))

    def write(self) -> dict[str, JsonValue]:
        """The record form `{"effects": [...]}`, in canonical order."""
        return {"effects": [effect.write() for effect in self.effects]}

    def __iter__(self) -> Iterator[Effect]:
        return iter(self.effects)

    def __contains__(self, kind: object) -> bool:
        return any(effect.kind is kind for effect in self.effects)


PURE = EffectSet((Effect(EffectKind.PURE),))
"""The effects of a spec that declares none."""

UNKNOWN = EffectSet((Effect(EffectKind.UNKNOWN),))
"""The effects of a stage about which nothing is known."""


def read_effect(json: JsonValue, where: str = "effect") -> Effect:
    """One effect object; extra members are ignored. Raises `RecordError`."""
    if not isinstance(json, dict):
        raise RecordError(where, f"expected an effect object, got {json_kind(json)}")
    name = json.get("effect")
    kind = _BY_NAME.get(name) if isinstance(name, str) else None
    if kind is None:
        known = ", ".join(EffectKind)
        raise RecordError(f"{where}.effect", f"expected one of {known}, got {excerpt(name)}")
    member = _DATA_MEMBER.get(kind)
    if member is None:
        return Effect(kind)
    data = json.get(member)
    if member == "cents":
        return Effect(kind, unsigned(data, f"{where}.cents"))
    if not isinstance(data, str):
        raise RecordError(f"{where}.{member}", f"expected a string, got {json_kind(data)}")
    return Effect(kind, data)


def read_effect_set(json: JsonValue, where: str = "effects") -> EffectSet:
    """The record form `{"effects": [...]}` in any order. Raises `RecordError`."""
    if not isinstance(json, dict):
        raise RecordError(where, f"expected an object with effects, got {json_kind(json)}")
    entries = json.get("effects")
    if not isinstance(entries, list):
        raise RecordError(f"{where}.effects", f"expected an array, got {json_kind(entries)}")
    return EffectSet.of(
        read_effect(entry, f"{where}.effects[{index}]") for index, entry in enumerate(entries)
    )


def read_capabilities(json: JsonValue, where: str = "capabilities") -> tuple[Capability, ...]:
    """An array of capability names, given back sorted and without duplicates."""
    if not isinstance(json, list):
        raise RecordError(where, f"expected an array, got {json_kind(json)}")
    for index, name in enumerate(json):
        if not isinstance(name, str) or name not in _CAPABILITY_NAMES:
            known = ", ".join(Capability)
            raise RecordError(f"{where}[{index}]", f"expected one of {known}, got {excerpt(name)}")
    return tuple(capability for capability in Capability if capability.value in json)


_CAPABILITY_NAMES = frozenset(capability.value for capability in Capability)


def unsigned(value: JsonValue, where: str) -> int:
    """An integer literal of 0 ... 2^64-1; `1.0` and `true` are none. Raises `RecordError`."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_UNSIGNED:
        raise RecordError(where, f"expected a whole number from 0, got {excerpt(value)}")
    return value


def _sort_key(effect: Effect) -> tuple[object, ...]:
    if effect.data is None:
        return (effect.kind.order,)
    if isinstance(effect.data, int):
        return (effect.kind.order, effect.data)
    if effect.kind is EffectKind.LLM:
        return (effect.kind.order, effect.data.encode())
    return (effect.kind.order, path_components(effect.data))


def path_components(path: str) -> tuple[tuple[int, bytes], ...]:
    """A path as its components, comparable and equal as the reference's paths are.

    Root < a leading `.` < `..` < a name; repeated and trailing slashes and later `.` do not count.
    """
    parts = path.split("/")
    components: list[tuple[int, bytes]] = [(0, b"")] if path.startswith("/") else []
    for place, part in enumerate(parts):
        if part == "..":
            components.append((2, b""))
        elif part == ".":
            if place == 0:
                components.append((1, b""))
        elif part:
            components.append((3, part.encode()))
    return tuple(components)
