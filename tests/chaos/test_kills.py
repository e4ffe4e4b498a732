"""Signals at random instants, again and again: nothing is lost, nothing happens twice."""

import os
import random
import signal
import subprocess
import sys

import pytest

from busy_place import PEACEFUL, Account, compare, configure, finish, prepare, settle
from chaos_arena import KILLS, beside_others
from noether_supervisor.runs.process import facts_of
from process_watch import command_of, living_descendants
from receivers import receiver
from running_service import HERE, Place, Service

pytestmark = pytest.mark.chaos

LONGEST_LIFE_SECONDS = 2.0
SHARE_OF_EARLY_ENDS = 0.25
"""How many services may be ended before their start is complete."""

LONGEST_STOP_SECONDS = 1.5
SHARE_OF_SIGTERM = 0.3


def end(service: Service, chance: random.Random) -> signal.Signals:
    """Ends a service by chance: at once, gently, or gently and then at once; by which signal."""
    if chance.random() > SHARE_OF_SIGTERM:
        service.send(signal.SIGKILL)
        return signal.SIGKILL
    gentle = chance.choice([signal.SIGTERM, signal.SIGINT])
    # Python itself, while it starts, is no match for a SIGINT
    service.send(gentle if "started: " in service.log else signal.SIGTERM)
    try:
        service.process.wait(chance.uniform(0, LONGEST_STOP_SECONDS))
    except subprocess.TimeoutExpired:
        again = chance.choice([signal.SIGTERM, signal.SIGKILL])
        service.send(again)
        return again
    return signal.SIGTERM


@beside_others
def test_the_service_is_ended_again_and_again(place: Place, chance: random.Random) -> Account:
    command = [sys.executable, str(HERE / "every_second_service.py")]
    kills = stops = starts = 0
    prepare(place)
    with receiver() as hooks:
        configure(place, hooks.url, top={"shutdown_grace": 0.5})
        while kills < KILLS:
            with place.started(command) as service:
                if chance.random() > SHARE_OF_EARLY_ENDS:
                    service.wait_for("started: ")
                try:
                    code = service.process.wait(chance.uniform(0, LONGEST_LIFE_SECONDS))
                    pytest.fail(f"it ended by itself ({code}):\n{service.log}")
                except subprocess.TimeoutExpired:
                    last = end(service, chance)
                    code = service.ended()
                kills += code == -signal.SIGKILL
                stops += code == 0
                # a start that is not complete has nothing to say about a signal yet
                complete = "started: " in service.log
                early = set() if complete else {-signal.SIGTERM}
                allowed = {-last} if last is signal.SIGKILL else {0, *early}
                assert code in {0, *allowed}, f"{last} {code}\n{service.log}"
                starts += complete
        entries = settle(place, hooks.url)
        what = f"{kills} kills and {stops} stops, {starts} of them after the start was complete"
        return compare(place, entries, hooks, Account(what, kills))


@beside_others
def test_whatever_is_below_the_service_is_killed(place: Place, chance: random.Random) -> Account:
    killed = nurseries = 0
    prepare(place)
    with receiver() as hooks:
        configure(place, hooks.url)
        with place.service(every_second=True) as service:
            while killed < KILLS:
                service.wait_for("ended", "job=", count=killed * 3 // 2 + 1)
                below = sorted(living_descendants(service.pid))
                nursery = [pid for pid in below if is_nursery(pid, service.pid)]
                if nursery and chance.random() < 0.25:
                    below = nursery
                if below and kill(chance.choice(below)):
                    killed += 1
                    nurseries += below == nursery
            entries = finish(place, service, hooks.url)
        what = f"{killed} processes below the service were killed, {nurseries} times the nursery"
        hurt = PEACEFUL | {"crashed", "failed", "timed_out"}
        return compare(place, entries, hooks, Account(what, killed), allowed=hurt)


def is_nursery(pid: int, service: int) -> bool:
    facts = facts_of(pid)
    return facts is not None and facts.parent == service and "nursery_process" in command_of(pid)


def kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
