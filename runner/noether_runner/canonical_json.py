"""Canonical bytes of a JSON value, for identities (RFC 8785, complete; `graph.md` §2.3).

Every number passes through a double, integers included, so `1` and `1.0` have the same bytes and
integers beyond 2⁵³ are rounded as the reference rounds them. Members are ordered by UTF-16 code
units. Value hashes of the trace are something else: `noether_contract.json_values.value_hash`.
"""

import hashlib

import rfc8785

from noether_contract.json_values import JsonValue

_EXACT = 2**53 - 1
"""Largest integer that `rfc8785` prints itself; it refuses larger ones."""


def canonical_bytes(value: JsonValue) -> bytes:
    """The RFC 8785 text of `value` as UTF-8.

    Raises `ValueError` for what no JSON text can hold: NaN, infinities, unpaired surrogates,
    integers beyond the range of a double.
    """
    try:
        return rfc8785.dumps(value)
    except rfc8785.IntegerDomainError:
        return rfc8785.dumps(_with_large_integers_as_doubles(value))


def canonical_hash(value: JsonValue) -> str:
    """Lower-case hex SHA-256 of `canonical_bytes(value)`."""
    return hashlib.sha256(canonical_bytes(value)).hexdigest()


def _with_large_integers_as_doubles(value: JsonValue) -> JsonValue:
    match value:
        case dict():
            return {name: _with_large_integers_as_doubles(member) for name, member in value.items()}
        case list():
            return [_with_large_integers_as_doubles(item) for item in value]
        case int() if not -_EXACT <= value <= _EXACT:
            try:
                return float(value)
            except OverflowError:
                raise ValueError(f"{value} is beyond the range of a JSON number") from None
        case _:
            return value
