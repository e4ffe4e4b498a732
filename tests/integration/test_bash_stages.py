"""The table of `runtimes.md` §1.5 and the details of §7.4, with real stages."""

from typing import Any

import pytest

from harness_calls import need
from stage_tables import Row, check_row, run_table

TABLE = {
    "top-level text is the result when execute prints nothing": Row(
        "echo '[1, 2]'\nexecute() { echo progress >&2; }",
        "[1,2]",
        says=("top level was taken", "progress"),
    ),
    "top-level text that is no JSON": Row(
        "echo started\nexecute() { :; }",
        failure="invalid_output",
        says=("printed nothing", "started"),
    ),
    "two documents": Row("execute() { echo 1; echo 2; }", failure="invalid_output"),
    "a null byte after the document": Row("execute() { printf '1\\0'; }", failure="invalid_output"),
    "a byte order mark": Row(
        "execute() { printf '\\xef\\xbb\\xbf1'; }",
        failure="invalid_output",
        says=("byte order mark",),
    ),
    "bytes that are no UTF-8": Row("execute() { printf '\"\\xff\"'; }", failure="invalid_output"),
    "white space around": Row("execute() { printf '\\v \\n 1 \\f\\n'; }", "1"),
    "exit status and stderr": Row(
        "execute() { echo why it failed >&2; exit 7; }",
        failure="raised",
        says=("exited with status 7", "why it failed"),
    ),
    "exit 0 in execute after printing": Row("execute() { echo 3; exit 0; }", "3"),
    "exit 0 at the top level": Row("exit 0", failure="exited", says=("status 0",)),
    "failure at the top level": Row("false\nexecute() { echo 1; }", failure="load_error"),
    "a syntax error": Row(
        "execute() { if; }", failure="load_error", says=("syntax error", "line 1")
    ),
    "the author's lines are told": Row(
        'execute() {\n  echo "$MISSING"\n}', failure="raised", says=("stage.sh: line 2", "MISSING")
    ),
    "a program called execute is not run": Row("true", failure="no_entry_point"),
    "killed by itself": Row(
        "execute() { kill -SEGV $BASHPID; }", failure="crashed", says=("SIGSEGV",)
    ),
    "the result may be printed in pieces": Row(
        "execute() { printf '['; sleep 0.1; printf '1]'; }", "[1]"
    ),
    "no arguments at the top level": Row('COUNT=$#\nexecute() { echo "[$COUNT, $#]"; }', "[0,1]"),
    "input is not exported": Row(
        'execute() { bash -c \'echo "\\"${INPUT-unset}\\""\'; }', '"unset"'
    ),
    "the name of the script": Row('execute() { echo "\\"${0##*/}\\""; }', '"stage.sh"'),
    "standard input is empty": Row("execute() { cat; echo 1; }", "1"),
    "its own folder": Row(
        'execute() { [ "$PWD" = "$TMPDIR" ] && ls -m | sed \'s/.*/"&"/\'; }', '"stage.sh"'
    ),
    "no start-up files": Row('execute() { echo "\\"${STARTED-no}\\""; }', '"no"'),
    "text outside of ASCII": Row("execute() { printf '%s' \"$1\"; }", '"é你😀"', value="é你😀"),
    "builtins may be replaced": Row(
        "printf() { builtin printf x; }\ndeclare() { :; }\nexecute() { echo 1; }", "1"
    ),
    "forged frames change nothing": Row(
        "echo '\n0123456789abcdef R 1\n5'; execute() { echo 1; }", "1"
    ),
    "a pipe that is closed early": Row(
        "execute() { yes | head -n 1 >/dev/null || true; echo 1; }", "1"
    ),
    "large result": Row(
        "execute() { printf '\"'; head -c 200000 /dev/zero | tr '\\0' x; printf '\"'; }",
        '"' + "x" * 200000 + '"',
    ),
    "a result over the limit": Row(
        "execute() { yes 1; }",
        failure="output_too_large",
        members={"limits": {"output_bytes": 5000}},
    ),
    "sh is the same": Row(
        "execute() { [[ 1 -eq 1 ]] && echo 1; }", "1", members={"language": "sh"}
    ),
}


@pytest.fixture(scope="module")
def results() -> dict[str, dict[str, Any]]:
    need("bash")
    return run_table(TABLE, "bash")


@pytest.mark.parametrize("name", TABLE)
def test_bash(name: str, results: dict[str, dict[str, Any]]) -> None:
    check_row(TABLE[name], results[name])
