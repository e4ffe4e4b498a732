"""What is wrong with the JSON of a type, and where.

Shared by the readers of the canonical and the short spelling.
"""

from typing import Final, Literal, TypeAlias

from noether_contract.json_values import JsonValue
from noether_contract.outcomes import ErrorCode
from noether_runner.errors import RunnerError
from noether_runner.types.value_kinds import excerpt

MAX_TYPE_DEPTH: Final = 128
"""Types nested in one another; the next level is an error (`types.md` §13.4).

No JSON text reaches it (127 levels), and every walk over types stays within Python's stack.
"""

SyntaxKind: TypeAlias = Literal["invalid_type", "invalid_record_field"]


class TypeSyntaxError(RunnerError):
    """The JSON does not spell a type.

    `kind` tells a bad field list of the short spelling (`stages.md` §6.1) from everything else.
    `path` is the place inside the type (`value.fields.id`), empty for the whole. Whoever reads a
    graph or a stage adds where the type stands.
    """

    def __init__(self, reason: str, place: str, kind: SyntaxKind = "invalid_type") -> None:
        path = place.removeprefix(".")
        where = f" at `{path}`" if path else ""
        super().__init__(ErrorCode.GRAPH_INVALID, f"{reason}{where}", path=path)
        self.kind: SyntaxKind = kind


def expected(what: str, met: JsonValue, place: str) -> TypeSyntaxError:
    """The error "expected <what>, got <met>"."""
    return TypeSyntaxError(f"expected {what}, got {excerpt(met)}", place)


def member(container: dict[str, JsonValue], name: str, owner: str, place: str) -> JsonValue:
    """A member that must be present, even if only as null; raises `TypeSyntaxError`."""
    if name not in container:
        raise TypeSyntaxError(f"{owner} needs the member `{name}`", place)
    return container[name]


def object_member(
    container: dict[str, JsonValue], name: str, owner: str, place: str
) -> dict[str, JsonValue]:
    """A member that must be an object; raises `TypeSyntaxError`."""
    content = member(container, name, owner, place)
    if not isinstance(content, dict):
        raise expected(f"an object as `{name}` of {owner}", content, place)
    return content


def text_member(container: dict[str, JsonValue], name: str, owner: str, place: str) -> str:
    """A member that must be a string; raises `TypeSyntaxError`."""
    content = member(container, name, owner, place)
    if not isinstance(content, str):
        raise expected(f"a string as `{name}` of {owner}", content, place)
    return content
