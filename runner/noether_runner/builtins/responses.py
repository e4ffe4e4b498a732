"""Standard stages that pick something out of an HTTP answer (`stdlib.md` §10.2)."""

from typing import Final

from noether_contract.json_values import JsonValue
from noether_runner.builtins.builtin import BuiltinError, plain
from noether_runner.builtins.fields import number_of, record_of, text_or


def http_body(value: JsonValue) -> JsonValue:
    """The body."""
    return text_or(record_of(value), "body", "missing field 'body' in HTTP response")


def http_status(value: JsonValue) -> JsonValue:
    """The status as a double, in range or not."""
    status = number_of(record_of(value).get("status"))
    if status is None:
        raise BuiltinError("missing field 'status' in HTTP response")
    return status


STAGES: Final = (plain("http_body", http_body), plain("http_status", http_status))
