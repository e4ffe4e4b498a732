"""What runs inside a Python stage's process, called here directly where it can be."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noether_contract.json_values import parse_json
from noether_runner.languages.children import python_stage
from noether_runner.languages.children.python_failures import failure
from noether_runner.languages.children.python_results import (
    NotJsonError,
    encode,
    encode_members,
)
from noether_runner.languages.children.python_source import compile_stage


def run(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "x"}
    exec(compile_stage(code, "stage.py"), names)
    return names


def test_a_docstring_stays_first() -> None:
    names = run('"""doc"""\nX = 1\nfrom __future__ import annotations\ndef f(x: Nowhere): ...\n')
    assert names["__doc__"] == "doc"
    assert names["f"].__annotations__ == {"x": "Nowhere"}


def test_without_future_lines_nothing_is_inherited() -> None:
    assert run("def f(x: int): ...")["f"].__annotations__ == {"x": int}


def test_line_numbers_stay() -> None:
    code = "X = 1\nfrom __future__ import annotations\ndef f():\n    1 / 0\n"
    with pytest.raises(ZeroDivisionError) as caught:
        run(code)["f"]()
    assert caught.traceback[-1].lineno == 3


@pytest.mark.parametrize(
    "code",
    [
        "if True:\n    x = 1\n    from __future__ import annotations\n",
        "def f():\n    from __future__ import annotations\n",
        "x = 1\nfrom __future__ import braces\n",
        "x = (",
    ],
)
def test_what_does_not_compile(code: str) -> None:
    with pytest.raises(SyntaxError):
        compile_stage(code, "stage.py")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_json_values_arrive_as_they_are(value: Any) -> None:
    assert json.dumps(parse_json(encode(value)), sort_keys=True) == json.dumps(
        value, sort_keys=True
    )


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (object(), "result is of type object"),
        ([1, {"a": {1}}], "result[1]['a'] is of type set"),
        ({"a": [float("nan")]}, "result['a'][0] is nan"),
        ({(1,): 1}, "result has a key that is not text: (1,)"),
        ([2**1024], "result[0] is an integer beyond"),
        ({"x": -(10**400)}, "result['x'] is an integer beyond"),
        ([10**5000], "result[0] is an integer beyond"),
        (["a", "\ud800"], "result[1] is text with an unpaired surrogate"),
        ({"\udfff": 1}, "result has a key that is text with"),
        (["9" * 400, "\ude00\ud83d"], "result[1] is text with"),
    ],
)
def test_the_place_of_what_has_no_json_form(value: Any, says: str) -> None:
    with pytest.raises(NotJsonError, match="is not JSON") as caught:
        encode(value)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (json.JSONEncoder, "encode"),
        (json.JSONEncoder, "iterencode"),
        (json.encoder, "c_make_encoder"),
        (json.encoder, "encode_basestring_ascii"),
    ],
)
def test_an_encoder_that_a_stage_replaced_forges_nothing(
    place: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, name, lambda *_: '"forged"')
    assert encode({"a": ["b"]}) == b'{"a":["b"]}'
    monkeypatch.setattr(place, name, lambda *_: '"forged"')
    assert encode_members({"class": "raised"}) == b'{"class":"raised"}'


def test_digits_in_texts_are_no_numbers() -> None:
    assert parse_json(encode("9" * 400)) == "9" * 400


class HostileNameType(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]  # what hostile code does
        raise RuntimeError("no name")


class HostileError(Exception):
    def __str__(self) -> str:
        raise SystemExit(1)

    __repr__ = __str__


class NamelessError(Exception, metaclass=HostileNameType):
    pass


def caught(error: BaseException, cause: BaseException | None = None) -> dict[str, Any]:
    with pytest.raises(BaseException) as thrown:
        raise error from cause
    return failure(thrown.value, "raised")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (HostileError(), "HostileError: (its text could not be made"),
        (NamelessError("x"), "x"),
        (ValueError(), "ValueError"),
        (KeyError("k"), "KeyError: 'k'"),
        (ValueError("\ud800"), "ValueError: \\ud800"),
        (ExceptionGroup("many", [ValueError("a")]), "many (1 sub-exception): ValueError: a"),
        (
            ExceptionGroup("out", [ExceptionGroup("in", [KeyError(1)]), OSError("b")]),
            "ExceptionGroup: in (1 sub-exception): KeyError: 1; OSError: b",
        ),
    ],
)
def test_texts_of_errors(error: BaseException, says: str) -> None:
    members = caught(error)
    assert says in members["message"]
    json.dumps(members).encode()


def test_notes_stand_below_the_error() -> None:
    error = ValueError("x")
    error.add_note("while reading line 7")
    error.add_note("of the list")
    assert caught(error)["traceback"].endswith("ValueError: x\nwhile reading line 7\nof the list")


def test_a_traceback_begins_with_the_authors_lines_also_where_it_is_awaited() -> None:
    async def execute() -> None:
        raise ValueError("x")

    with pytest.raises(ValueError, match="x") as thrown:
        python_stage._await(execute())
    told = failure(thrown.value, "raised")["traceback"].splitlines()
    assert told[0].startswith("Traceback")
    assert told[1].endswith("in execute")


def test_a_chain_without_end() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    members = failure(first, "raised")
    assert "first" in members["traceback"]
    assert "second" in members["traceback"]


def test_long_texts_are_cut() -> None:
    members = caught(ValueError("x" * 10_000_000), ValueError("y" * 10_000_000))
    assert len(members["message"]) < 20_000
    assert len(members["traceback"]) < 20_000


@pytest.mark.parametrize(
    ("error", "kind", "status", "says"),
    [
        (SystemExit(), "exited", 0, "exited with status 0 before"),
        (SystemExit(None), "exited", 0, "status 0"),
        (SystemExit(3), "exited", 3, "status 3"),
        (SystemExit(-1), "exited", 255, "status 255"),
        (SystemExit("why"), "exited", 1, "result: why"),
        (SystemExit(["odd"]), "exited", 1, "['odd']"),
        (MemoryError(), "memory", 1, "MemoryError"),
        (KeyboardInterrupt(), "raised", 1, "KeyboardInterrupt"),
    ],
)
def test_classes_of_errors(error: BaseException, kind: str, status: int, says: str) -> None:
    members = caught(error)
    assert (members["class"], members["status"]) == (kind, status)
    assert says in members["message"]
