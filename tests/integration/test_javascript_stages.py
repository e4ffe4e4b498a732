"""The table of `runtimes.md` §1.4 and the details of §7.4, with real stages."""

from typing import Any

import pytest

from harness_calls import need
from stage_tables import Row, check_row, run_table

TABLE = {
    "exported as a member": Row("exports.execute = (x) => x + 1;", "3", value=2),
    "exported as a whole": Row("module.exports = {execute: (x) => x * 2};", "4", value=2),
    "names of the wrapper may be declared": Row(
        "const module = 1, exports = 2, request = 3, answer = 4, phase = 5, main = 6;\n"
        "function execute() { return [module, exports, request, answer, phase, main]; }",
        "[1,2,3,4,5,6]",
    ),
    "an early return yields no entry point": Row("return 5;", failure="no_entry_point"),
    "not a function": Row("const execute = 5;", failure="no_entry_point", says=("number",)),
    "import declarations do not work": Row(
        "import fs from 'fs';\nfunction execute() {}",
        failure="load_error",
        says=("SyntaxError", "import"),
    ),
    "the line of a syntax error": Row(
        "const a = 1;\nconst a = 2;\nfunction execute() {}",
        failure="load_error",
        says=("SyntaxError", "(stage.js, line 2)"),
    ),
    "a brace too many": Row("function execute() {}\n}", failure="load_error"),
    "a brace too few": Row("function execute() { return 1;", failure="load_error"),
    "an error while loading": Row(
        "throw new RangeError('early');", failure="load_error", says=("RangeError: early",)
    ),
    "the author's lines are shown": Row(
        "\nfunction helper() { throw new Error('x'); }\nfunction execute() { helper(); }",
        failure="raised",
        says=("stage.js:2:",),
    ),
    "what caused an error is told": Row(
        "function execute() { throw new Error('a', {cause: new TypeError('why')}); }",
        failure="raised",
        says=("Error: a", "caused by TypeError: why"),
    ),
    "what an aggregate holds is told": Row(
        "function execute() {\n"
        "  const e = new AggregateError([new Error('one'), 'two'], 'm');\n"
        "  e.errors.push(e);\n  e.cause = e;\n  throw e;\n}",
        failure="raised",
        says=("AggregateError: m (Error: one; two; AggregateError: m (",),
    ),
    "anything can be thrown": Row(
        "function execute() { throw 'just text'; }", failure="raised", says=("just text",)
    ),
    "nothing can be thrown": Row("function execute() { throw null; }", failure="raised"),
    "an object without a text can be thrown": Row(
        "function execute() { throw Object.create(null); }", failure="raised"
    ),
    "an error with lone surrogates": Row(
        r"function execute() { throw new Error('x\ud800y'); }", failure="raised", says=("x",)
    ),
    "a stack that overflows": Row(
        "function execute(x) { return execute(x) + 1; }", failure="raised", says=("RangeError",)
    ),
    "a promise that never settles": Row(
        "function execute() { return new Promise(() => {}); }", failure="exited", says=("status",)
    ),
    "a function is no result": Row(
        "function execute() { return execute; }", failure="invalid_output", says=("function",)
    ),
    "a symbol is no result": Row(
        "function execute() { return Symbol('x'); }", failure="invalid_output", says=("symbol",)
    ),
    "big integers": Row(
        "function execute() { return [1n]; }", failure="invalid_output", says=("BigInt",)
    ),
    "cycles": Row(
        "function execute() { const x = {}; x.x = x; return x; }", failure="invalid_output"
    ),
    "infinities are null": Row("function execute() { return [Infinity, NaN]; }", "[null,null]"),
    "maps and sets": Row(
        "function execute() { return [new Map([[1, 2]]), new Set([1])]; }", "[{},{}]"
    ),
    "a lone surrogate": Row(
        r"function execute() { return '\ud800'; }", failure="invalid_output", says=("surrogate",)
    ),
    "nested too deeply": Row(
        "function execute() { let r = 1; for (let i = 0; i < 128; i++) r = [r]; return r; }",
        failure="invalid_output",
        says=("127 levels",),
    ),
    "text outside of ASCII": Row(
        "function execute(x) { return x + 'é你😀'; }", '"ü\u2028é你😀"', value="ü\u2028"
    ),
    "what reports may be replaced": Row(
        "function execute() { JSON.stringify = Buffer.from = require('fs').writeSync = () => 1;\n"
        "process.exit = () => {}; console.log('x'); return {true: 'result'}; }",
        '{"true":"result"}',
    ),
    "an error right after the result": Row(
        "function execute() { setTimeout(() => { throw new Error('too late'); }, 20); return 1; }",
        failure="raised",
        says=("too late", "after the result"),
    ),
    "a rejection nobody looks at": Row(
        "async function execute() { Promise.reject(new Error('unseen'));\n"
        "await new Promise((done) => setTimeout(done, 500)); return 1; }",
        failure="raised",
        says=("unseen",),
    ),
    "an exit status after the result": Row(
        "function execute() { process.exitCode = 3; return 1; }",
        failure="exited",
        says=("status 3",),
    ),
    "its own folder": Row(
        "function execute() { return [require('os').tmpdir() === process.cwd(),\n"
        "require('fs').readdirSync('.'), __filename === process.argv[1]]; }",
        '[true,["stage.js"],true]',
    ),
    "standard input is empty": Row(
        "function execute() { return require('fs').readFileSync(0, 'utf8'); }", '""'
    ),
    "a module beside it": Row(
        "require('fs').writeFileSync('beside.js', 'exports.x = 7;');\n"
        "function execute() { return require('./beside.js').x; }",
        "7",
    ),
    "a large result": Row("function execute() { return 'x'.repeat(300000).length; }", "300000"),
    "a capital letter": Row(
        "function execute() { return 1; }", "1", members={"language": "JavaScript"}, says=("usual",)
    ),
}


@pytest.fixture(scope="module")
def results() -> dict[str, dict[str, Any]]:
    need("node")
    return run_table(TABLE, "javascript")


@pytest.mark.parametrize("name", TABLE)
def test_javascript(name: str, results: dict[str, dict[str, Any]]) -> None:
    check_row(TABLE[name], results[name])
