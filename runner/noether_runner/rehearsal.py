"""A run of nothing, so that a real run finds everything warm.

The first run of a fresh process pays for what later ones have: adapted bytecode, lazily built
tables, and, after a fork, a private copy of every memory page that is touched. The nursery
rehearses once before it forks; a spare runner rehearses once while it waits. The graph is ours,
no stage process is started, no file is written.
"""

from typing import TYPE_CHECKING, cast

import orjson

from noether_contract.messages import Event, FileStoreRef, RunRequest
from noether_contract.outcomes import RunStatus
from noether_runner.sandbox.cancellation import CancelSwitch
from noether_runner.session import run_session

if TYPE_CHECKING:
    from noether_runner.sandbox.child import Children

_GRAPH = (
    '{"description":"","version":"0.1.0","root":{"op":"Sequential","stages":['
    '{"op":"Const","value":[1,2.5,"x"]},{"op":"Stage","id":"identity"}]}}'
)
_NOWHERE = "/nonexistent/noether-rehearsal"


def rehearse() -> None:
    """Goes through a whole run in this process; raises RuntimeError when that fails."""
    request = RunRequest(
        run_id="rehearsal",
        graph_text=_GRAPH,
        graph_path=_NOWHERE,
        store=FileStoreRef(path=_NOWHERE),
        cache_dir=_NOWHERE,
        work_dir=_NOWHERE,
    )
    request = RunRequest.model_validate(orjson.loads(request.model_dump_json()))
    switch = CancelSwitch()
    try:
        # no stage of this graph asks for a process
        report = run_session(request, cast("Children", None), switch, _told)
    finally:
        switch.close()
    _told(report)
    if report.status is not RunStatus.SUCCEEDED:
        raise RuntimeError(f"the rehearsal ended as {report.status}: {report.error}")


def _told(event: Event) -> None:
    orjson.dumps(event.model_dump(mode="json"), option=orjson.OPT_APPEND_NEWLINE)
