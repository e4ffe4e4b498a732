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

HOSTILE = (
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
        job=(("timeout", 2), ("stage_timeout", 1)),
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
        "bash_that_kills_itself",
        "execute() {\n  kill -9 $$\n}\n",
        language="bash",
    ),
)
