"""From a job to the request of its runner; a graph that cannot be read is an ending."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from noether_contract.messages import FileStoreRef, RegistryRef, RunRequest
from noether_contract.outcomes import ErrorCode, RunStatus
from noether_runner.request_reading import read_request_line
from noether_supervisor.config import SchedulerConfig
from noether_supervisor.records import Fire, RunEnding
from noether_supervisor.runs import request
from noether_supervisor.runs.request import LaunchError, encode_request, request_for
from noether_supervisor.runs.runner import runner_environment

FIRE = Fire("nightly", datetime(2026, 4, 14, 8, 30, tzinfo=UTC))
ENVIRON = {
    "PATH": "/bin",
    "HOME": "/home/us",
    "LANG": "C.UTF-8",
    "TOKEN": "12345678",
    "OTHER_TOKEN": "x",
    "TMPDIR": "/tmp",
    "NOETHER_LOG": "debug",
}


def config_of(folder: Path, job: dict[str, Any] | None = None, **more: Any) -> SchedulerConfig:
    common = {"name": "nightly", "cron": "* * * * *", "graph": str(folder / "graph.json")}
    return SchedulerConfig.model_validate({"jobs": [{**common, **(job or {})}], **more})


def request_of(
    folder: Path, config: SchedulerConfig, environ: dict[str, str] | None = None
) -> RunRequest | RunEnding:
    return request_for(config, config.jobs[0], FIRE, folder / "state", environ or ENVIRON)


def made(folder: Path, config: SchedulerConfig) -> RunRequest:
    (folder / "graph.json").write_text('{"ä": 1}', encoding="utf-8")
    found = request_of(folder, config)
    assert isinstance(found, RunRequest)
    return found


def refused(
    folder: Path, config: SchedulerConfig, environ: dict[str, str] | None = None
) -> tuple[ErrorCode, str]:
    found = request_of(folder, config, environ)
    assert isinstance(found, RunEnding)
    assert found.status is RunStatus.FAILED
    assert found.error is not None
    return found.error.code, found.error.message


def test_all_of_a_job_reaches_its_runner(tmp_path: Path) -> None:
    job = {
        "input": {"b": 1.0, "a": None},
        "timeout": 60.0,
        "stage_timeout": 5.0,
        "memory_mb": 64,
        "cpu_seconds": 2.5,
        "env": {"MODE": "fast", "LANG": "de_DE"},
        "pass_env": ["TOKEN", "NOT_SET"],
        "fs_read": ["relative"],
        "network": False,
        "budget_cents": 5,
    }
    found = made(tmp_path, config_of(tmp_path, job))
    assert found.run_id == "nightly@20260414T083000Z"
    assert found.job == "nightly"
    assert found.graph_text == '{"ä": 1}'
    assert found.graph_path == str(tmp_path / "graph.json")
    assert found.input_text == '{"a":null,"b":1.0}'
    assert found.store == FileStoreRef(path=str(Path(".noether/store.json").absolute()))
    assert found.limits.run_seconds == 60
    assert found.limits.stage_seconds == 5
    assert found.limits.memory_bytes == 64 * 1024 * 1024
    assert found.limits.cpu_seconds == 2.5
    assert found.budget_cents == 5
    assert found.grants.environment == {
        "PATH": "/bin",
        "HOME": "/home/us",
        "LANG": "de_DE",
        "MODE": "fast",
        "TOKEN": "12345678",
    }
    assert "TOKEN" in found.grants.secret_names
    assert found.grants.withheld_names == ("NOETHER_LOG", "OTHER_TOKEN")
    assert found.grants.fs_read == (str(Path("relative").absolute()),)
    assert found.grants.network is False
    assert Path(found.work_dir).parent == tmp_path / "state" / "work"
    assert found.cache_dir == str(tmp_path / "state" / "cache")


def test_work_directories_differ_by_run(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    (tmp_path / "graph.json").write_text("{}")
    fires = [FIRE, Fire("nightly", FIRE.due, manual=True)]
    found = [request_for(config, config.jobs[0], fire, tmp_path, ENVIRON) for fire in fires]
    assert len({each.work_dir for each in found if isinstance(each, RunRequest)}) == 2


def test_registry_and_its_key(tmp_path: Path) -> None:
    config = config_of(
        tmp_path, registry_url="https://example.org", registry_api_key={"env": "TOKEN"}
    )
    assert made(tmp_path, config).store == RegistryRef(
        url="https://example.org", api_key="12345678"
    )


def test_registry_key_that_is_not_there(tmp_path: Path) -> None:
    config = config_of(
        tmp_path, registry_url="https://example.org", registry_api_key={"env": "MISSING"}
    )
    (tmp_path / "graph.json").write_text("{}")
    code, message = refused(tmp_path, config)
    assert code is ErrorCode.STORE_UNREADABLE
    assert "MISSING" in message


def test_graph_that_is_not_there(tmp_path: Path) -> None:
    code, message = refused(tmp_path, config_of(tmp_path))
    assert code is ErrorCode.GRAPH_UNREADABLE
    assert message == (
        f"The graph file {tmp_path / 'graph.json'} cannot be read: No such file or directory."
    )


def test_graph_that_is_a_folder_or_a_pipe(tmp_path: Path) -> None:
    graph = tmp_path / "graph.json"
    graph.mkdir()
    assert refused(tmp_path, config_of(tmp_path))[0] is ErrorCode.GRAPH_UNREADABLE
    graph.rmdir()
    os.mkfifo(graph)
    assert "not a regular file" in refused(tmp_path, config_of(tmp_path))[1]


def test_graph_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "graph.json").write_bytes(b'{"a": "\xff"}')
    code, message = refused(tmp_path, config_of(tmp_path))
    assert code is ErrorCode.GRAPH_UNREADABLE
    assert "byte 7 is 0xff" in message


def test_graph_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request, "MAX_GRAPH_BYTES", 1024 * 1024)
    (tmp_path / "graph.json").write_bytes(b" " * (1024 * 1024 + 1))
    assert "longer than 1 MiB" in refused(tmp_path, config_of(tmp_path))[1]


def test_variable_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "graph.json").write_text("{}")
    environ = {**ENVIRON, "TOKEN": "\udcff", "USER": "\udcff"}
    config = config_of(tmp_path, {"pass_env": ["TOKEN"]})
    code, message = refused(tmp_path, config, environ)
    assert code is ErrorCode.BAD_REQUEST
    assert "TOKEN" in message
    # One of the fixed list is only left out.
    found = request_of(tmp_path, config_of(tmp_path), environ)
    assert isinstance(found, RunRequest)
    assert "USER" not in found.grants.environment


def test_request_is_one_line(tmp_path: Path) -> None:
    found = made(tmp_path, config_of(tmp_path, {"input": "a\nb"}))
    line = encode_request(found)
    assert line.count(b"\n") == 1
    assert read_request_line(line) == found


def test_request_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request, "MAX_REQUEST_BYTES", 100)
    with pytest.raises(LaunchError, match="smaller") as refusal:
        encode_request(made(tmp_path, config_of(tmp_path)))
    assert refusal.value.record.code is ErrorCode.BAD_REQUEST


def test_runners_see_little_of_the_service() -> None:
    assert runner_environment(ENVIRON) == {
        "PATH": "/bin",
        "HOME": "/home/us",
        "LANG": "C.UTF-8",
        "TMPDIR": "/tmp",
    }
    assert "PATH" in runner_environment({})


def test_pip_is_told_what_no_stage_sees(tmp_path: Path) -> None:
    (tmp_path / "graph.json").write_text("{}")
    environ = {**ENVIRON, "PIP_INDEX_URL": "https://me:secret@packages.invalid/simple"}
    found = request_of(tmp_path, config_of(tmp_path), environ)
    assert isinstance(found, RunRequest)
    assert found.packages.settings["PIP_INDEX_URL"] == environ["PIP_INDEX_URL"]
    assert "PIP_INDEX_URL" not in found.grants.environment
