"""Upper and lower case as Rust has them, with whatever Python this runs.

Which letters have another case depends on the version of Unicode, and that of a Python may be
years behind. pydantic's core brings Rust's own tables along, as it does Rust's engine for regular
expressions (`regex_rust.py`). It takes longer to load than a run of one stage, so texts of letters
that never changed are left to Python.
"""

from typing import Literal

_NEVER_CHANGED = "\u0180"
"""Below, no version of Unicode that a Python may have differs; above, U+019B changed in 2024."""


def in_case(text: str, case: Literal["upper", "lower"]) -> str:
    """The whole text in one case, whatever the language.

    One letter may become several (`ß`, `İ`); a sigma at the end of a word becomes `ς`.
    """
    if max(text, default="") < _NEVER_CHANGED:
        return text.upper() if case == "upper" else text.lower()
    from pydantic_core import SchemaValidator, core_schema

    schema = core_schema.str_schema(to_upper=case == "upper", to_lower=case == "lower")
    changed: str = SchemaValidator(schema).validate_python(text)
    return changed
