"""Whatever JSON the file holds, it is a configuration or has findings with places; no exception."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from noether_contract.json_values import JsonValue, parse_json
from noether_supervisor.config import Document, SchedulerConfig, config_error
from noether_supervisor.config.models import Job
from noether_supervisor.config.webhook import WebhookSettings
from noether_supervisor.jobs import examine

KEYS = st.sampled_from(
    sorted({*SchedulerConfig.model_fields, *Job.model_fields, *WebhookSettings.model_fields})
) | st.sampled_from(["_x", "$x", "file", "tiemout", "jobs[0]", "a.b", "", '"', "é\n", "keep_days"])
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1) | st.integers(0, 40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=6),
    st.sampled_from(
        ["* * * * *", "Europe/Madrid", "https://h.example", "skip", "none", "a", "1-2"]
    ),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)
GOOD_JOB: dict[str, JsonValue] = {"name": "a", "cron": "* * * * *", "graph": "g"}


def examined(value: Any) -> None:
    text = json.dumps(value, indent=1)
    document = Document(Path("/x/scheduler.json"), text, parse_json(text))
    config, findings = examine(document)
    if findings:
        lines = text.split("\n")
        for finding in findings:
            assert finding.message
            assert 1 <= finding.column <= len(lines[finding.line - 1]) + 1
        assert str(config_error(document, findings))
    else:
        assert config is not None


@given(VALUES)
def test_any_value(value: Any) -> None:
    examined(value)


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_keys_beside_a_good_job(keys: dict[str, Any]) -> None:
    examined({**keys, "jobs": [GOOD_JOB]})


@given(st.dictionaries(KEYS, VALUES, max_size=4), st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_keys_in_jobs_and_defaults(keys: dict[str, Any], common: dict[str, Any]) -> None:
    examined({"defaults": common, "jobs": [{**GOOD_JOB, **keys}, GOOD_JOB]})
