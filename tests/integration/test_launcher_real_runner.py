"""The real runner, forked by the nursery and started by exec: the same run, the same report."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from launching import launching, request
from noether_contract.messages import FileStoreRef, Grants, RunRequest, members_of
from noether_contract.outcomes import RunStatus
from noether_supervisor.records import RunEnding
from noether_supervisor.runs.launcher import Programs

TIMES = {"started_at", "ended_at", "duration_ms", "start_ms", "cpu_ms", "peak_memory_bytes"}


def graph_request(folder: Path, root: dict[str, Any], **more: Any) -> RunRequest:
    store = folder / "store.json"
    store.write_text('{"stages": []}', encoding="utf-8")
    text = json.dumps({"description": "a test", "version": "1", "root": root})
    made = request(folder, text, **more)
    return replace(made, graph_path="/graph.json", store=FileStoreRef(path=str(store)))


def endings(*asked: RunRequest) -> list[RunEnding]:
    """Each request both ways: forked, executed, forked, executed and so on."""

    async def all_of_them() -> list[RunEnding]:
        found: list[RunEnding] = []
        async with launching(Programs()) as forking, launching(Programs(nursery=None)) as executing:
            for each in asked:
                for launcher in (forking, executing):
                    found.append(await (await launcher.start(each)).ended())
        return found

    return asyncio.run(all_of_them())


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: timeless(each) for name, each in value.items() if name not in TIMES}
    if isinstance(value, list):
        return [timeless(each) for each in value]
    return value


def test_both_ways_tell_the_same(tmp_path: Path) -> None:
    constant = {"op": "Const", "value": {"a": [1, 1.0, "é"]}}
    unknown = {"op": "Stage", "id": "no such stage"}
    grants = Grants(environment={"TOKEN": "very secret token"}, secret_names=("TOKEN",))
    found = endings(
        graph_request(tmp_path, constant, grants=grants), graph_request(tmp_path, unknown)
    )
    for forked, executed in (found[:2], found[2:]):
        assert forked.status is executed.status
        assert forked.output == executed.output
        assert forked.error == executed.error
        assert forked.notes == executed.notes == ()
        assert forked.stderr_tail == executed.stderr_tail == ""
        assert forked.trace is not None
        assert executed.trace is not None
        assert timeless(members_of(forked.trace)) == timeless(members_of(executed.trace))
    assert found[0].status is RunStatus.SUCCEEDED
    assert found[0].output == {"a": [1, 1.0, "é"]}
    assert found[2].status is RunStatus.FAILED
