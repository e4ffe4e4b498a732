"""The runner's own line to the supervisor: whole lines, and no events without end."""

import os

import orjson
import pytest

from history_samples import trace
from noether_contract.messages import GraphRead, RunReport, StageStarted
from noether_contract.outcomes import RunStatus
from noether_runner import channel
from noether_runner.channel import Channel

STARTED = StageStarted(call=0, stage_id="b" * 64, path="root", start_ms=0.5)


def test_calls_without_end_are_told_up_to_a_bound_and_the_report_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channel, "MOST_EVENT_BYTES", 1000)
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream:
        line = Channel(writing)
        line.send(GraphRead(composition_id="c" * 64))
        for _ in range(100):
            line.send(STARTED)
        line.send(RunReport(run_id="run", status=RunStatus.SUCCEEDED, trace=trace()))
        os.close(writing)
        kinds = [orjson.loads(text)["kind"] for text in stream]
    assert kinds[0] == "graph_read"
    assert kinds[-1] == "report"
    assert 0 < kinds.count("stage_started") < 10
