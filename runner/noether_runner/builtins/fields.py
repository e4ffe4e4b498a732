"""Reading the fields of a standard stage's input (`stdlib.md` §1.4).

An input that is no record behaves as one without fields. Values are never checked against the
declared types: the messages of missing and mistyped fields are the stages' own.
"""

from noether_contract.json_values import JsonValue, compact_json
from noether_runner.builtins.builtin import BuiltinError

WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""Unicode White_Space; `str.strip` without an argument also takes U+001C to U+001F away."""


_MOST_CHARACTERS = 2**26
"""Of a text that a stage in the runner makes out of smaller ones; beyond lie nested templates."""


def record_of(value: JsonValue) -> dict[str, JsonValue]:
    """The input's fields; none when it is not a record."""
    return value if isinstance(value, dict) else {}


def json_text(value: JsonValue) -> str:
    """The compact JSON text of a value (`stdlib.md` §1.3)."""
    return compact_json(value).decode("utf-8")


def items_of(record: dict[str, JsonValue], name: str, message: str) -> list[JsonValue]:
    """A field that must be a list, else the given message."""
    value = record.get(name)
    if not isinstance(value, list):
        raise BuiltinError(message)
    return value


def text_or(record: dict[str, JsonValue], name: str, message: str) -> str:
    """A field that must be text, else the given message."""
    value = record.get(name)
    if not isinstance(value, str):
        raise BuiltinError(message)
    return value


def text_field(record: dict[str, JsonValue], name: str) -> str:
    """A field of a text stage: absent and mistyped are told apart."""
    if name not in record:
        raise BuiltinError(f"missing field '{name}'")
    return text_or(record, name, f"field '{name}' must be a string")


def present(record: dict[str, JsonValue], name: str) -> JsonValue:
    """A field that must be there, even as null."""
    if name not in record:
        raise BuiltinError(f"missing field '{name}'")
    return record[name]


def optional_text(record: dict[str, JsonValue], name: str, default: str) -> str:
    """A text field; absent, null and every other kind mean the default."""
    value = record.get(name)
    return value if isinstance(value, str) else default


def optional_flag(record: dict[str, JsonValue], name: str, *, default: bool) -> bool:
    """A boolean field; absent, null and every other kind mean the default."""
    value = record.get(name)
    return value if isinstance(value, bool) else default


def number_of(value: JsonValue) -> float | None:
    """The value as a double when it is a number; a boolean is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value)


def whole_of(value: JsonValue) -> int | None:
    """The value when it is a whole number from 0, written as integer or as double."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if value >= 0 and value == int(value) else None


def whole_number(record: dict[str, JsonValue], name: str, default: int) -> int:
    """A whole-number field; absent and null mean the default, all else is an error."""
    value = record.get(name)
    if value is None:
        return default
    whole = whole_of(value)
    if whole is None:
        raise BuiltinError(f"{name} must be a whole number")
    return whole


def bounded(characters: int) -> None:
    """Fails before a text is made that would take the memory of the whole run."""
    if characters > _MOST_CHARACTERS:
        raise BuiltinError(
            f"the text would have {characters} characters; at most {_MOST_CHARACTERS} are made"
        )


def counted(count: int, one: str, many: str) -> str:
    """`1 item`, `3 items`: for warnings."""
    return f"{count} {one if count == 1 else many}"
