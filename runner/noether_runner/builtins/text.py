"""Standard stages on text (`stdlib.md` §8.3); those with regular expressions are in `regex.py`.

Text is a sequence of code points, never normalised.
"""

import hashlib
from typing import Final

from noether_contract.json_values import JsonValue
from noether_runner.builtins.builtin import Builtin, BuiltinError, Context, plain
from noether_runner.builtins.fields import (
    WHITE_SPACE,
    bounded,
    counted,
    items_of,
    optional_text,
    present,
    record_of,
    text_field,
)
from noether_runner.builtins.letter_case import in_case

_ALGORITHMS = ("sha256", "md5", "sha1", "sha384", "sha512")


def split_text(text: str, delimiter: str) -> list[str]:
    """The pieces between delimiters; an empty one stands around every code point."""
    return text.split(delimiter) if delimiter else ["", *text, ""]


def replaced(text: str, old: str, new: str) -> str:
    """The text with every `old`, from left to right, replaced by `new`."""
    bounded(len(text) + text.count(old) * (len(new) - len(old)))
    return text.replace(old, new)


def text_split(value: JsonValue) -> JsonValue:
    """The pieces of `text` between occurrences of `delimiter`."""
    record = record_of(value)
    text = text_field(record, "text")
    return list(split_text(text, text_field(record, "delimiter")))


def text_join(value: JsonValue, context: Context) -> JsonValue:
    """The text items with `delimiter` between them; others are left out with a warning."""
    record = record_of(value)
    present(record, "items")
    items = items_of(record, "items", "items must be an array")
    delimiter = text_field(record, "delimiter")
    texts = [item for item in items if isinstance(item, str)]
    if left_out := len(items) - len(texts):
        context.warn(
            f"text_join left out {counted(left_out, 'item that is', 'items that are')} no text"
        )
    bounded(sum(map(len, texts)) + len(delimiter) * len(texts))
    return delimiter.join(texts)


def text_template(value: JsonValue, context: Context) -> JsonValue:
    """The template with `{{key}}` replaced, key by key in code point order."""
    record = record_of(value)
    text = text_field(record, "template")
    variables = present(record, "variables")
    if not isinstance(variables, dict):
        raise BuiltinError("variables must be an object")
    emptied = 0
    for key in sorted(variables):
        filling = variables[key]
        if not isinstance(filling, str):
            emptied += 1
            filling = ""
        text = replaced(text, "{{" + key + "}}", filling)
    if emptied:
        context.warn(
            f"text_template took {counted(emptied, 'variable that is', 'variables that are')} no "
            "text as empty text"
        )
    return text


def text_hash(value: JsonValue) -> JsonValue:
    """The hex digest of the UTF-8 bytes."""
    record = record_of(value)
    text = text_field(record, "text")
    algorithm = optional_text(record, "algorithm", "sha256")
    if algorithm not in _ALGORITHMS:
        raise BuiltinError(f"unsupported algorithm: {algorithm}")
    digest = hashlib.new(algorithm, text.encode("utf-8"), usedforsecurity=False)
    return {"algorithm": algorithm, "hash": digest.hexdigest()}


def text_upper(value: JsonValue) -> JsonValue:
    """Full Unicode upper case."""
    return in_case(_text(value), "upper")


def text_lower(value: JsonValue) -> JsonValue:
    """Full Unicode lower case, the final sigma included."""
    return in_case(_text(value), "lower")


def text_trim(value: JsonValue) -> JsonValue:
    """The text without White_Space at its ends."""
    return _text(value).strip(WHITE_SPACE)


def text_length(value: JsonValue) -> JsonValue:
    """The number of code points, as a double."""
    return float(len(_text(value)))


def text_contains(value: JsonValue) -> JsonValue:
    """Whether `substring` occurs in `text`."""
    record = record_of(value)
    text = text_field(record, "text")
    return text_field(record, "substring") in text


def text_reverse(value: JsonValue) -> JsonValue:
    """The code points in the opposite order."""
    return _text(value)[::-1]


def text_replace(value: JsonValue) -> JsonValue:
    """Every `from` replaced by `to`; an empty `from` changes nothing."""
    record = record_of(value)
    text, old, new = (text_field(record, name) for name in ("text", "from", "to"))
    return replaced(text, old, new) if old else text


def _text(value: JsonValue) -> str:
    if not isinstance(value, str):
        raise BuiltinError("input must be a string")
    return value


STAGES: Final = (
    plain("text_split", text_split),
    Builtin("text_join", text_join),
    Builtin("text_template", text_template),
    plain("text_hash", text_hash),
    plain("text_upper", text_upper),
    plain("text_lower", text_lower),
    plain("text_trim", text_trim),
    plain("text_length", text_length),
    plain("text_contains", text_contains),
    plain("text_reverse", text_reverse),
    plain("text_replace", text_replace),
)
