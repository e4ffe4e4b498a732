"""Standard stages that choose between given values (`stdlib.md` §7, §12.2)."""

from typing import Final

from noether_contract.json_values import JsonValue
from noether_runner.builtins.builtin import BuiltinError, plain
from noether_runner.builtins.fields import optional_text, record_of


def branch(value: JsonValue) -> JsonValue:
    """`if_true` or `if_false`, null when that one is absent; both are computed already."""
    record = record_of(value)
    condition = record.get("condition")
    if not isinstance(condition, bool):
        raise BuiltinError("missing boolean field 'condition'")
    return record.get("if_true" if condition else "if_false")


def router(value: JsonValue) -> JsonValue:
    """The page of the route, of its longest prefix, or of the default route.

    A prefix is one of the text, not of path segments: `/ab` begins with `/a`.
    """
    record = record_of(value)
    routes = record.get("routes")
    if not isinstance(routes, dict):
        raise BuiltinError("routes must be a record (object)")
    route = optional_text(record, "route", "/")
    default = optional_text(record, "default", "/")
    if route in routes:
        return routes[route]
    prefixes = [known for known in routes if route.startswith(known)]
    if prefixes:
        return routes[max(prefixes, key=len)]
    if default not in routes:
        raise BuiltinError(f"default route '{default}' not found in routes")
    return routes[default]


STAGES: Final = (plain("branch", branch), plain("router", router))
