"""Whatever bytes the file holds: a configuration, or one error that says what, where and no secret.

Planted secrets stand in every place that may hold one; a mistake anywhere else, or in the very
spelling of their keys, must not bring them into a message.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bad_input import few, noise, outcome, spoilt_texts
from noether_supervisor.errors import ConfigError
from noether_supervisor.jobs import Loaded, load

SECRET = "hunter2"
URL = f"https://{SECRET}:{SECRET}@h.example/{SECRET}?key={SECRET}"
FULL: dict[str, Any] = {
    "$schema": "scheduler.schema.json",
    "registry_url": f"https://me:{SECRET}@registry.example/base",
    "registry_api_key": SECRET,
    "state_dir": "state",
    "max_concurrent_runs": 4,
    "history": {"keep_runs": 10, "keep_days": 2},
    "shutdown_grace": 5,
    "verify": "signed",
    "trusted_keys": ["0" * 64],
    "defaults": {
        "timezone": "Europe/Madrid",
        "webhook": URL,
        "env": {"LEVEL": SECRET},
        "retry": {"attempts": 3, "delay": 1, "backoff": 2.5},
    },
    "jobs": [
        {
            "name": "digest",
            "cron": "30 2 * * mon-fri",
            "graph": "g.json",
            "input": {"folder": "notes"},
            "overlap": "queue",
            "pass_env": ["API_TOKEN"],
            "allow_effects": ["network", "fallible"],
            "network": True,
            "budget_cents": 50,
        },
        {
            "name": "poll",
            "cron": "*/5 * * * *",
            "graph": "p.json",
            "timeout": 45,
            "webhook": {
                "url": URL,
                "secret": SECRET,
                "headers": {"X-Key": SECRET},
                "on": ["failure"],
            },
        },
    ],
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config") / "scheduler.json"


def told(path: Path, data: bytes) -> ConfigError | Loaded:
    """What reading the file comes to: a configuration, or its one error, which has been judged."""
    path.write_bytes(data)
    found = outcome(lambda: load(path, {"TZ": "UTC"}), ConfigError)
    if isinstance(found, ConfigError):
        assert found.message.startswith(f"Invalid scheduler config JSON: {path}: ")
        assert found.exit_code == 2
        assert found.findings
        assert all(line.isprintable() for line in found.message.split("\n"))
        for finding in found.findings:
            assert finding.message
            assert (finding.line >= 1, finding.column >= 1) == (True, True)
    return found


@few
@given(spoilt_texts(FULL))
def test_a_spoilt_file_is_one_error_with_its_place(path: Path, data: bytes) -> None:
    found = told(path, data)
    if isinstance(found, ConfigError):
        shown = found.message + repr(found.findings)
        # what the damage itself put there is no secret of ours
        assert SECRET not in shown, shown


@few
@given(noise)
def test_bytes_that_are_no_configuration(path: Path, data: bytes) -> None:
    assert isinstance(told(path, data), ConfigError)


@few
@given(
    key=st.sampled_from(
        ["registry_api_kye", "registry_key", "api-key", "tokne", "scret", "enviroment", "x"]
    ),
    holder=st.sampled_from(["", "jobs", "defaults", "webhook"]),
    form=st.sampled_from([SECRET, {"A": SECRET}, [SECRET], {"file": SECRET, "x": 1}]),
    after=st.sampled_from(["", ",", "}", " 1", '"', "\n"]),
)
def test_a_secret_under_a_misspelt_key(
    path: Path, key: str, holder: str, form: Any, after: str
) -> None:
    job: dict[str, Any] = {"name": "a", "cron": "* * * * *", "graph": "g"}
    top: dict[str, Any] = {"jobs": [job], "defaults": {}}
    webhook: dict[str, Any] = {"url": "https://h.example/"}
    {"": top, "jobs": job, "defaults": top["defaults"], "webhook": webhook}[holder][key] = form
    job["webhook"] = webhook
    text = json.dumps(top).replace(json.dumps(form), json.dumps(form) + after)
    found = told(path, text.encode())
    assert isinstance(found, ConfigError)
    assert SECRET not in found.message + repr(found.findings)
    assert re.search(rf"\b{re.escape(key)}\b", found.message)
