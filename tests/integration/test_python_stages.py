"""The table of `runtimes.md` §1.3 and the details of §7.4, with real stages."""

from dataclasses import replace
from typing import Any

import pytest

from stage_tables import Row, check_row, run_table
from wheels import LINE

RETURNS = "def execute(input):\n    return {}\n"

TABLE = {
    "nan text decodes to a float that cannot leave": Row(
        RETURNS.format("input"), failure="invalid_output", says=("result is nan",), value="NaN"
    ),
    "nan text is seen by the stage": Row(
        RETURNS.format("type(input).__name__"), '"float"', value="NaN"
    ),
    "digits in a string become a number": Row(RETURNS.format("input + 1"), "124", value="123"),
    "text stays text when declared": Row(
        RETURNS.format("input"), '"null"', value="null", members={"input_type": "Text"}
    ),
    "false stays": Row(RETURNS.format("input"), "false", value=False),
    "zero stays": Row(RETURNS.format("input"), "0", value=0),
    "empty text stays": Row(RETURNS.format("input"), '""', value=""),
    "minus zero": Row(RETURNS.format("[input, -0.0]"), "[-0.0,-0.0]", members={"input_text": "-0"}),
    "members arrive sorted": Row(
        RETURNS.format("list(input)"), '["a","b"]', value={"b": 1, "a": 2}
    ),
    "a decoder that was replaced changes no input": Row(
        "import json\njson.JSONDecoder.raw_decode = lambda *_: (7, 3)\n" + RETURNS.format("input"),
        "[1]",
        value="[1]",
    ),
    "what a group of exceptions holds is told": Row(
        "async def execute(input):\n"
        "    import asyncio\n"
        "    async with asyncio.TaskGroup() as group:\n"
        "        group.create_task(asyncio.to_thread(int, 'x'))\n",
        failure="raised",
        says=("1 sub-exception): ValueError: invalid literal",),
    ),
    "surrogate halves are joined": Row(RETURNS.format(r"'\ud83d' + '\ude00'"), '"\U0001f600"'),
    "lone surrogate in a key": Row(
        RETURNS.format(r"{'a': [{'\ud83d': 1}]}"),
        failure="invalid_output",
        says=("result['a'][0] has a key that is text with an unpaired surrogate",),
    ),
    "lone surrogate in a value": Row(
        RETURNS.format(r"[1, 'x\udc00']"),
        failure="invalid_output",
        says=("result[1] is text with",),
    ),
    "the place of a set": Row(
        RETURNS.format("{'ids': [1, {2}]}"),
        failure="invalid_output",
        says=("result['ids'][1] is of type set",),
    ),
    "bytes": Row(RETURNS.format("b'x'"), failure="invalid_output", says=("type bytes",)),
    "generator": Row(RETURNS.format("(i for i in 'x')"), failure="invalid_output"),
    "datetime": Row(
        "import datetime\n" + RETURNS.format("[datetime.datetime(2020, 1, 1)]"),
        failure="invalid_output",
        says=("result[0] is of type datetime",),
    ),
    "tuple as key": Row(
        RETURNS.format("{(1, 2): 3}"),
        failure="invalid_output",
        says=("key that is not text: (1, 2)",),
    ),
    "infinity": Row(
        RETURNS.format("[[float('inf')]]"), failure="invalid_output", says=("result[0][0] is inf",)
    ),
    "infinity as key": Row(RETURNS.format("{float('inf'): 1}"), failure="invalid_output"),
    "a value that contains itself": Row(
        "def execute(input):\n    x = []\n    x.append(x)\n    return x\n", failure="invalid_output"
    ),
    "integer beyond doubles": Row(
        RETURNS.format("10**400"), failure="invalid_output", says=("beyond the range",)
    ),
    "integer of many digits": Row(RETURNS.format("10**5000"), failure="invalid_output"),
    "integers at the edges": Row(
        RETURNS.format("[2**64 - 1, -2**63, 2**64, -2**63 - 1]"),
        "[18446744073709551615,-9223372036854775808,1.8446744073709552e+19,-9.223372036854776e+18]",
    ),
    "nested beyond anything": Row(
        "def execute(input):\n    r = 1\n    for _ in range(100000):\n"
        "        r = [r]\n    return r\n",
        failure="invalid_output",
        says=("127 levels",),
    ),
    "dictionaries of other kinds": Row(
        "import collections\n"
        + RETURNS.format("collections.OrderedDict(a=collections.defaultdict(int, b=1))"),
        '{"a":{"b":1}}',
    ),
    "named tuples and enums": Row(
        "import collections, enum\nP = collections.namedtuple('P', 'x y')\n"
        "class E(enum.IntEnum):\n    A = 7\n" + RETURNS.format("[P(1, 2), E.A, True]"),
        "[[1,2],7,true]",
    ),
    "awaitable object": Row(
        "class A:\n    def __await__(self):\n        return 5\n        yield\n"
        + RETURNS.format("A()"),
        "5",
    ),
    "await that fails": Row(
        "async def execute(input):\n    raise ValueError('late')\n",
        failure="raised",
        says=("ValueError: late",),
    ),
    "key error": Row(
        "def execute(input):\n    return input['missing']\n",
        failure="raised",
        says=("KeyError: 'missing'",),
    ),
    "exception without text": Row(
        "def execute(input):\n    raise ValueError()\n", failure="raised", says=("ValueError",)
    ),
    "keyboard interrupt": Row(
        "def execute(input):\n    raise KeyboardInterrupt\n",
        failure="raised",
        says=("KeyboardInterrupt",),
    ),
    "cause is told": Row(
        "def execute(input):\n    try:\n        1 / 0\n    except ZeroDivisionError as e:\n"
        "        raise RuntimeError('outer') from e\n",
        failure="raised",
        says=("RuntimeError: outer", "ZeroDivisionError: division by zero"),
    ),
    "the author's lines are shown": Row(
        "def helper():\n    raise ValueError('x')  # the place\n"
        "def execute(input):\n    helper()\n",
        failure="raised",
        says=("# the place", "line 2, in helper", "stage.py"),
    ),
    "exit while loading": Row(
        "import sys\nsys.exit(3)\n", failure="exited", says=("exited with status 3",)
    ),
    "exception while loading": Row("1 / 0\n", failure="load_error", says=("ZeroDivisionError",)),
    "null byte in the source": Row("x = '\0'\n", failure="load_error"),
    "syntax error has its line": Row(
        "x = 1\ny = (\n", failure="load_error", says=("SyntaxError", "line 2")
    ),
    "memory error": Row(
        "def execute(input):\n    raise MemoryError()\n", failure="memory", says=("MemoryError",)
    ),
    "several future lines, not first": Row(
        "X = 1\nfrom __future__ import (\n    annotations,\n    division,\n)\n"
        "def execute(input: Nowhere):\n    return X\n",
        "1",
    ),
    "unknown future feature": Row(
        "x = 1\nfrom __future__ import nothing_of_the_kind\ndef execute(i): return 1\n",
        failure="load_error",
    ),
    "carriage returns": Row("def execute(input):\r\n    return 'a'\r\n", '"a"'),
    "no hidden import path": Row(
        "import sys\n" + RETURNS.format("'' in sys.path or '.' in sys.path"), "false"
    ),
    "the module can be looked up": Row(
        "import pickle, sys\nclass C:\n    pass\ndef execute(input):\n"
        "    return [pickle.loads(pickle.dumps(C())).__class__ is C, __name__,\n"
        "            __file__ == sys.argv[0], 'execute' in dir(sys.modules[__name__])]\n",
        '[true,"__noether_stage__",true,true]',
    ),
    "its own folder": Row(
        "import os, tempfile\ndef execute(input):\n"
        "    here = os.getcwd()\n"
        "    mode = oct(os.stat(here).st_mode)[-3:]\n"
        "    return [tempfile.gettempdir() == here, os.listdir(), mode, oct(os.umask(0o22))]\n",
        '[true,["stage.py"],"700","0o22"]',
    ),
    "files it leaves are removed": Row(
        "import os\ndef execute(input):\n    os.makedirs('a/b')\n    open('a/b/c', 'w').close()\n"
        "    os.symlink('/', 'a/root')\n    os.chmod('a/b', 0)\n    return 1\n",
        "1",
    ),
    "exit functions run": Row(
        "import atexit\natexit.register(print, 'at the end')\n" + RETURNS.format("1"),
        "1",
        says=("at the end",),
    ),
    "a finalizer runs": Row(
        "import weakref\nclass C:\n    pass\nc = C()\nweakref.finalize(c, print, 'finalized')\n"
        + RETURNS.format("1"),
        "1",
        says=("finalized",),
    ),
    "what was printed without a line feed": Row(
        "import sys\ndef execute(input):\n    sys.stdout.write('no line feed')\n    return 1\n",
        "1",
        says=("no line feed",),
    ),
    "odd text on the streams": Row(
        "import os\ndef execute(input):\n    print('\\ud800')\n"
        "    os.write(2, b'\\xff\\n')\n    return 1\n",
        "1",
        says=("\\ud800", "\N{REPLACEMENT CHARACTER}"),
    ),
    "default time limit of sockets": Row(
        "import socket\n" + RETURNS.format("0 < socket.getdefaulttimeout() <= 10"), "true"
    ),
    "a child of its own": Row(
        "import subprocess\n"
        + RETURNS.format("subprocess.run(['echo', 'x'], capture_output=True, text=True).stdout"),
        '"x\\n"',
    ),
    "processes of the standard library": Row(
        "import multiprocessing\ndef work(queue):\n    queue.put(5)\ndef execute(input):\n"
        "    queue = multiprocessing.Queue()\n"
        "    child = multiprocessing.Process(target=work, args=(queue,))\n"
        "    child.start()\n    value = queue.get()\n    child.join()\n    return value\n",
        "5",
    ),
    "threads of the standard library": Row(
        "from concurrent.futures import ThreadPoolExecutor\ndef execute(input):\n"
        "    with ThreadPoolExecutor(4) as pool:\n        return list(pool.map(abs, [-1, -2]))\n",
        "[1,2]",
    ),
    "limits that are set": Row(
        "import resource as r\n"
        + RETURNS.format(
            "[r.getrlimit(r.RLIMIT_CORE)[0], r.getrlimit(r.RLIMIT_NOFILE)[0],"
            " r.getrlimit(r.RLIMIT_DATA)[0] >> 20, r.getrlimit(r.RLIMIT_FSIZE)[0] >> 20]"
        ),
        "[0,1024,1024,1024]",
    ),
    "a file that grows too large": Row(
        "import resource\ndef execute(input):\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "    with open('f', 'wb', buffering=0) as f:\n"
        "        f.write(b'x' * 10)\n        f.write(b'x')\n",
        failure="raised",
        says=("File too large",),
    ),
    "signals are as in any Python": Row(
        "import signal as s\n"
        + RETURNS.format(
            "[s.getsignal(s.SIGTERM) == s.SIG_DFL, s.getsignal(s.SIGPIPE) == s.SIG_IGN,"
            " s.getsignal(s.SIGCHLD) == s.SIG_DFL,"
            " s.getsignal(s.SIGINT) is s.default_int_handler, list(s.pthread_sigmask(0, []))]"
        ),
        "[true,true,true,true,[]]",
    ),
    "no privileges to gain": Row(
        RETURNS.format("'NoNewPrivs:\\t1' in open('/proc/self/status').read()"), "true"
    ),
    "its own group, and the session of its parent": Row(
        "import os\n"
        + RETURNS.format("[os.getpgrp() == os.getpid(), os.getsid(0) == os.getppid()]"),
        "[true,true]",
    ),
    "no descriptor but the agreed ones": Row(
        "import os\n" + RETURNS.format("sorted(int(n) for n in os.listdir('/proc/self/fd'))[:3]"),
        "[0,1,2]",
    ),
    "spelled with capitals": Row(
        RETURNS.format("1"), "1", members={"language": "Python"}, says=("the usual spelling",)
    ),
    "no language at all": Row(
        RETURNS.format("1"), "1", members={"language": None}, says=("names no language",)
    ),
    "a language nobody speaks": Row(
        "x", failure="runtime_unavailable", members={"language": "ruby"}, says=("'ruby'",)
    ),
    "packages that are not taken": Row(
        "# requires: requests_nowhere\n" + RETURNS.format("1"),
        "1",
        says=("'requests_nowhere' of '# requires:' is ignored: unpinned",),
    ),
    "a rejected package that is missed": Row(
        "# requires: scikit-learn_>=2\nimport sklearn.nowhere_at_all\n",
        failure="dependency_error",
        says=("sklearn", "# requires: scikit-learn==<version>"),
    ),
    "a known package that is missed": Row(
        "import boto3\n", failure="load_error", says=("boto3==<version>",)
    ),
}


@pytest.fixture(scope="module", params=["executed", "forked", "in an environment"])
def results(request: pytest.FixtureRequest, prepared: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """All rows, by each of the three ways to start a Python stage."""
    if request.param != "in an environment":
        return run_table(TABLE, "python", clean_fork=request.param == "forked")
    # last, so that the author's line numbers stay what they are
    table = {name: replace(row, code=f"{row.code}\n{LINE}\n") for name, row in TABLE.items()}
    return run_table(table, "python", packages=prepared)


@pytest.mark.parametrize("name", TABLE)
def test_python(name: str, results: dict[str, dict[str, Any]]) -> None:
    check_row(TABLE[name], results[name])
