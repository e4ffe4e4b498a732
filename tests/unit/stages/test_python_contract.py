import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noether_runner.stages.python_contract import contract_breach

FINE = "def execute(input):\n    return input\n"


def kind_and_line(source: str) -> tuple[str, int | None] | None:
    found = contract_breach(source)
    return None if found is None else (found.kind, found.line)


@pytest.mark.parametrize(
    "source",
    [
        FINE,
        "async def execute(input):\n    return input\n",
        "# def execute\n" + FINE,
        "import sys\n" + FINE + "def other():\n    return sys.stdin.read(), input()\n",
        FINE + "read = lambda: input()\n",
        FINE + "class A:\n    line = input\n    def f(self): return input()\n",
        FINE + "'''\nif __name__ == '__main__':\nsys.stdin\n'''\n",
        FINE + "x = 'input('\n",
        FINE + "if __name__ == 'other':\n    pass\n",
        "input = 1\n" + FINE,
    ],
)
def test_sources_that_keep_the_contract(source: str) -> None:
    assert kind_and_line(source) is None


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", ("python_missing_execute", None)),
        ("execute = len\n", ("python_missing_execute", None)),
        ("'''\ndef execute(input):\n'''\n", ("python_missing_execute", None)),
        ("class A:\n    def execute(self, x): pass\n", ("python_missing_execute", None)),
        (FINE + "if __name__ == '__main__':\n    pass\n", ("python_main_block", 3)),
        (FINE + "if '__main__' == __name__:\n    pass\n", ("python_main_block", 3)),
        ("import sys\nx = sys.stdin\n" + FINE, ("python_stdin_read", 2)),
        (FINE + "try:\n    x = input('?')\nexcept OSError:\n    pass\n", ("python_stdin_read", 4)),
        (FINE + "import sys\nfor l in sys.stdin: pass\n", ("python_stdin_read", 4)),
        ("def other(x=input()):\n    pass\n" + FINE, ("python_stdin_read", 1)),
        (FINE + "if True:\n    x = [input() for _ in range(2)]\n", ("python_stdin_read", 4)),
        (
            "x = input()\nif __name__ == '__main__': pass\n" + FINE,
            ("python_main_block", 2),
        ),
        ("x = input()\nif __name__ == '__main__': pass\n", ("python_missing_execute", None)),
    ],
)
def test_the_first_breach_in_order_of_weight(source: str, expected: tuple[str, int | None]) -> None:
    assert kind_and_line(source) == expected


BROKEN = "print 'old'\n"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (BROKEN + FINE, None),
        (BROKEN + "async def execute(x):\n  pass\n", None),
        (BROKEN + " def execute(x):\n  pass\n", ("python_missing_execute", None)),
        (BROKEN + "def execute (x):\n  pass\n", ("python_missing_execute", None)),
        (BROKEN + FINE + 'if __name__ == "__main__":\n', ("python_main_block", 4)),
        (BROKEN + FINE + "if __name__ == main:\n", None),
        (BROKEN + FINE + "# sys.stdin\n", ("python_stdin_read", 4)),
        (BROKEN + FINE + "input(1)\n", ("python_stdin_read", 4)),
        (BROKEN + FINE + "x = input(1)\n", ("python_stdin_read", 4)),
        (BROKEN + FINE + "\tx = input(1)\n", None),
        ("\0" + FINE, ("python_missing_execute", None)),
    ],
)
def test_source_of_another_python_is_judged_by_its_lines(
    source: str, expected: tuple[str, int | None] | None
) -> None:
    assert kind_and_line(source) == expected


def test_warnings_of_the_compiler_stay_out_of_sight() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert contract_breach(FINE + "x = '\\d'\ny = 1 is 1\n") is None


def test_the_message_names_the_line_and_what_to_do() -> None:
    found = contract_breach(FINE + "x = input()\n")
    assert found is not None
    assert "(line 3)" in found.message
    assert "argument of execute" in found.message


@given(st.text())
def test_any_text_gets_a_verdict(source: str) -> None:
    contract_breach(source)
