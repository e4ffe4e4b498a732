"""The nursery can be killed, stopped, broken or missing, and its supervisor too: runs still end."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from launching import (
    BY_EXEC,
    BY_NURSERY,
    EXEC,
    HERE,
    NURSERY,
    Watched,
    is_gone,
    launching,
    run,
    started,
    written_pids,
)
from noether_contract.outcomes import RunStatus
from noether_runner.nursery_process import SPARES
from noether_supervisor.records import RunnerProcess
from noether_supervisor.runs import nursery, nursery_line, silence
from noether_supervisor.runs.endings import StopReason
from noether_supervisor.runs.launcher import Launcher, Programs
from noether_supervisor.runs.process import children_of, end_leftover, facts_of, gone


def parent_of(pid: int) -> int:
    facts = facts_of(pid)
    assert facts is not None
    return facts.parent


async def nursery_of(launcher: Launcher) -> int:
    """The process id of the nursery, once there is one."""
    while (pid := launcher.nursery_pid) is None:
        await asyncio.sleep(0.001)
    return pid


async def kill_nursery(launcher: Launcher) -> None:
    pid = launcher.nursery_pid
    assert pid is not None
    pidfd = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    await gone(pidfd)
    os.close(pidfd)


async def spares_of(nursery_pid: int) -> set[int]:
    """The children of an idle nursery, once all spares are there."""
    while len(spares := children_of(nursery_pid)) < SPARES:
        await asyncio.sleep(0.001)
    return spares


def test_runner_comes_from_the_nursery(tmp_path: Path) -> None:
    async def check() -> None:
        async with launching(BY_NURSERY) as launcher:
            running = await started(launcher, tmp_path, "hang")
            assert parent_of(running.process.pid) == launcher.nursery_pid
            facts = facts_of(running.process.pid)
            assert facts is not None
            assert running.process == RunnerProcess(facts.pid, facts.start_ticks)

    asyncio.run(check())


def test_spares_stand_ready_and_are_used(tmp_path: Path) -> None:
    async def check() -> None:
        async with launching(BY_NURSERY) as launcher:
            spares = await spares_of(await nursery_of(launcher))
            running = await started(launcher, tmp_path, "hang")
            assert running.process.pid in spares

    asyncio.run(check())


def test_dead_spares_cost_nothing(tmp_path: Path) -> None:
    async def check() -> None:
        async with launching(BY_NURSERY) as launcher:
            nursery_pid = await nursery_of(launcher)
            for spare in await spares_of(nursery_pid):
                os.kill(spare, signal.SIGKILL)
            while children_of(nursery_pid):
                await asyncio.sleep(0.001)
            assert (await run(launcher, tmp_path, "echo")).status is RunStatus.SUCCEEDED
            assert await spares_of(nursery_pid)

    asyncio.run(check())


def test_stray_child_of_the_nursery_is_killed_at_once(tmp_path: Path) -> None:
    async def check() -> None:
        async with launching(BY_NURSERY) as launcher:
            left = tmp_path / "left"
            left.mkdir()
            running = await started(launcher, tmp_path, f"hang:{left}")
            watched = [Watched(pid) for pid in written_pids(left)]
            os.kill(running.process.pid, signal.SIGKILL)
            assert (await running.ended()).status is RunStatus.CRASHED
            for stray in watched:
                stray.wait()

    asyncio.run(check())


@pytest.mark.skipif(os.geteuid() != 0, reason="it hides from its peers: only root may look")
def test_nursery_has_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SERVICE", "sesame")

    async def check() -> None:
        async with launching(BY_NURSERY) as launcher:
            running = await started(launcher, tmp_path, "hang")
            for pid in (launcher.nursery_pid, running.process.pid):
                content = Path(f"/proc/{pid}/environ").read_bytes()
                assert b"PATH=" in content
                assert b"sesame" not in content

    asyncio.run(check())


def test_runs_outlive_their_nursery_and_a_new_one_comes(tmp_path: Path) -> None:
    notes: list[str] = []

    async def check() -> None:
        async with launching(BY_NURSERY, notes) as launcher:
            obeys = await started(launcher, tmp_path, "obey", run_id="obeys")
            left = tmp_path / "left"
            left.mkdir()
            hangs = await started(launcher, tmp_path, f"hang:{left}", run_id="hangs")
            old = await nursery_of(launcher)
            spares = children_of(old) - {obeys.process.pid, hangs.process.pid}
            await kill_nursery(launcher)
            # Their parent is now this process, the next sub-reaper above.
            assert parent_of(hangs.process.pid) == os.getpid()
            assert (await run(launcher, tmp_path, "echo")).status is RunStatus.SUCCEEDED
            obeys.stop(StopReason.STOP)
            ending = await obeys.ended()
            assert ending.status is RunStatus.INTERRUPTED
            assert ending.notes == ()
            hangs.stop(StopReason.FORCED)
            assert (await hangs.ended()).status is RunStatus.INTERRUPTED
            assert all(map(is_gone, [*spares, *written_pids(left)]))
            assert await nursery_of(launcher) != old

    asyncio.run(check())
    assert len(notes) == 1
    assert "a new one is started" in notes[0]


def test_crash_after_the_nursery_died_is_still_named(tmp_path: Path) -> None:
    async def check() -> None:
        async with launching(BY_NURSERY, notes=[]) as launcher:
            running = await started(launcher, tmp_path, "hang")
            await kill_nursery(launcher)
            os.kill(running.process.pid, signal.SIGSEGV)
            ending = await running.ended()
            assert ending.status is RunStatus.CRASHED
            assert ending.error is not None
            assert "SIGSEGV" in ending.error.message

    asyncio.run(check())


def test_nursery_killed_while_it_is_asked(tmp_path: Path) -> None:
    notes: list[str] = []

    async def check() -> None:
        async with launching(BY_NURSERY, notes) as launcher:
            assert (await run(launcher, tmp_path, "echo")).status is RunStatus.SUCCEEDED
            os.kill(await nursery_of(launcher), signal.SIGSTOP)
            asked = asyncio.create_task(run(launcher, tmp_path, "echo"))
            await asyncio.sleep(0)
            await kill_nursery(launcher)
            assert (await asked).status is RunStatus.SUCCEEDED

    asyncio.run(check())
    assert any("by exec instead" in note for note in notes)


@pytest.mark.parametrize(
    "command", [(*NURSERY, "broken"), ("/does/not/exist",)], ids=["broken", "missing"]
)
def test_nursery_that_cannot_start(tmp_path: Path, command: tuple[str, ...]) -> None:
    notes: list[str] = []

    async def check() -> None:
        async with launching(Programs(runner=EXEC, nursery=command), notes) as launcher:
            for _ in range(2):
                assert (await run(launcher, tmp_path, "echo")).status is RunStatus.SUCCEEDED
            assert launcher.nursery_pid is None

    asyncio.run(check())
    assert len(notes) == 1
    assert "started by exec" in notes[0]


def test_nursery_is_tried_again_after_a_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nursery, "_FIRST_PAUSE_SECONDS", 0.0)
    notes: list[str] = []

    async def check() -> None:
        missing = Programs(runner=EXEC, nursery=("/does/not/exist",))
        async with launching(missing, notes) as launcher:
            assert (await run(launcher, tmp_path, "echo")).status is RunStatus.SUCCEEDED

    asyncio.run(check())
    assert len(notes) == 2


def test_nursery_that_never_gets_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nursery, "READY_SECONDS", 0.01)

    async def check() -> None:
        programs = Programs(runner=EXEC, nursery=(*NURSERY, "hung"))
        async with launching(programs) as launcher:
            assert (await run(launcher, tmp_path, "echo")).status is RunStatus.SUCCEEDED
            monkeypatch.setattr(nursery_line, "ANSWER_SECONDS", 0.01)

    asyncio.run(check())


def test_nursery_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its sleep tells, long before the last of all patience is gone."""
    monkeypatch.setattr(nursery_line, "ANSWER_SECONDS", 1000.0)
    monkeypatch.setattr(silence, "LOOK_SECONDS", 0.02)
    notes: list[str] = []

    async def check() -> None:
        programs = Programs(runner=EXEC, nursery=(*NURSERY, "mute"))
        async with launching(programs, notes) as launcher:
            old = await nursery_of(launcher)
            assert (await run(launcher, tmp_path, "echo")).status is RunStatus.SUCCEEDED
            assert is_gone(old)

    asyncio.run(check())
    assert "did not answer" in notes[0]


def test_nursery_that_does_not_tell_of_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check() -> None:
        async with launching(BY_NURSERY, notes=[]) as launcher:
            running = await started(launcher, tmp_path, "hang")
            monkeypatch.setattr(nursery_line, "ANSWER_SECONDS", 1000.0)
            os.kill(await nursery_of(launcher), signal.SIGSTOP)
            os.kill(running.process.pid, signal.SIGSEGV)
            ending = await running.ended()
            assert ending.error is not None
            assert "SIGSEGV" in ending.error.message

    asyncio.run(check())


def test_nothing_survives_a_killed_supervisor(tmp_path: Path) -> None:
    command = [sys.executable, str(HERE / "fake_supervisor.py"), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        pids = [int(word) for word in supervisor.stdout.readline().split()]
        watched = [Watched(pid) for pid in pids]
        # The nursery, two runners and six daemons at least.
        assert len(watched) >= 9
        supervisor.kill()
        for process in watched:
            process.wait()


def test_leftover_of_a_dead_service(tmp_path: Path) -> None:
    async def check() -> None:
        async with launching(BY_EXEC) as launcher:
            left = tmp_path / "left"
            left.mkdir()
            running = await started(launcher, tmp_path, f"hang:{left}")
            other = RunnerProcess(running.process.pid, running.process.start_ticks + 1)
            assert not end_leftover(other)
            assert not is_gone(running.process.pid)
            assert end_leftover(running.process)
            assert is_gone(running.process.pid)
            assert not end_leftover(RunnerProcess(2**22 - 1, 1))
            assert (await running.ended()).status is RunStatus.CRASHED
            assert all(map(is_gone, written_pids(left)))

    asyncio.run(check())
