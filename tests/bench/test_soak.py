"""A real service under a real load for half an hour: it may not grow, and it may not forget.

`-m soak`, apart from everything else (`make soak`). `NOETHER_SOAK_MINUTES` makes it shorter or
longer; the first third is warm-up. The figures are printed (`-s`).
"""

import os
import re
import subprocess
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bench.soak_load import configure, job_names, kind_of
from bench.soak_samples import HEADING, Sample, growths, lasting_zombies, sample
from ledger_reading import assert_each_once, covered, instant
from noether_supervisor.webhooks.payload import webhook_id
from process_watch import nothing_left
from receivers import Receiver, receiver, unused_url
from running_service import Place, Service

pytestmark = pytest.mark.soak

MINUTES = float(os.environ.get("NOETHER_SOAK_MINUTES", "30"))
LONG_ENOUGH_MINUTES = 15
"""What a shorter one sees is the warm-up: its growth is printed only."""
SECONDS_BETWEEN_SAMPLES = 5.0
MINUTE = timedelta(minutes=1)

_AT = "%Y%m%dT%H%M%SZ"
_ENDED = re.compile(r" ended.* run_id=([^@\s]+)@(\w+)")


def test_half_an_hour_of_two_hundred_fires_a_minute(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with nothing_left(), receiver() as well, receiver(status=500) as badly:
        configure(place, {"well": well.url, "badly": badly.url, "nobody": unused_url()})
        began = datetime.now(UTC)
        with place.service() as service:
            service.wait_for("started: ")
            started = datetime.now(UTC)
            samples = watched(service, place)
            stopped = datetime.now(UTC)
            assert service.stop() == 0, service.log[-4000:]
            (tmp_path / "service.log").write_text(service.log)
            complaints = said(service, "ERROR", "Traceback", "trying again")
        entries = place.history()
        report(samples, entries, service.log, well, badly)
        check_samples(samples, place)
        check_ledger(entries, service.log, began, started, stopped)
        check_webhooks(entries, well, badly)
        assert complaints == []


def watched(service: Service, place: Place) -> list[Sample]:
    """Samples at fixed distances until the time is over; fails when the service ends before."""
    state = place.folder / ".noether" / "scheduler"
    began = time.monotonic()
    samples: list[Sample] = []
    for number in count(1):
        due = began + number * SECONDS_BETWEEN_SAMPLES
        if due - began > MINUTES * 60:
            return samples
        try:
            service.process.wait(max(0.0, due - time.monotonic()))
        except subprocess.TimeoutExpired:
            at = time.monotonic() - began
            samples.append(sample(at, service.pid, state, place.folder / "tmp"))
        else:
            pytest.fail(f"the service ended by itself:\n{service.log[-4000:]}")
    raise AssertionError


def said(service: Service, *words: str) -> list[str]:
    """Log lines that no job of these accounts for."""
    lines = [line for line in service.log.splitlines() if " INFO " not in line]
    return [line for line in lines if "job=" not in line and any(word in line for word in words)]


def report(
    samples: list[Sample], entries: list[dict[str, Any]], log: str, well: Receiver, badly: Receiver
) -> None:
    statuses = Counter(entry["status"] for entry in entries)
    print(f"\n{MINUTES:g} minutes, {len(samples)} samples; after the warm-up:")
    print(HEADING)
    for growth in growths(samples, MINUTES * 20):
        print(growth)
    ended = len(_ENDED.findall(log))
    print(f"{ended} runs ended; {len(entries)} entries are kept: {dict(statuses)}")
    print(f"webhooks: {well.calls.qsize()} answered 200, {badly.calls.qsize()} answered 500")
    print(
        f"zombies seen: {sum(len(each.zombies) for each in samples)} (each gone by the next look)"
    )
    nurseries = len({each.nursery_pid for each in samples if each.nursery_pid})
    print(f"nurseries: {nurseries}")


def check_samples(samples: list[Sample], place: Place) -> None:
    assert lasting_zombies(samples) == set()
    if MINUTES >= LONG_ENOUGH_MINUTES:
        grown = [growth.what for growth in growths(samples, MINUTES * 20) if growth.is_too_much]
        assert grown == []
    work = place.folder / ".noether" / "scheduler" / "work"
    assert not work.exists() or list(work.iterdir()) == []
    assert list((place.folder / "tmp").iterdir()) == []


def check_ledger(
    entries: list[dict[str, Any]], log: str, began: datetime, started: datetime, stopped: datetime
) -> None:
    """Every instant of every job came to one end; the log knows those that were pruned since."""
    ends = Counter(_ENDED.findall(log))
    assert {run_id for run_id, times in ends.items() if times != 1} == set()
    for name in job_names():
        mine = [entry for entry in entries if entry["job"] == name]
        from_log = {
            datetime.strptime(at, _AT).replace(tzinfo=UTC) for job, at in ends if job == name
        }
        assert from_log, name
        in_ledger = covered(mine, MINUTE)
        assert_each_once(in_ledger, MINUTE)
        instants = sorted(from_log | set(in_ledger))
        assert_each_once(instants, MINUTE)
        assert began <= instants[0] <= started + MINUTE, name
        # what jitter still held back when it stopped is due again after the next start
        assert instants[-1] >= stopped - 2 * MINUTE, name
        for entry in mine:
            if entry["status"] == "waiting":
                assert instant(entry["due"]) >= stopped - 2 * MINUTE, entry
            else:
                assert entry["status"] == kind_of(name).status, entry


def check_webhooks(entries: list[dict[str, Any]], well: Receiver, badly: Receiver) -> None:
    told = Counter(call.headers["webhook-id"] for call in list(well.calls.queue))
    refused = Counter(call.headers["webhook-id"] for call in list(badly.calls.queue))
    for entry in entries:
        kind = kind_of(entry["job"])
        if entry["status"] == "waiting":
            continue
        call = webhook_id(entry["run_id"])
        match kind.webhook:
            case "well":
                assert (told[call], entry["delivery"]) == (1, "delivered, answered 200"), entry
            case "badly":
                assert refused[call] in (1, 2), entry
                assert entry["delivery"].startswith(("failed after 2", "owed, attempt 1")), entry
            case "nobody":
                assert entry["delivery"].startswith("failed: "), entry
            case None:
                assert entry["delivery"] is None, entry
