"""Secrets are read from where they are, and are seen nowhere."""

import json
from pathlib import Path
from typing import Any

import pytest

from noether_contract.messages import FileStoreRef, RegistryRef
from noether_supervisor.config import (
    Document,
    SchedulerConfig,
    WebhookSettings,
    read_config,
    read_secret,
)
from noether_supervisor.config.excerpt import (
    MAX_CHARACTERS,
    SHOWN_TEXTS,
    excerpt,
    spans_that_look_secret,
)
from noether_supervisor.config.models import HistorySettings, Job, RetrySettings
from noether_supervisor.errors import ConfigError, SupervisorError

JOB: dict[str, Any] = {"name": "a", "cron": "* * * * *", "graph": "g.json"}
SECRET = "hunter2-hunter2"


def registry_config(key: object) -> SchedulerConfig:
    return SchedulerConfig.model_validate(
        {"jobs": [JOB], "registry_url": "https://r.example", "registry_api_key": key}
    )


def test_a_store_is_a_file_unless_a_registry_is_named() -> None:
    config = SchedulerConfig.model_validate({"jobs": [JOB]})
    assert config.store({}) == FileStoreRef(path=str(Path.cwd() / ".noether/store.json"))
    named = SchedulerConfig.model_validate({"jobs": [JOB], "store_path": "/x/s.json"})
    assert named.store({}) == FileStoreRef(path="/x/s.json")


def test_a_key_is_given_as_text_as_variable_or_as_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{SECRET}\n")
    expected = RegistryRef(url="https://r.example", api_key=SECRET)
    assert registry_config(SECRET).store({}) == expected
    assert registry_config({"env": "KEY"}).store({"KEY": SECRET}) == expected
    assert registry_config({"file": str(file), "_why": "x"}).store({}) == expected
    assert registry_config(None).store({}) == RegistryRef(url="https://r.example")


def test_a_secret_that_is_not_there_is_told_without_guessing(tmp_path: Path) -> None:
    with pytest.raises(SupervisorError, match="environment variable KEY is not set"):
        registry_config({"env": "KEY"}).store({})
    missing = tmp_path / "missing"
    with pytest.raises(SupervisorError, match=f"secret file {missing}: No such file"):
        registry_config({"file": str(missing)}).store({})
    missing.write_bytes(b"\xff")
    with pytest.raises(SupervisorError, match="it is not UTF-8 text"):
        registry_config({"file": str(missing)}).store({})
    missing.write_bytes(b"\r\n")
    with pytest.raises(SupervisorError, match="is empty"):
        registry_config({"file": str(missing)}).store({})


def test_no_secret_is_in_a_repr() -> None:
    job = {**JOB, "env": {"A": SECRET}, "webhook": f"https://h.example/{SECRET}"}
    config = SchedulerConfig.model_validate({"jobs": [job], "registry_api_key": SECRET})
    webhook = WebhookSettings.model_validate(
        {"url": f"https://h.example/{SECRET}", "secret": SECRET, "headers": {"X": SECRET}}
    )
    assert SECRET not in f"{config!r}{config}{webhook!r}"
    assert webhook.secret is not None
    assert read_secret(webhook.secret, {}) == SECRET


@pytest.mark.parametrize(
    "wrong",
    [
        {"registry_api_key": SECRET, "x": 1},
        {"registry_api_key": [SECRET]},
        {"defaults": {"env": {"A": SECRET, "B": 5}}},
        {"defaults": {"env": {"A": [SECRET]}}},
        {"defaults": {"env": [SECRET]}},
        {"defaults": {"webhook": f"ftp://h.example/{SECRET}"}},
        {"defaults": {"webhook": [f"https://{SECRET}"]}},
        {"defaults": {"webhook": {"url": f"https://{SECRET}", "secret": SECRET, "on": 1}}},
        {"defaults": {"webhook": {"url": "https://x", "headers": {"A": SECRET, "B": 1}}}},
    ],
)
def test_no_secret_is_in_an_error(tmp_path: Path, wrong: dict[str, object]) -> None:
    path = tmp_path / "scheduler.json"
    for indent in (None, 2):
        path.write_text(json.dumps({**wrong, "jobs": [JOB]}, indent=indent))
        with pytest.raises(ConfigError) as caught:
            read_config(path)
        assert SECRET not in f"{caught.value}{caught.value.findings!r}"


@pytest.mark.parametrize(
    "line",
    [
        f'{{"registry_api_key": "{SECRET}" "x": 1}}',
        f'{{"API_TOKEN": "{SECRET}',
        f'{{"webhook": "https://h.example/{SECRET}" 1}}',
        f'{{"DB": "postgres://{SECRET}@h" 1}}',
    ],
)
def test_no_secret_is_in_the_line_of_a_text_that_is_no_json(tmp_path: Path, line: str) -> None:
    path = tmp_path / "scheduler.json"
    path.write_text(line)
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert SECRET not in str(caught.value)
    assert "***" in str(caught.value)


def test_a_long_line_is_shown_around_the_place() -> None:
    line = f"{'a' * 500}HERE{'b' * 500}"
    shown = excerpt(f"x\n{line}\ny", 502)
    assert shown.startswith("…a")
    assert shown.endswith("b…")
    assert "HERE" in shown
    assert len(shown) == MAX_CHARACTERS + 2
    assert excerpt("a\tb\x1b[31m", 0) == "a b [31m"


def test_hidden_spans_may_overlap_the_edges_of_what_is_shown() -> None:
    text = "s" * 300
    assert excerpt(text, 150, [(0, 300)]) == "…***…"
    assert excerpt("ab", 0, [(0, 2)]) == "***"
    assert spans_that_look_secret('{"attempts": 1, "on": true') == []


def test_it_is_decided_of_every_key_whether_its_texts_are_shown() -> None:
    parts = (SchedulerConfig, Job, HistorySettings, RetrySettings)
    keys = {key for part in parts for key in part.model_fields}
    hidden = {"registry_url", "registry_api_key", "webhook", "env", "input"}
    assert keys == SHOWN_TEXTS | hidden
    assert not SHOWN_TEXTS & hidden


def test_texts_are_shown_only_where_every_key_on_the_way_is_harmless() -> None:
    text = (
        '{"jobs": [{"name": "a", "webhook": "HIDDEN", "input": {"name": "HIDDEN", "n": 5}},'
        ' {"name": "b", "headrs": {"name": "HIDDEN"}, "env": {"n": 7}, "retry": {"attempts": 3}}'
    )
    shown = text
    for start, end in reversed(spans_that_look_secret(text)):
        shown = f"{shown[:start]}***{shown[end:]}"
    assert shown == text.replace('"HIDDEN"', "***").replace("7", "***")
    document = Document(Path("/x"), text + "]}", json.loads(text + "]}"))
    assert "HIDDEN" not in document.locate("jobs[1].headrs")[2]
    assert '"b"' in document.locate("jobs[1].headrs")[2]
