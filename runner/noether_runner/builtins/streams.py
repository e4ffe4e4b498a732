"""Standard stages for standard streams and the environment (`stdlib.md` §10.1)."""

from typing import Final

from noether_contract.json_values import JsonValue
from noether_runner.builtins.builtin import Builtin, BuiltinError, Context, plain
from noether_runner.builtins.fields import record_of, text_or


def stdin_read(_value: JsonValue) -> JsonValue:
    """The empty text: a run has no standard input, and the runner's own is not for stages."""
    return ""


def stdout_write(value: JsonValue, context: Context) -> JsonValue:
    """Null; the text goes, as it is, to the captured output of the stage."""
    context.log(text_or(record_of(value), "text", "missing field 'text'"))
    return None


def env_get(value: JsonValue, context: Context) -> JsonValue:
    """The variable as a stage of this run sees it; null when it is not set."""
    name = text_or(record_of(value), "name", "missing field 'name'")
    found = context.environment.get(name)
    try:
        (found or "").encode("utf-8")
    except UnicodeEncodeError:
        raise BuiltinError(f"environment variable '{name}' is not valid UTF-8") from None
    return found


STAGES: Final = (
    plain("stdin_read", stdin_read),
    Builtin("stdout_write", stdout_write),
    Builtin("env_get", env_get),
)
