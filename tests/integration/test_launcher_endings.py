"""Whatever a runner does, its run has one ending; the same whether forked or executed."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from launching import BY_EXEC, BY_NURSERY, is_gone, launching, request, run, started, written_pids
from noether_contract.messages import Grants, Limits
from noether_contract.outcomes import ErrorCode, RunStatus
from noether_supervisor.records import RunEnding
from noether_supervisor.runs import running, usage
from noether_supervisor.runs.cgroups import RunGroup, RunGroups
from noether_supervisor.runs.endings import STOP_WORDS, StopReason
from noether_supervisor.runs.launcher import LaunchError, Programs

BOTH = pytest.mark.parametrize("programs", [BY_EXEC, BY_NURSERY], ids=["exec", "nursery"])
SHORT = Limits(run_seconds=0.2)


def ending_of(programs: Programs, folder: Path, behaviour: str, **more: Any) -> RunEnding:
    async def once() -> RunEnding:
        async with launching(programs) as launcher:
            return await run(launcher, folder, behaviour, **more)

    return asyncio.run(once())


@BOTH
def test_report_is_the_ending(programs: Programs, tmp_path: Path) -> None:
    ending = ending_of(programs, tmp_path, "echo", input_text='{"a":[1,1.0,"é"]}')
    assert ending.status is RunStatus.SUCCEEDED
    assert ending.output == {"a": [1, 1.0, "é"]}
    assert ending.error is None
    assert ending.duration_ms == 5
    assert ending.composition_id == "c" * 64
    assert ending.trace is not None
    assert not ending.trace.incomplete
    assert ending.notes == ()


@BOTH
def test_large_request_and_report(programs: Programs, tmp_path: Path) -> None:
    text = "x" * 5_000_000
    ending = ending_of(programs, tmp_path, "echo", input_text=f'"{text}"')
    assert ending.output == text


@BOTH
def test_failed_report(programs: Programs, tmp_path: Path) -> None:
    ending = ending_of(programs, tmp_path, "fail")
    assert ending.status is RunStatus.FAILED
    assert ending.error is not None
    assert ending.error.message == "stage x failed: no"
    assert ending.notes == ()


@BOTH
def test_report_counts_against_the_exit(programs: Programs, tmp_path: Path) -> None:
    ending = ending_of(programs, tmp_path, "disagree")
    assert ending.status is RunStatus.SUCCEEDED
    assert ending.output == 1
    (note,) = ending.notes
    assert "SIGSEGV" in note


@BOTH
def test_crash_leaves_a_partial_trace(programs: Programs, tmp_path: Path) -> None:
    grants = Grants(environment={"TOKEN": "very secret token"}, secret_names=("TOKEN",))
    ending = ending_of(programs, tmp_path, "crash", grants=grants)
    assert ending.status is RunStatus.CRASHED
    assert ending.error is not None
    assert ending.error.code is ErrorCode.RUNNER_CRASHED
    assert "signal 11 (SIGSEGV)" in ending.error.message
    assert "Still running: stage slow at root.stages[1]." in ending.error.message
    assert ending.error.message.endswith("last words ***")
    assert ending.stderr_tail == "last words ***\n"
    assert ending.composition_id == "d" * 64
    trace = ending.trace
    assert trace is not None
    assert trace.incomplete
    assert trace.status == "Failed"
    assert [entry.path for entry in trace.stages] == ["root.stages[0]"]
    assert [started.path for started in trace.open_stages] == ["root.stages[1]"]
    assert ending.usage.stage_calls == 2
    assert ending.usage.peak_memory_bytes == 1000


@BOTH
@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("leave:0", "exit code 0"),
        ("leave:9", "exit code 9"),
        ("raise_:broken", "ValueError: broken"),
        ("close_streams", "exit code 3"),
        ("crash:9", "signal 9 (SIGKILL)"),
        ("crash:15", "signal 15 (SIGTERM)"),
    ],
)
def test_end_without_report(programs: Programs, tmp_path: Path, behaviour: str, words: str) -> None:
    ending = ending_of(programs, tmp_path, behaviour)
    assert ending.status is RunStatus.CRASHED
    assert ending.error is not None
    assert words in ending.error.message


@BOTH
def test_garbage_is_counted_and_decides_nothing(programs: Programs, tmp_path: Path) -> None:
    ending = ending_of(programs, tmp_path, "garbage")
    assert ending.status is RunStatus.CRASHED
    assert ending.notes == ("8 lines of the runner's output could not be read and did not count.",)
    ending = ending_of(programs, tmp_path, "garbage_then_report")
    assert ending.status is RunStatus.SUCCEEDED
    assert ending.notes == ("1 line of the runner's output could not be read and did not count.",)


@BOTH
@pytest.mark.parametrize("where", ["lines", "one line", "stderr"])
def test_output_without_end_is_ended(
    programs: Programs, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "MAX_STREAM_BYTES", 4 * 1024 * 1024)
    ending = ending_of(programs, tmp_path, f"flood:{where}")
    assert ending.status is RunStatus.CRASHED
    assert ending.error is not None
    assert "more than 4 MiB" in ending.error.message


@BOTH
def test_deadline(programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "DEADLINE_GRACE_SECONDS", 0.2)
    left = tmp_path / "left"
    left.mkdir()
    ending = ending_of(programs, tmp_path, f"hang:{left}", limits=Limits(run_seconds=2))
    assert ending.status is RunStatus.TIMED_OUT
    assert ending.error is not None
    assert "2 s" in ending.error.message
    assert "stage slow at root.stages[1]" in ending.error.message
    assert ending.trace is not None
    assert ending.trace.incomplete
    pids = written_pids(left)
    assert len(pids) == 3
    assert all(map(is_gone, pids))


def test_runner_that_never_reads_its_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "DEADLINE_GRACE_SECONDS", 0.1)
    programs = Programs(runner=(*BY_EXEC.runner, "deaf"), nursery=None)
    ending = ending_of(
        programs, tmp_path, "echo", limits=SHORT, input_text='"' + "x" * 300_000 + '"'
    )
    assert ending.status is RunStatus.TIMED_OUT


@BOTH
def test_strays_are_gone_with_the_run(programs: Programs, tmp_path: Path) -> None:
    left = tmp_path / "left"
    left.mkdir()
    ending = ending_of(programs, tmp_path, f"strays:{left}")
    assert ending.status is RunStatus.SUCCEEDED
    pids = written_pids(left)
    assert len(pids) == 3
    assert all(map(is_gone, pids))


def stopped_ending(
    programs: Programs, folder: Path, behaviour: str, *reasons: StopReason
) -> RunEnding:
    async def once() -> RunEnding:
        async with launching(programs) as launcher:
            running_run = await started(launcher, folder, behaviour)
            for reason in reasons:
                running_run.stop(reason)
            return await running_run.ended()

    return asyncio.run(once())


@BOTH
@pytest.mark.parametrize("reason", [StopReason.STOP, StopReason.REPLACED])
def test_stop_lets_the_runner_report(
    programs: Programs, tmp_path: Path, reason: StopReason
) -> None:
    ending = stopped_ending(programs, tmp_path, "obey", reason)
    assert ending.status is RunStatus.INTERRUPTED
    assert ending.error is not None
    assert ending.error.message == f"{STOP_WORDS[reason].removesuffix('.')}: asked to end"
    assert ending.notes == ()


@BOTH
def test_stop_of_a_runner_that_does_not_listen(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "STOP_GRACE_SECONDS", 0.1)
    ending = stopped_ending(programs, tmp_path, "hang", StopReason.REPLACED)
    assert ending.status is RunStatus.INTERRUPTED
    assert ending.error is not None
    assert "took its place" in ending.error.message


@BOTH
@pytest.mark.parametrize(
    "reasons", [(StopReason.FORCED,), (StopReason.STOP, StopReason.FORCED)], ids=str
)
def test_forced_stop_does_not_wait(
    programs: Programs,
    tmp_path: Path,
    reasons: tuple[StopReason, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(running, "STOP_GRACE_SECONDS", 1000.0)
    ending = stopped_ending(programs, tmp_path, "hang", *reasons)
    assert ending.status is RunStatus.INTERRUPTED
    assert ending.trace is not None
    assert ending.trace.open_stages


def test_memory_of_the_runner(tmp_path: Path) -> None:
    small = Limits(run_seconds=30, memory_bytes=1024 * 1024)
    ending = ending_of(BY_EXEC, tmp_path, f"grow:{200 * 1024 * 1024}", limits=small)
    assert ending.status is RunStatus.OUT_OF_MEMORY
    assert ending.error is not None
    assert ending.error.code is ErrorCode.RUN_OUT_OF_MEMORY
    assert "memory_mb" in ending.error.message


class FolderGroups(RunGroups):
    """Stands where the kernel has a cgroup for every run: a folder with its files."""

    def of(self, _: int) -> RunGroup:
        return RunGroup(self.folder)


def test_memory_that_the_kernel_refuses(tmp_path: Path) -> None:
    """A runner that is killed with all of its cgroup has run out of memory."""
    group = tmp_path / "group"
    group.mkdir()
    (group / "memory.events").write_text("oom 1\noom_kill 3\n")
    for name in ("memory.max", "pids.max", "cgroup.kill"):
        (group / name).touch()

    async def once() -> RunEnding:
        async with launching(BY_EXEC, groups=FolderGroups(str(group))) as launcher:
            return await run(launcher, tmp_path, "crash:9")

    ending = asyncio.run(once())
    assert ending.status is RunStatus.OUT_OF_MEMORY
    assert ending.error is not None
    assert "memory.max of its cgroup" in ending.error.message
    assert "stage slow at root.stages[1]" in ending.error.message
    assert (group / "pids.max").read_text() == str(usage.most_processes(Limits().max_processes))
    assert (group / "cgroup.kill").read_text() == "1"


def test_processes_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sampled: a run that has more processes than its stages may have together is killed."""
    for name, value in (("SAMPLE_SECONDS", 0.05), ("PARALLEL_STAGES", 3), ("OWN_PROCESSES", 0)):
        monkeypatch.setattr(usage, name, value)
    left = tmp_path / "left"
    left.mkdir()
    few = Limits(run_seconds=30, max_processes=1)
    ending = ending_of(BY_EXEC, tmp_path, f"hang:{left}", limits=few)
    assert ending.status is RunStatus.CRASHED
    assert ending.error is not None
    assert "The run had 4 processes; 3 stages at a time may have 1 each." in ending.error.message
    assert all(map(is_gone, written_pids(left)))


@BOTH
def test_a_fault_of_the_service_ends_the_run_as_well(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(running, "name_ending", broken)
    ending = ending_of(programs, tmp_path, "echo")
    assert ending.status is RunStatus.CRASHED
    assert ending.error is not None
    assert ending.error.code is ErrorCode.INTERNAL
    assert "RuntimeError: out of order" in ending.error.message


@BOTH
def test_work_directory_goes_with_the_run(programs: Programs, tmp_path: Path) -> None:
    async def check() -> None:
        async with launching(programs) as launcher:
            running_run = await started(launcher, tmp_path, "hang")
            work_dir = tmp_path / "work" / "run"
            (work_dir / "stage-0").mkdir()
            (work_dir / "stage-0" / "file").write_text("x")
            running_run.stop(StopReason.FORCED)
            await running_run.ended()
            assert not work_dir.exists()

    asyncio.run(check())


def test_program_that_is_not_there(tmp_path: Path) -> None:
    async def check() -> None:
        async with launching(Programs(runner=("/does/not/exist",), nursery=None)) as launcher:
            with pytest.raises(LaunchError, match="No runner can be started") as refusal:
                await launcher.start(request(tmp_path, "echo"))
            assert refusal.value.record.code is ErrorCode.RUNNER_CRASHED
            assert not (tmp_path / "work" / "run").exists()

    asyncio.run(check())


def test_close_ends_what_runs(tmp_path: Path) -> None:
    async def check() -> RunEnding:
        async with launching(BY_NURSERY) as launcher:
            running_run = await started(launcher, tmp_path, "hang")
        return await running_run.ended()

    ending = asyncio.run(check())
    assert ending.status is RunStatus.INTERRUPTED


def test_surroundings_are_the_same_either_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SERVICE", "sesame")
    monkeypatch.setenv("LANG", "C.UTF-8")
    executed = ending_of(BY_EXEC, tmp_path, "surroundings").output
    forked = ending_of(BY_NURSERY, tmp_path, "surroundings").output
    assert forked == executed
    assert "SECRET_OF_THE_SERVICE" not in executed["environment"]
    assert executed["environment"]["LANG"] == "C.UTF-8"
    assert executed["descriptors"] == ["0", "1", "2"]
    assert executed["leads_session"] is True


def test_many_runs_at_once(tmp_path: Path) -> None:
    async def check() -> list[RunEnding]:
        async with launching(BY_NURSERY) as launcher:
            asked: list[Coroutine[Any, Any, RunEnding]] = [
                run(launcher, tmp_path, "echo", run_id=f"run {number}", input_text=str(number))
                for number in range(30)
            ]
            return await asyncio.gather(*asked)

    assert [ending.output for ending in asyncio.run(check())] == list(range(30))
