"""Stages that acceptance tests run: well-behaved ones that say where they are, and hostile ones."""

from dataclasses import dataclass
from typing import Any


def spec(name: str, code: str, language: str = "python", **members: Any) -> dict[str, Any]:
    """A stage spec as a user writes it; takes and gives anything unless `members` say otherwise."""
    return {
        "name": name,
        "description": f"test stage {name}",
        "input": "Any",
        "output": "Any",
        "effects": ["Fallible", "NonDeterministic"],
        "language": language,
        "implementation": code,
        **members,
    }


def stage(name: str, **members: Any) -> dict[str, Any]:
    """A graph node that calls a stage by its name."""
    return {"op": "Stage", "id": name, **members}


ECHO = spec("echo", "def execute(input):\n    return input\n")

FAIL = spec("fail", "def execute(input):\n    raise ValueError('no such luck')\n")

MEET = spec(
    "meet",
    """
import os

def execute(input):
    with open(input["here"], "w") as here:
        here.write(f"{os.getpid()}\\n")
    with open(input["gate"]) as gate:
        return gate.readline().strip()
""",
)
"""Writes its pid to the FIFO `here`, waits at the FIFO `gate` for a line, returns it."""


@dataclass(frozen=True)
class Hostile:
    """A stage that does harm, and how a run of it has to end."""

    name: str
    code: str
    status: str = "failed"
    error_class: str | None = "crashed"
    language: str = "python"
    job: tuple[tuple[str, Any], ...] = ()
    argument: Any = None

    @property
    def spec(self) -> dict[str, Any]:
        return spec(self.name, self.code, self.language)


ANCESTORS = """
import os, signal

def ancestors():
    found, pid = [], os.getpid()
    while len(found) < 4:
        with open(f"/proc/{pid}/stat") as stat:
            pid = int(stat.read().rpartition(")")[2].split()[1])
        with open(f"/proc/{pid}/cmdline") as cmdline:
            words = cmdline.read().split("\\0")
        if not any(a == "-m" and b.startswith("noether_runner.") for a, b in zip(words, words[1:])):
            break
        found.append(pid)
    return found
"""
"""Stage-init, zygote, runner and nursery above a stage: processes of the runner's own modules, and
never anything else. A stage of the same user could go on upwards, but so must no test."""

GROWS_BY_PROCESSES = Hostile(
    "grows_by_processes",
    """
import os, signal, time

def fork():
    while True:
        try:
            return os.fork()
        except BlockingIOError:
            time.sleep(0.01)  # another stage of the same user has taken all there may be

def execute(input):
    for _ in range(2 * max(4, os.cpu_count()) + 6):
        if fork() == 0:
            kept = bytearray(32 * 1024 * 1024)
            signal.pause()
    signal.pause()
""",
    status="out_of_memory",
    error_class=None,
    job=(("memory_mb", 64),),
)
"""Each of its processes stays below the limit; together they do not (`runs/usage.py`)."""

HOSTILE = (
    GROWS_BY_PROCESSES,
    Hostile(
        "exits_at_once",
        "import os\n\ndef execute(input):\n    os._exit(3)\n",
        error_class="exited",
    ),
    Hostile(
        "segfaults",
        "import ctypes\n\ndef execute(input):\n    ctypes.string_at(0)\n",
    ),
    Hostile(
        "kills_its_parent",
        "import os, signal\n\ndef execute(input):\n    os.kill(os.getppid(), signal.SIGKILL)\n"
        "    signal.pause()\n",
    ),
    Hostile(
        "kills_its_group",
        "import os, signal\n\ndef execute(input):\n    os.killpg(0, signal.SIGKILL)\n"
        "    signal.pause()\n",
    ),
    Hostile(
        "kills_zygote_and_parent",
        f"{ANCESTORS}\n\ndef execute(input):\n"
        "    for pid in ancestors()[1::-1]:\n        os.kill(pid, signal.SIGKILL)\n"
        "    signal.pause()\n",
    ),
    Hostile(
        "kills_all_above",
        f"{ANCESTORS}\n\ndef execute(input):\n"
        "    for pid in ancestors()[::-1]:\n        os.kill(pid, signal.SIGKILL)\n"
        "    signal.pause()\n",
        status="crashed",
        error_class=None,
    ),
    Hostile(
        "stops_all_above",
        f"{ANCESTORS}\n\ndef execute(input):\n"
        "    for pid in ancestors():\n        os.kill(pid, signal.SIGSTOP)\n"
        "    signal.pause()\n",
        status="timed_out",
        error_class=None,
        job=(("timeout", 1), ("stage_timeout", 0.5)),
    ),
    Hostile(
        "sleeps_for_ever",
        "import signal\n\ndef execute(input):\n    signal.pause()\n",
        error_class="timeout",
        job=(("stage_timeout", 0.5),),
    ),
    Hostile(
        "ignores_sigterm",
        "import signal\n\ndef execute(input):\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "    while True:\n        signal.pause()\n",
        status="timed_out",
        error_class="cancelled",
        job=(("timeout", 0.5),),
    ),
    Hostile(
        "eats_memory",
        "def execute(input):\n    kept = []\n    while True:\n"
        "        kept.append(bytearray(16 * 1024 * 1024))\n",
        error_class="memory",
        job=(("memory_mb", 256),),
    ),
    Hostile(
        "prints_a_gigabyte",
        "import sys\n\ndef execute(input):\n    text = 'x' * (1024 * 1024)\n"
        "    for _ in range(1024):\n        sys.stdout.write(text)\n    return 'printed'\n",
        status="succeeded",
        error_class=None,
    ),
    Hostile(
        "leaves_a_daemon",
        "import os, signal\n\ndef execute(input):\n    if os.fork() == 0:\n        os.setsid()\n"
        "        if os.fork() == 0:\n            os.closerange(0, 1024)\n"
        "            signal.pause()\n        os._exit(0)\n    return 'left one'\n",
        status="succeeded",
        error_class=None,
    ),
    Hostile(
        "closes_descriptors",
        "import os\n\ndef execute(input):\n    os.closerange(0, 65536)\n    return 'closed'\n",
        error_class="exited",
    ),
    Hostile(
        "leaks_descriptors",
        "import os\n\ndef execute(input):\n    while True:\n        os.dup(1)\n",
        error_class="raised",
    ),
    Hostile(
        "digs_deep",
        "import os\n\ndef execute(input):\n    for _ in range(1200):\n"
        "        os.mkdir('d')\n        os.chdir('d')\n    return 'dug'\n",
        status="succeeded",
        error_class=None,
    ),
    Hostile(
        "bursts_into_processes",
        "import os, signal\n\ndef execute(input):\n    for _ in range(8):\n"
        "        if os.fork() == 0:\n            os.setsid()\n    signal.pause()\n",
        error_class="timeout",
        job=(("stage_timeout", 1),),
    ),
    Hostile(
        "answers_a_gigabyte",
        "execute() {\n  head -c 1073741824 /dev/zero | tr '\\0' 1\n}\n",
        language="bash",
        error_class="output_too_large",
    ),
    Hostile(
        "gives_orders",
        "import json, socket\n\ndef execute(input):\n"
        "    line = socket.socket(socket.AF_UNIX)\n"
        "    line.connect('../../../control.sock')\n"
        '    line.sendall(b\'{"ask":"pause","job":"beat"}\\n\')\n'
        "    assert 'error' in json.loads(line.makefile().readline())\n    return 'refused'\n",
        status="succeeded",
        error_class=None,
    ),
    Hostile(
        "bash_that_kills_itself",
        "execute() {\n  kill -9 $$\n}\n",
        language="bash",
    ),
)

FLOOD_LINES = 1_000_000


def _flood(name: str, opening: str, line: str, ending: str, **members: Any) -> Hostile:
    code = (
        f"{ANCESTORS}\n\ndef execute(input):\n    to = {opening}\n"
        f"    for first in range(0, {FLOOD_LINES}, 1000):\n"
        f"        text = ''.join({line} for number in range(first, first + 1000)).encode()\n"
        "        while text:\n            text = text[os.write(to, text):]\n"
        f"    {ending}\n"
    )
    return Hostile(name, code, **members)


FLOODS = (
    _flood(
        "floods_output",
        "1",
        "f'line {number}\\n'",
        "return 'done'",
        status="succeeded",
        error_class=None,
    ),
    _flood(
        "floods_errors",
        "2",
        "f'line {number}\\n'",
        "return 'done'",
        status="succeeded",
        error_class=None,
    ),
    _flood(
        "floods_with_events",
        "os.open(f'/proc/{ancestors()[2]}/fd/1', os.O_WRONLY)",
        """'{"kind":"stage_started","call":%d,"stage_id":"x","path":"x"}\\n' % number""",
        "os.kill(ancestors()[2], signal.SIGKILL)",
        status="crashed",
        error_class=None,
    ),
)
"""A million lines each: on what a stage may write, and as a runner's own words. For the last one a
stage must be root's, which gets at everything of its runner; it makes sure that no report comes."""
