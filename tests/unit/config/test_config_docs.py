"""docs/configuration.md is true: its examples are read, its defaults are the defaults."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from noether_supervisor.config.models import (
    HistorySettings,
    Job,
    JobSettings,
    RetrySettings,
    SchedulerConfig,
)
from noether_supervisor.config.schema import SCHEMA_FILE, schema_text
from noether_supervisor.config.webhook import WebhookSettings
from noether_supervisor.jobs import load

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
REQUIRED: dict[str, Any] = {"name": "a", "cron": "* * * * *", "graph": "g"}

SECTIONS: dict[str, tuple[type[BaseModel], dict[str, Any]]] = {
    "Keys of the service": (SchedulerConfig, {"jobs": [REQUIRED]}),
    "Keys of a job": (Job, REQUIRED),
    "history": (HistorySettings, {}),
    "webhook": (WebhookSettings, {"url": "https://h.example"}),
    "retry": (RetrySettings, {"attempts": 2}),
}


def rows(section: str) -> list[tuple[str, str, str]]:
    body = re.split(r"^#+ ", TEXT.split(f"# {section}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line for line in body.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [(cell[0].strip("`"), cell[1], cell[2].strip("`")) for cell in cells]


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_is_a_configuration(block: str, tmp_path: Path) -> None:
    path = tmp_path / "scheduler.json"
    path.write_text(block, encoding="utf-8")
    assert load(path, {}).policies()


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_is_documented(section: str) -> None:
    model, _ = SECTIONS[section]
    assert {key for key, _, _ in rows(section)} == model.model_fields.keys()


@pytest.mark.parametrize("section", SECTIONS)
def test_every_default_is_the_one_documented(section: str) -> None:
    model, required = SECTIONS[section]
    for key, default, _ in rows(section):
        if default == "required":
            assert key in required
        elif default != "4 × CPUs":
            written = json.loads(default.strip("`"))
            left_out = model.model_validate(required)
            spelt_out = model.model_validate({**required, key: written})
            assert getattr(left_out, key) == getattr(spelt_out, key), key


@pytest.mark.parametrize("section", SECTIONS)
def test_every_example_is_accepted_and_differs_from_the_default(section: str) -> None:
    model, required = SECTIONS[section]
    for key, _, example in rows(section):
        value = json.loads(example)
        found = model.model_validate({**required, key: value})
        assert getattr(found, key) != getattr(model.model_validate(required), key) or key in (
            *REQUIRED,
            "url",
            "jobs",
        ), key


def test_keys_of_a_job_in_defaults_are_those_with_a_default() -> None:
    optional = {key for key, default, _ in rows("Keys of a job") if default != "required"}
    assert optional == JobSettings.model_fields.keys()


def test_the_schema_that_ships_is_the_one_of_the_models() -> None:
    shipped = SCHEMA_FILE.read_text(encoding="utf-8")
    assert shipped == schema_text(), "run: python -m noether_supervisor.config.schema"


def test_the_example_configuration_is_one() -> None:
    assert load(ROOT / "examples/scheduler.json", {}).policies()
