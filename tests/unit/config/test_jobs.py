"""Configuration and schedules together: findings about cron and zones, policies of jobs."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from noether_supervisor.config import Job
from noether_supervisor.errors import ConfigError, SupervisorError
from noether_supervisor.jobs import jitter_offset, load

JOB: dict[str, Any] = {"name": "a", "cron": "30 4 * * *", "graph": "g.json"}


def write(folder: Path, content: object) -> Path:
    path = folder / "scheduler.json"
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
    return path


def test_cron_and_zone_are_findings_beside_others(tmp_path: Path) -> None:
    content = {
        "defaults": {"timezone": "Europe/Madird"},
        "jobs": [
            {**JOB, "cron": "30 25 * * *", "tiemout": 5},
            {**JOB, "name": "b", "timezone": "Nowhere/At_All"},
            {**JOB, "name": "c", "cron": 5},
        ],
    }
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, content), {})
    found = {finding.path: finding for finding in caught.value.findings}
    assert list(found) == [
        "defaults.timezone",
        "jobs[0].cron",
        "jobs[0].tiemout",
        "jobs[1].timezone",
        "jobs[2].cron",
    ]
    cron = found["jobs[0].cron"]
    assert cron.message.startswith("job 'a': hour: 25 is outside 0-23")
    assert (cron.line, cron.excerpt) == (8, '"cron": "30 25 * * *",')
    assert "Nowhere/At_All" in found["jobs[1].timezone"].message
    assert str(caught.value).startswith("Invalid scheduler config JSON: ")


def test_a_job_without_a_zone_follows_the_process(tmp_path: Path) -> None:
    content = {"jobs": [JOB, {**JOB, "name": "b", "timezone": "Asia/Tokyo"}]}
    loaded = load(write(tmp_path, content), {"TZ": "America/New_York"})
    after = datetime(2026, 1, 1, tzinfo=UTC)
    first, second = (loaded.schedule(job).next(after) for job in loaded.config.jobs)
    assert first == datetime(2026, 1, 1, 9, 30, tzinfo=UTC)
    assert second == datetime(2026, 1, 1, 19, 30, tzinfo=UTC)


def test_a_process_zone_that_means_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SupervisorError, match="Mars/Base"):
        load(write(tmp_path, {"jobs": [JOB]}), {"TZ": "Mars/Base"})


def test_policies_carry_what_decisions_need(tmp_path: Path) -> None:
    keys = {"overlap": "queue", "catch_up": "all", "catch_up_window": 60, "enabled": False}
    loaded = load(write(tmp_path, {"jobs": [{**JOB, **keys, "jitter": 10}]}), {})
    (policy,) = loaded.policies()
    assert (policy.name, policy.overlap, policy.catch_up) == ("a", "queue", "all")
    assert (policy.catch_up_window, policy.enabled) == (60, False)
    assert policy.jitter_seconds == jitter_offset(loaded.config.jobs[0])


def test_equal_schedules_are_one(tmp_path: Path) -> None:
    content = {"jobs": [JOB, {**JOB, "name": "b", "cron": "30  04 * * *"}]}
    first, second = load(write(tmp_path, content), {"TZ": "UTC"}).policies()
    assert first.schedule is second.schedule


def test_jitter_is_a_fixed_part_by_name() -> None:
    jobs = [Job.model_validate({**JOB, "name": str(n), "jitter": 60}) for n in range(200)]
    offsets = [jitter_offset(job) for job in jobs]
    assert offsets == [jitter_offset(job) for job in jobs]
    assert all(0 <= offset < 60 for offset in offsets)
    assert len(set(offsets)) > 190
    assert max(offsets) - min(offsets) > 50
    assert jitter_offset(Job.model_validate(JOB)) == 0
