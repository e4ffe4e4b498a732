"""The result of a call in a sandbox: what was seen from outside, and what was told from inside.

From outside there is only bubblewrap's own end; the stage-init inside tells of the stage's.
"""

from dataclasses import replace

from noether_runner.sandbox import wire
from noether_runner.sandbox.calls import ChildResult


def with_report(result: ChildResult, told: bytes) -> ChildResult:
    """The result with the facts of what came on the status pipe (`wire.py`), whole or in part."""
    if not told.startswith(wire.INSIDE):
        # without a status the stage-init outside was killed, which says nothing of the sandbox
        return replace(result, no_sandbox=result.wait_status is not None)
    report = told.removeprefix(wire.INSIDE).split()
    if report[:1] != [wire.ENDED]:
        # killed with its sandbox: how the stage itself ended is not known
        return replace(result, wait_status=None)
    status, killed, cpu, peak, files = map(int, report[1:])
    return replace(
        result,
        wait_status=status,
        # those that stage-init outside had to kill in there, and those that the one inside found
        leftovers=result.leftovers + killed,
        cpu_ms=cpu / 1000,
        peak_memory_bytes=peak * 1024,
        discarded_files=files,
    )
