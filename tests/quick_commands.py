"""What `noether-scheduler`'s commands do, done in this process where a test needs many of them.

The service that they speak to is as real as ever; what is spared is an interpreter a command.
"""

import contextlib
import io
import json
from typing import Any

from noether_supervisor.cli import main
from noether_supervisor.control import ask
from running_service import Place


def run_jobs(place: Place, *names: str) -> dict[str, str]:
    """How one run of each job ended; all are asked for at once, as by `noether-scheduler run`."""
    state = place.folder / ".noether" / "scheduler"
    asked = {name: ask(state, {"ask": "run", "job": name}) for name in names}
    ends = {}
    for name, answers in asked.items():
        assert answers is not None, "no service is running"
        *_, last = answers
        ends[name] = last["status"]
    return ends


def read(place: Place, *words: str) -> Any:
    """What a command prints for programs (`--json`)."""
    told = io.StringIO()
    with contextlib.chdir(place.folder), contextlib.redirect_stdout(told):
        assert main([*words, "--json"]) == 0
    return json.loads(told.getvalue())


def runs_of(place: Place, job: str | None = None) -> list[dict[str, Any]]:
    """Every run of a job, with its trace, newest first."""
    words = [] if job is None else ["--job", job]
    entries = read(place, "history", "-n", "1000000", *words)
    return [read(place, "show", entry["run_id"]) for entry in entries]
