"""What can be wrong with a graph document, and the sentence for it (`graph.md` §1.4)."""

from typing import Literal, NoReturn, TypeAlias

from noether_contract.json_values import JsonValue, compact_json
from noether_contract.lean_dataclass import dataclass
from noether_runner.graph.intents import probable_intent
from noether_runner.graph.located import Items, Members
from noether_runner.graph.nodes import UnknownMember

MistakeKind: TypeAlias = Literal[
    "missing_field",
    "duplicate_field",
    "unknown_op",
    "unknown_variant",
    "invalid_type",
    "invalid_value",
    "too_deep",
    "invalid_json",
]
"""The codes of `graph.md` §1.4."""

Aim: TypeAlias = Literal["value", "name", "holder"]
"""What of a spot is meant: the value there, its name, or the object or array around it."""

_LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Spot:
    """Where the reader is: at member or item `index` of `holder`, inside the node at `path`.

    `unknown` collects the unknown members of the whole document.
    """

    path: str
    member: str
    holder: JsonValue
    index: int
    unknown: list[UnknownMember]

    def offset(self, aim: Aim) -> int | None:
        """The offset in the text, in characters; None when the holder knows no places."""
        match self.holder:
            case Members() if aim == "holder":
                return self.holder.start
            case Members():
                return self.holder.places[self.index][0 if aim == "name" else 1]
            case Items():
                return self.holder.start if aim == "holder" else self.holder.places[self.index]
            case _:
                return None


class Mistake(Exception):  # noqa: N818 - never leaves the package; document.py makes a GraphError
    """The first thing wrong with a document; `aim` says what of the spot is meant."""

    def __init__(
        self,
        kind: MistakeKind,
        field: str,
        sentence: str,
        spot: Spot,
        aim: Aim = "value",
    ) -> None:
        super().__init__(sentence)
        self.kind: MistakeKind = kind
        self.field = field
        self.sentence = sentence
        self.spot = spot
        self.aim: Aim = aim


def wrong_type(
    field: str, expected: str, value: JsonValue, spot: Spot, aim: Aim = "value"
) -> NoReturn:
    """Raises for a value of the wrong JSON kind."""
    what = {"node": "a node", "graph": "the graph"}.get(field, field)
    sentence = f"{what} must be {expected}, not {shown(value)}"
    raise Mistake("invalid_type", field, sentence, spot, aim)


def repeated(name: str, spot: Spot) -> NoReturn:
    """Raises for a known member that an object holds twice."""
    sentence = f'member "{name}" stands here for the second time; keep one of them'
    raise Mistake("duplicate_field", name, sentence, spot, "name")


def missing(name: str, holder: dict[str, JsonValue], spot: Spot, operator: str | None) -> NoReturn:
    """Raises for a member that `holder` does not have, with a guess at a misnamed one.

    `operator` is as in `probable_intent`.
    """
    whose = "the graph" if operator is None else f"this {operator} node" if operator else "the node"
    sentence = f'{whose} has no member "{name}"'
    for other in holder:
        if probable_intent(operator, other, [name]) == name:
            sentence += f'; is "{other}" meant to be it?'
            break
    else:
        if operator is None:
            sentence += _other_document(holder)
    raise Mistake("missing_field", name, sentence, spot, "holder")


def _other_document(holder: dict[str, JsonValue]) -> str:
    """What a document without the members of a graph looks like instead."""
    if "op" in holder:
        return (
            '; this is a node: a graph has it as "root", beside "description" and "version" '
            '(such as "0.1.0")'
        )
    if "implementation" in holder or "signature" in holder:
        return "; this is a stage: noether-stage add registers it, and a graph calls it"
    if "jobs" in holder:
        return "; this is a configuration of noether-scheduler, whose jobs name graphs"
    return ""


def shown(value: JsonValue) -> str:
    """A value in an error text: short ones as JSON, others by their kind and size."""
    match value:
        case dict():
            return f"an object with {len(value)} member{'' if len(value) == 1 else 's'}"
        case list():
            return f"an array of {len(value)} item{'' if len(value) == 1 else 's'}"
        case _:
            text = compact_json(value).decode()
            return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
