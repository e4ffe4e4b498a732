"""What a soak is made of: jobs that are due every minute, most of them well-behaved, many not.

Each kind says how its runs have to end and what becomes of its webhook, so that afterwards every
record can be held against it. A job's `jitter` spreads the fires of a minute over that minute.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from running_service import Place
from service_stages import ANCESTORS, ECHO, FAIL, spec, stage

JITTER_SECONDS = 50

_KILLS_RUNNER = f"{ANCESTORS}\n\ndef execute(input):\n    os.kill(ancestors()[2], signal.SIGKILL)\n"
_WAITS = "import signal\n\ndef execute(input):\n    signal.pause()\n"
_FLOODS = (
    "import os\n\ndef execute(input):\n"
    "    for _ in range(320):\n        os.write(1, b'x' * 65536)\n"
)
_EATS = (
    "def execute(input):\n    kept = []\n    while True:\n        kept.append(bytearray(2**22))\n"
)
_DAEMON = (
    "import os, signal\n\ndef execute(input):\n    if os.fork() == 0:\n        os.setsid()\n"
    "        if os.fork() == 0:\n            os.closerange(0, 1024)\n"
    "            signal.pause()\n        os._exit(0)\n    return input\n"
)

SPECS = (
    ECHO,
    FAIL,
    spec("answers_in_bash", 'execute() {\n  printf %s "$1"\n}\n', "bash"),
    spec("answers_in_js", "function execute(input) { return input; }\n", "javascript"),
    spec("segfaults", "import ctypes\n\ndef execute(input):\n    ctypes.string_at(0)\n"),
    spec("kills_runner", _KILLS_RUNNER),
    spec("waits", _WAITS),
    spec("floods", _FLOODS),
    spec("eats", _EATS),
    spec("leaves_a_daemon", _DAEMON),
)


@dataclass(frozen=True)
class Kind:
    """`count` jobs of one kind: the stage they run, how that ends, and who is told.

    `webhook` is "well" (a receiver that answers 200), "badly" (500, tried twice), "nobody" (a
    port where nobody listens) or None. A kind without a stage has no graph file either.
    """

    name: str
    count: int
    status: str
    runs: str | None
    webhook: Literal["well", "badly", "nobody"] | None = None
    job: dict[str, Any] = field(default_factory=dict)


KINDS = (
    Kind("quick", 60, "succeeded", "echo"),
    Kind("told", 50, "succeeded", "echo", "well"),
    Kind("bash", 15, "succeeded", "answers_in_bash"),
    Kind("js", 5, "succeeded", "answers_in_js"),
    Kind("fails", 15, "failed", "fail", "well"),
    Kind("again", 4, "failed", "fail", "well", {"retry": {"attempts": 2, "delay": 0.2}}),
    Kind("segfaults", 8, "failed", "segfaults", "well"),
    Kind("runner-dies", 6, "crashed", "kills_runner", "well"),
    Kind("call-hangs", 6, "failed", "waits", None, {"stage_timeout": 0.5}),
    Kind("run-hangs", 6, "timed_out", "waits", "well", {"timeout": 0.5}),
    Kind("floods", 6, "succeeded", "floods"),
    Kind("eats", 3, "failed", "eats", None, {"memory_mb": 128}),
    Kind("daemon", 4, "succeeded", "leaves_a_daemon"),
    Kind("no-graph", 2, "failed", None, "well"),
    Kind("refused", 6, "succeeded", "echo", "badly"),
    Kind("unheard", 4, "succeeded", "echo", "nobody"),
)
"""Two hundred fires a minute."""


def kind_of(job: str) -> Kind:
    """The kind that a job is of."""
    return next(kind for kind in KINDS if kind.name == job.rpartition("-")[0])


def job_names() -> Iterator[str]:
    """The names of all jobs."""
    for kind in KINDS:
        yield from (f"{kind.name}-{number}" for number in range(kind.count))


def configure(place: Place, urls: dict[str, str]) -> None:
    """Writes stages, graphs and configuration; `urls` are those of the three kinds of webhook."""
    place.stages(*SPECS)
    for kind in KINDS:
        if kind.runs is not None:
            place.graph(kind.name, stage(kind.runs))
    place.configure(
        *(_job(name, urls) for name in job_names()), history={"keep_runs": 5, "keep_days": 90}
    )


def _job(name: str, urls: dict[str, str]) -> dict[str, Any]:
    kind = kind_of(name)
    job: dict[str, Any] = {
        "name": name,
        "cron": "* * * * *",
        "graph": f"{kind.name}.json",
        "input": {"from": name},
        "jitter": JITTER_SECONDS,
        **kind.job,
    }
    if kind.webhook is not None:
        attempts = 2 if kind.webhook == "badly" else 1
        job["webhook"] = {"url": urls[kind.webhook], "attempts": attempts}
    return job
