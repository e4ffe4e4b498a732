"""A runner that dies at each of its steps, and processes that cannot notice that all is over."""

import os
import random
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psutil
import pytest

from busy_place import Account, compare, hook_at, no_traceback
from chaos_arena import beside_others
from enclosed_place import state_of
from noether_supervisor.runs.leftovers import carrying
from noether_supervisor.storage.lock import LOCK_NAME
from process_watch import is_dead, wait_for_death
from receivers import Receiver, receiver
from running_service import BIN, Place, Service, Signpost
from service_stages import MEET, spec, stage

pytestmark = pytest.mark.chaos

SERVICE = [str(BIN / "noether-scheduler")]
SPARES = 2
LARGE_CHARACTERS = 4_000_000
"""More than a pipe holds, so that nobody writes it without being read."""

LARGE = spec(
    "large",
    """
import os

def execute(input):
    with open(input["here"], "w") as here:
        here.write(f"{os.getpid()}\\n")
    with open(input["gate"]) as gate:
        gate.readline()
    return "x" * input["length"]
""",
)


@dataclass
class Scene:
    """A service with one job, whose stages meet the test at two signposts."""

    place: Place
    service: Service
    here: Signpost
    gate: Signpost
    asking: ExitStack

    def begin(self) -> None:
        """Somebody asks for a run."""
        self.asking.enter_context(self.place.started([*SERVICE, "run", "job"]))

    def runner_of(self, stage_pid: int) -> int:
        """The runner above a stage; between them stand stage-init and zygote."""
        return psutil.Process(stage_pid).parents()[2].pid

    def ended(self) -> dict[str, Any]:
        """Waits for the end of the run; its entry."""
        self.service.wait_for("ended", "job=job")
        self.asking.close()
        (entry, *_) = self.place.history()
        return self.place.show(entry["run_id"])


def runners_of(service: Service, count: int) -> list[int]:
    """The runners below the nursery, spares too, once there are so many and all stay."""
    nursery = next(
        child
        for child in psutil.Process(service.pid).children()
        if any("nursery_process" in word for word in child.cmdline())
    )
    runners: list[int] = []
    while (now := [child.pid for child in nursery.children()]) != runners or len(now) != count:
        runners = now
        with suppress(psutil.TimeoutExpired):
            nursery.wait(0.3)
    return runners


def before_the_first_event(scene: Scene) -> None:
    """The runner that gets the run is one that cannot move."""
    spares = runners_of(scene.service, SPARES)
    for spare in spares:
        os.kill(spare, signal.SIGSTOP)
    scene.begin()
    scene.service.wait_for("started", "job=job")
    for spare in spares:
        os.kill(spare, signal.SIGKILL)


def after_a_stage_started(scene: Scene) -> None:
    scene.begin()
    os.kill(scene.runner_of(int(scene.here.reached())), signal.SIGKILL)


def after_a_stage_ended(scene: Scene) -> None:
    scene.begin()
    scene.here.reached()
    scene.gate.wave_on()
    os.kill(scene.runner_of(int(scene.here.reached())), signal.SIGKILL)


def during_the_report(scene: Scene) -> None:
    """Nobody reads, so the report cannot be complete when its writer is killed."""
    scene.begin()
    scene.here.reached()
    scene.gate.wave_on()
    last = int(scene.here.reached())
    runner = scene.runner_of(last)
    os.kill(scene.service.pid, signal.SIGSTOP)
    scene.gate.wave_on()
    assert wait_for_death(last)
    wait_until_blocked(runner)
    os.kill(runner, signal.SIGKILL)
    os.kill(scene.service.pid, signal.SIGCONT)


def wait_until_blocked(runner: int) -> None:
    """Until no thread of a process does anything: its pipe is full."""
    process = psutil.Process(runner)
    before = None
    while before != (now := process.cpu_times()[:2]):
        before = now
        with suppress(psutil.TimeoutExpired):
            process.wait(0.1)


STEPS: tuple[tuple[Callable[[Scene], None], list[str], list[str]], ...] = (
    (before_the_first_event, [], []),
    (after_a_stage_started, [], ["meet"]),
    (after_a_stage_ended, ["meet"], ["large"]),
    (during_the_report, ["meet", "large"], []),
)
"""What is done, and which ended and open stage calls the trace tells of all the same."""


@beside_others
def test_a_runner_is_killed_at_each_of_its_steps(place: Place, chance: random.Random) -> Account:
    with receiver() as hooks, posts(place) as (here, gate):
        prepare_meeting(place, here, gate, hooks)
        with place.service() as service:
            service.wait_for("first fire")
            for number, (kill, ended, still_open) in enumerate(STEPS):
                service.lines.clear()
                with ExitStack() as asking:
                    scene = Scene(place, service, here, gate, asking)
                    kill(scene)
                    told = scene.ended()
                assert told["status"] == "crashed", told
                trace = told["trace"]
                assert trace["incomplete"] is True
                assert [call["stage_name"] for call in trace["stages"]] == ended, kill.__name__
                assert [call["stage_name"] for call in trace["open_stages"]] == still_open, trace
                assert len(place.history()) == number + 1
            assert service.stop() == 0
            no_traceback(service.log)
        account = Account("a runner was killed at each of its steps", len(STEPS))
        return compare(place, place.history(), hooks, account, allowed=frozenset({"crashed"}))


@beside_others
def test_processes_that_cannot_notice_the_end(place: Place, chance: random.Random) -> Account:
    """All below a service are stopped, then it is killed: the next one ends them, known or not."""
    with receiver() as hooks, posts(place) as (here, gate):
        prepare_meeting(place, here, gate, hooks)
        stopped: set[int] = set()
        with place.service() as service, ExitStack() as asking:
            Scene(place, service, here, gate, asking).begin()
            here.reached()
            runners_of(service, SPARES + 1)
            tree = psutil.Process(service.pid).children(recursive=True)
            chance.shuffle(tree)
            for process in tree:
                with suppress(psutil.NoSuchProcess):
                    process.suspend()
                    stopped.add(process.pid)
            service.send(signal.SIGKILL)
            assert service.ended() == -signal.SIGKILL
        forget_the_runner(place)
        assert not all(is_dead(pid) for pid in stopped)
        with place.service() as service:
            assert [pid for pid in stopped if not is_dead(pid)] == []
            assert service.stop() == 0
        account = Account(f"{len(stopped)} processes were stopped when their service was killed", 1)
        return compare(place, place.history(), hooks, account, allowed=frozenset({"interrupted"}))


@beside_others
def test_a_dry_look_that_cannot_notice_the_end(place: Place, chance: random.Random) -> Account:
    """A look at a graph is in no ledger; stopped, it is ended by the next service all the same."""
    with receiver() as hooks, posts(place) as (here, gate):
        prepare_meeting(place, here, gate, hooks)
        jobs = [{"name": f"job-{number}", "graph": "met.json"} for number in range(60)]
        place.configure(*jobs)
        with place.service() as service:
            # sixty looks, one after another: some of these are looking, others about to
            stopped = [child.pid for child in psutil.Process(service.pid).children(recursive=True)]
            for pid in stopped:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            service.send(signal.SIGKILL)
            assert service.ended() == -signal.SIGKILL
        status = (state_of(place) / LOCK_NAME).stat()
        left = list(carrying(f"{status.st_dev:x}-{status.st_ino:x}"))
        assert left
        with place.service() as service:
            assert [process for process in left if not is_dead(process.pid)] == []
            assert service.stop() == 0
        account = Account(f"{len(left)} processes outlived a service that looked at graphs", 1)
        return compare(place, place.history(), hooks, account)


@contextmanager
def posts(place: Place) -> Iterator[tuple[Signpost, Signpost]]:
    here, gate = (Signpost(place.folder / name) for name in ("here", "gate"))
    try:
        yield here, gate
    finally:
        here.close()
        gate.close()


def prepare_meeting(place: Place, here: Signpost, gate: Signpost, hooks: Receiver) -> None:
    """A job of two stages, both of which tell their pid and wait."""
    place.stages(MEET, LARGE)
    argument = {"here": str(here.path), "gate": str(gate.path), "length": LARGE_CHARACTERS}
    second = {"op": "Sequential", "stages": [{"op": "Const", "value": argument}, stage("large")]}
    place.graph("met", {"op": "Sequential", "stages": [stage("meet"), second]})
    patient = {"timeout": 900, "stage_timeout": 900}
    job = {"name": "job", "graph": "met.json", "input": argument, "webhook": hook_at(hooks.url)}
    place.configure({**job, **patient})


def forget_the_runner(place: Place) -> None:
    """As if the service had been killed before it wrote down which process runs the run."""
    with closing(sqlite3.connect(state_of(place) / "history.db")) as history:
        history.execute("UPDATE ledger SET runner_pid = NULL, runner_ticks = NULL")
        history.commit()
