"""A key whose function is not there yet is refused, never ignored."""

import json
from pathlib import Path
from typing import Any

import pytest

from noether_supervisor.config import read_config
from noether_supervisor.config.models import SchedulerConfig
from noether_supervisor.config.not_built import OF_THE_SERVICE
from noether_supervisor.errors import ConfigError

JOB: dict[str, Any] = {"name": "a", "cron": "* * * * *", "graph": "g.json"}

MATTERING: dict[str, object] = {
    "verify": "signed",
    "trusted_keys": ["01d39ad57bf9426b9eb673a3f245c07304e60fd6fc5e6565e0fab6932684e8c2"],
    "stage_user": "nobody",
    "listen": "[::1]:8080",
    "allow_effects": [],
    "allow_capabilities": ["network"],
    "isolation": "bwrap",
    "retry": {"attempts": 2},
    "webhook": {"url": "https://h.example"},
}


def read(folder: Path, content: object) -> SchedulerConfig:
    path = folder / "scheduler.json"
    path.write_text(json.dumps(content))
    return read_config(path)


@pytest.mark.parametrize("row", OF_THE_SERVICE, ids=lambda row: row.key)
def test_keys_of_the_service(tmp_path: Path, row: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, {"jobs": [JOB], row.key: MATTERING[row.key]})
    (finding,) = caught.value.findings
    assert finding.path == row.key
    assert finding.message.startswith(f"'{row.key}' is not built yet: ")
    default = SchedulerConfig.model_validate({"jobs": [JOB]}).model_dump(mode="json")[row.key]
    read(tmp_path, {"jobs": [JOB], row.key: default})


def test_what_needs_no_function_is_accepted(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        {"registry_url": "https://r.example", "jobs": [{**JOB, "isolation": "bwrap"}]},
    )
    assert config.jobs[0].isolation == "bwrap"
