"""When a run uses too much memory, and how that is said."""

import os

from noether_supervisor.records import RunnerProcess
from noether_supervisor.runs import usage
from noether_supervisor.runs.usage import (
    INTERPRETER_BYTES,
    PARALLEL_STAGES,
    TreeUsage,
    excess,
    most_processes,
    swarm,
)

MIB = 1024 * 1024


def test_within_its_limits() -> None:
    limit = 100 * MIB
    most = TreeUsage(limit + INTERPRETER_BYTES, limit * PARALLEL_STAGES + INTERPRETER_BYTES, 9)
    assert excess(most, limit) is None


def test_runner_beyond_its_limit() -> None:
    sentence = excess(TreeUsage(300 * MIB, 300 * MIB, 1), 100 * MIB)
    assert sentence is not None
    assert "The runner itself used 300 MiB" in sentence
    assert "100 MiB (memory_mb)" in sentence


def test_tree_beyond_its_limit() -> None:
    size = (PARALLEL_STAGES + 1) * 100 * MIB
    sentence = excess(TreeUsage(10 * MIB, size, 12), 100 * MIB)
    assert sentence is not None
    assert "in 12 processes" in sentence
    assert f"{PARALLEL_STAGES} at a time" in sentence


def test_more_processes_than_a_run_may_have() -> None:
    most = most_processes(100)
    assert swarm(most, 100) is None
    sentence = swarm(most + 1, 100)
    assert sentence is not None
    assert f"had {most + 1} processes" in sentence


def test_samples_of_this_process() -> None:
    us = RunnerProcess(os.getpid(), 0)
    resident, proportional = usage._resident(us), usage._proportional(us)
    assert resident.runner_bytes >= proportional.runner_bytes > 0
    assert resident.tree_bytes >= resident.runner_bytes


def test_process_that_is_gone_uses_nothing() -> None:
    gone = RunnerProcess(2**22 - 1, 0)
    assert usage._resident(gone) == usage._proportional(gone) == TreeUsage(0, 0, 1)
