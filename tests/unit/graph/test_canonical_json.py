import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_samples import json_values, untimed
from noether_contract.json_values import JsonValue
from noether_runner.canonical_json import canonical_bytes, canonical_hash


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-0.0, "0"),
        (0, "0"),
        (1.0, "1"),
        (1e20, "100000000000000000000"),
        (123456789012345680000.0, "123456789012345680000"),
        (1e21, "1e+21"),
        (1.5e21, "1.5e+21"),
        (-1e21, "-1e+21"),
        (1e100, "1e+100"),
        (0.000001, "0.000001"),
        (0.0000015, "0.0000015"),
        (1e-7, "1e-7"),
        (-1.5e-7, "-1.5e-7"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (2**53 - 1, "9007199254740991"),
        (2**53, "9007199254740992"),
        (2**53 + 1, "9007199254740992"),
        (-(2**53) - 1, "-9007199254740992"),
        (2**63, "9223372036854776000"),
        (-(2**63), "-9223372036854776000"),
        (2**64 - 1, "18446744073709552000"),
        (True, "true"),
        (None, "null"),
        (
            '\u0000\b\t\n\u000b\f\r\u001f\u007f\u2028/"\\é',
            '"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001f\u007f\u2028/\\"\\\\é"',
        ),
    ],
)
def test_printing(value: JsonValue, text: str) -> None:
    assert canonical_bytes(value).decode() == text


def test_members_are_ordered_by_utf16_code_units() -> None:
    value: JsonValue = {"\ufb33": 1, "\U0001f600": 2, "z": 3, "": 4}
    assert list(json.loads(canonical_bytes(value))) == ["", "z", "\U0001f600", "\ufb33"]


def test_large_integers_anywhere_are_rounded() -> None:
    value: JsonValue = {"a": [2**53 + 1, {"b": -(2**53) - 1}], "c": True}
    assert canonical_bytes(value) == b'{"a":[9007199254740992,{"b":-9007199254740992}],"c":true}'


@pytest.mark.parametrize("value", [math.nan, math.inf, "\ud800", {"\ud800": 1}, 10**400])
def test_what_no_text_can_hold_is_refused(value: JsonValue) -> None:
    with pytest.raises(ValueError):
        canonical_bytes(value)


def test_hash_is_of_the_bytes() -> None:
    empty_record = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert canonical_hash({}) == empty_record


@untimed
@given(json_values)
def test_canonical_text_is_a_fixed_point(value: JsonValue) -> None:
    once = canonical_bytes(value)
    again = json.loads(once, parse_int=float)
    assert canonical_bytes(again) == once


@untimed
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_follow_the_ecmascript_rule(number: float) -> None:
    """Number::toString of ECMA-262, from the shortest digits that `repr` gives."""
    text = canonical_bytes(number).decode()
    assert float(text) == number
    mantissa, _, exponent = f"{abs(number)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = (
        len(whole)
        + int(exponent or 0)
        - (len(whole + fraction) - len((whole + fraction).lstrip("0")))
    )
    shortest = digits.rstrip("0") or "0"
    if number == 0:
        expected = "0"
    elif len(shortest) <= point <= 21:
        expected = shortest + "0" * (point - len(shortest))
    elif 0 < point <= 21:
        expected = f"{shortest[:point]}.{shortest[point:]}"
    elif -6 < point <= 0:
        expected = "0." + "0" * -point + shortest
    else:
        rest = f".{shortest[1:]}" if len(shortest) > 1 else ""
        expected = f"{shortest[0]}{rest}e{point - 1:+d}"
    assert text == ("-" if number < 0 else "") + expected


@untimed
@given(st.integers(-(2**53) + 1, 2**53 - 1))
def test_an_integer_and_its_double_are_one_number(number: int) -> None:
    assert canonical_bytes(number) == canonical_bytes(float(number))
