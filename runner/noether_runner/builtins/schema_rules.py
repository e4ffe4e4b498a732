"""What the keywords of JSON Schema demand of a value, one text a violation.

Places are JSON pointers (RFC 6901) into the value. `$ref` reaches parts of the same schema only.
"""

from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

from noether_contract.json_values import JsonValue
from noether_runner.builtins.fields import number_of, whole_of
from noether_runner.builtins.schema_sizes import (
    GoOn,
    array_size,
    number_range,
    object_size,
    pattern_found,
    text_size,
)
from noether_runner.types.value_kinds import equality_key, excerpt, same_value

_PARTS_BETWEEN: Final = 1000
"""Parts of the schema that are looked at between two calls of `GoOn`."""

Schema = dict[str, JsonValue]
_KINDS: Final = {str: "string", list: "array", dict: "object", bool: "boolean", type(None): "null"}


def kind_name(value: JsonValue) -> str:
    """The kind of a value in the words of JSON Schema."""
    return _KINDS.get(type(value), "number")


def type_mismatch(value: JsonValue, schema: Schema) -> str | None:
    """What is wrong with the type; an unknown type name fits nothing."""
    match schema.get("type"):
        case str(name):
            names = [name]
        case list(listed):
            names = [name for name in listed if isinstance(name, str)]
        case _:
            return None
    if not names:
        return None
    kind = kind_name(value)
    if kind in names or ("integer" in names and _is_integer(value)):
        return None
    return f"expected {' or '.join(names)}, got {kind}"


def _is_integer(value: JsonValue) -> bool:
    number = number_of(value)
    return number is not None and number == int(number)


class Validation:
    """One schema at work; `errors` may be asked of any part of it.

    References to one another can make a small schema take ages: `go_on` is called now and then,
    and raises to give up.
    """

    def __init__(self, root: JsonValue, go_on: GoOn) -> None:
        self._root = root
        self._go_on = go_on
        self._parts = 0
        self._following: set[tuple[int, str]] = set()

    def errors(self, value: JsonValue, schema: JsonValue, place: str) -> Iterator[str]:
        """What of a value, found at `place`, does not follow a schema."""
        self._parts += 1
        if self._parts % _PARTS_BETWEEN == 0:
            self._go_on()
        if schema is False:
            yield _told(place, "nothing is allowed here")
        if not isinstance(schema, dict):
            return
        mismatch = type_mismatch(value, schema)
        if mismatch is not None:
            yield _told(place, mismatch)
            return
        for text in _values(value, schema):
            yield _told(place, text)
        yield from self._combined(value, schema, place)
        match value:
            case str():
                yield from (_told(place, text) for text in text_size(value, schema, self._go_on))
            case list():
                yield from self._array(value, schema, place)
            case dict():
                yield from self._object(value, schema, place)
            case int() | float() if not isinstance(value, bool):
                yield from (_told(place, text) for text in number_range(value, schema))
            case _:
                return

    def fits(self, value: JsonValue, schema: JsonValue, place: str) -> bool:
        """Whether a value follows a schema."""
        return next(self.errors(value, schema, place), None) is None

    def _combined(self, value: JsonValue, schema: Schema, place: str) -> Iterator[str]:
        if isinstance(reference := schema.get("$ref"), str):
            yield from self._referred(value, reference, place)
        for part in _list(schema, "allOf"):
            yield from self.errors(value, part, place)
        choices = _list(schema, "anyOf")
        if choices and not any(self.fits(value, each, place) for each in choices):
            yield _told(place, "fits none of the schemas of anyOf")
        choices = _list(schema, "oneOf")
        if choices and (fitting := sum(self.fits(value, each, place) for each in choices)) != 1:
            yield _told(place, f"fits {fitting} of the schemas of oneOf, expected exactly one")
        if "not" in schema and self.fits(value, schema["not"], place):
            yield _told(place, "fits the schema that `not` excludes")
        if "if" in schema:
            branch = "then" if self.fits(value, schema["if"], place) else "else"
            yield from self.errors(value, schema.get(branch, True), place)

    def _referred(self, value: JsonValue, reference: str, place: str) -> Iterator[str]:
        found, target = _pointed(self._root, reference)
        if not found:
            yield _told(place, f"the schema refers to {reference}, which is not in it")
            return
        step = (id(target), place)
        if step in self._following:
            yield _told(place, f"the schema's reference {reference} leads back to itself")
            return
        self._following.add(step)
        try:
            yield from self.errors(value, target, place)
        finally:
            self._following.discard(step)

    def _array(self, items: list[JsonValue], schema: Schema, place: str) -> Iterator[str]:
        yield from (_told(place, text) for text in array_size(items, schema))
        if schema.get("uniqueItems") is True:
            yield from (_told(place, text) for text in _repeated(items))
        first = _list(schema, "prefixItems")
        rest = schema.get("items", True)
        if isinstance(rest, list):  # the form of drafts before 2020-12
            first, rest = rest, schema.get("additionalItems", True)
        for index, item in enumerate(items):
            part = first[index] if index < len(first) else rest
            yield from self.errors(item, part, f"{place}/{index}")
        if "contains" in schema:
            hits = sum(self.fits(item, schema["contains"], place) for item in items)
            least, most = (
                whole_of(schema.get("minContains", 1)),
                whole_of(schema.get("maxContains")),
            )
            if hits < (1 if least is None else least) or (most is not None and hits > most):
                yield _told(place, f"{hits} items fit the schema of contains")

    def _object(self, members: Schema, schema: Schema, place: str) -> Iterator[str]:
        yield from (_told(place, text) for text in object_size(members, schema))
        for name in _list(schema, "required"):
            if isinstance(name, str) and name not in members:
                yield _told(place, f"the member {excerpt(name)} is missing")
        for trigger, names in _record(schema, "dependentRequired").items():
            for name in names if trigger in members and isinstance(names, list) else ():
                if isinstance(name, str) and name not in members:
                    text = f"the member {excerpt(name)} is missing beside {excerpt(trigger)}"
                    yield _told(place, text)
        for name, value in members.items():
            yield from self._member(name, value, schema, place)

    def _member(self, name: str, value: JsonValue, schema: Schema, place: str) -> Iterator[str]:
        inner = f"{place}/{name.replace('~', '~0').replace('/', '~1')}"
        if "propertyNames" in schema:
            for text in self.errors(name, schema["propertyNames"], ""):
                yield _told(inner, f"its name: {text}")
        declared = _record(schema, "properties")
        covered = name in declared
        if covered:
            yield from self.errors(value, declared[name], inner)
        for pattern, part in _record(schema, "patternProperties").items():
            if pattern_found(pattern, name, self._go_on):
                covered = True
                yield from self.errors(value, part, inner)
        if not covered and "additionalProperties" in schema:
            if schema["additionalProperties"] is False:
                yield _told(place, f"the member {excerpt(name)} is not allowed")
            else:
                yield from self.errors(value, schema["additionalProperties"], inner)


def _values(value: JsonValue, schema: Schema) -> Iterator[str]:
    options = schema.get("enum")
    if isinstance(options, list) and not any(same_value(value, each) for each in options):
        yield f"{excerpt(value)} is none of {excerpt(options)}"
    if "const" in schema and not same_value(value, schema["const"]):
        yield f"expected {excerpt(schema['const'])}, got {excerpt(value)}"


def _repeated(items: list[JsonValue]) -> Iterator[str]:
    first: dict[object, int] = {}
    for index, item in enumerate(items):
        earlier = first.setdefault(equality_key(item), index)
        if earlier != index:
            yield f"the items {earlier} and {index} are equal"


def _pointed(root: JsonValue, reference: str) -> tuple[bool, JsonValue]:
    """What a local reference points at: `#`, or `#` and a JSON pointer."""
    if reference == "#":
        return True, root
    if not reference.startswith("#/"):
        return False, None
    current = root
    for step in unquote(reference[2:]).split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(current, dict) and name in current:
            current = current[name]
        elif isinstance(current, list) and name.isdigit() and int(name) < len(current):
            current = current[int(name)]
        else:
            return False, None
    return True, current


def _list(schema: Schema, keyword: str) -> list[JsonValue]:
    value = schema.get(keyword)
    return value if isinstance(value, list) else []


def _record(schema: Schema, keyword: str) -> Schema:
    value = schema.get(keyword)
    return value if isinstance(value, dict) else {}


def _told(place: str, text: str) -> str:
    return f"at {place}: {text}" if place else text
