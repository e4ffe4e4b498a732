"""The standard stage that checks a value against a JSON Schema (`stdlib.md` §9).

The validation keywords in common use, as draft 2020-12 has them; annotations and unknown keywords
do not count. A type mismatch at the root is told alone, in the reference's words.
"""

from typing import Final

from noether_contract.json_values import JsonValue
from noether_runner.builtins.builtin import Builtin, BuiltinError, Context
from noether_runner.builtins.fields import present, record_of
from noether_runner.builtins.schema_rules import Validation, type_mismatch


def json_schema_validate(value: JsonValue, context: Context) -> JsonValue:
    """Whether `data` follows `schema`, and one text for every violation."""
    record = record_of(value)
    data, schema = present(record, "data"), present(record, "schema")
    mismatch = type_mismatch(data, record_of(schema))
    if mismatch is not None:
        return {"valid": False, "errors": [mismatch]}
    try:
        errors: list[JsonValue] = list(
            Validation(schema, context.reach.go_on).errors(data, schema, "")
        )
    except RecursionError:
        raise BuiltinError("the schema is nested, or refers to itself, too deeply") from None
    return {"valid": not errors, "errors": errors}


STAGES: Final = (Builtin("json_schema_validate", json_schema_validate),)
