"""The four states of a stage and the ways between them (`stages.md` §1.2, §4.1)."""

from typing import TypeAlias, assert_never

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass
from noether_runner.stages.errors import RecordError, json_kind


@dataclass(frozen=True, slots=True)
class Draft:
    """Registered, not yet to be used."""


@dataclass(frozen=True, slots=True)
class Active:
    """The implementation that its signature stands for."""


@dataclass(frozen=True, slots=True)
class Deprecated:
    """Superseded by another stage, whose id may be dangling."""

    successor_id: str


@dataclass(frozen=True, slots=True)
class Tombstone:
    """Withdrawn for good; kept so that its id is not used again."""


Lifecycle: TypeAlias = Draft | Active | Deprecated | Tombstone

_WORDS: dict[str, Lifecycle] = {
    "Draft": Draft(),
    "Active": Active(),
    "Tombstone": Tombstone(),
}


def read_lifecycle(json: JsonValue, where: str = "lifecycle") -> Lifecycle:
    """The record form: a word, or `{"Deprecated": {"successor_id": ID}}`. Raises `RecordError`."""
    if isinstance(json, str):
        state = _WORDS.get(json)
        if state is not None:
            return state
    elif isinstance(json, dict) and list(json) == ["Deprecated"]:
        content = json["Deprecated"]
        successor = content.get("successor_id") if isinstance(content, dict) else None
        if not isinstance(successor, str):
            reason = f"expected a stage id (string), got {json_kind(successor)}"
            raise RecordError(f"{where}.Deprecated.successor_id", reason)
        return Deprecated(successor)
    met = repr(json) if isinstance(json, str) else json_kind(json)
    expected = '"Draft", "Active", "Tombstone" or {"Deprecated": {"successor_id": ID}}'
    raise RecordError(where, f"expected {expected}, got {met}")


def write_lifecycle(state: Lifecycle) -> JsonValue:
    """The record form of a state."""
    if isinstance(state, Deprecated):
        return {"Deprecated": {"successor_id": state.successor_id}}
    return type(state).__name__


def lifecycle_word(state: Lifecycle) -> str:
    """The lower-case word of reports and of the registry: `draft`, `active`, `deprecated`, ..."""
    return type(state).__name__.lower()


def lifecycle_text(state: Lifecycle) -> str:
    """The form of listings (§1.2), such as `Deprecated { successor_id: StageId("…") }`."""
    if isinstance(state, Deprecated):
        return f'Deprecated {{ successor_id: StageId("{state.successor_id}") }}'
    return type(state).__name__


def may_become(now: Lifecycle, wanted: Lifecycle) -> bool:
    """Whether `wanted` may follow `now`; staying as one is does not count as a change."""
    match now:
        case Draft():
            return isinstance(wanted, Active)
        case Active():
            return isinstance(wanted, Deprecated | Tombstone)
        case Deprecated() | Tombstone():
            return False
        case _:
            assert_never(now)
