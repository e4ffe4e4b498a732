"""What a request says of isolation, and where runs are whose stages have a user of their own."""

import os
import pwd
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from noether_contract.json_values import JsonValue
from noether_contract.messages import RunRequest
from noether_contract.outcomes import ErrorCode
from noether_supervisor.config import SchedulerConfig, read_config
from noether_supervisor.errors import ConfigError, UsageError
from noether_supervisor.jobs import load
from noether_supervisor.records import Fire, RunEnding
from noether_supervisor.runs import stage_user
from noether_supervisor.runs.isolation_notes import isolation_notes
from noether_supervisor.runs.request import request_for

FIRE = Fire("a", datetime(2026, 4, 14, 8, 30, tzinfo=UTC))
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may have files of others")


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def configured(folder: Path, **top: Any) -> SchedulerConfig:
    (folder / "g.json").write_text("{}")
    job = {"name": "a", "cron": "* * * * *", "graph": str(folder / "g.json")}
    path = folder / "scheduler.json"
    path.write_text(SchedulerConfig.model_validate({"jobs": [job], **top}).model_dump_json())
    return read_config(path)


def requested(folder: Path, config: SchedulerConfig, **environ: str) -> RunRequest | RunEnding:
    given = {"HOME": "/root", "USER": "root", **environ}
    return request_for(config, config.jobs[0], FIRE, folder / "state", given)


def test_nothing_is_required_unless_it_is_said(tmp_path: Path) -> None:
    config = configured(tmp_path)
    for text, expected in (("1", True), ("off", False)):
        found = requested(tmp_path, config, NOETHER_REQUIRE_ISOLATION=text)
        assert isinstance(found, RunRequest)
        assert found.require_isolation is expected
    refused = requested(tmp_path, config, NOETHER_REQUIRE_ISOLATION="perhaps")
    assert isinstance(refused, RunEnding)
    assert refused.error is not None
    assert refused.error.code is ErrorCode.BAD_REQUEST
    with pytest.raises(UsageError, match="NOETHER_REQUIRE_ISOLATION is 'perhaps'"):
        load(tmp_path / "scheduler.json", {"NOETHER_REQUIRE_ISOLATION": "perhaps"})


def test_what_no_stage_may_declare_to_write(tmp_path: Path) -> None:
    found = requested(tmp_path, configured(tmp_path, state_dir=str(tmp_path / "state")))
    assert isinstance(found, RunRequest)
    assert found.protected == (str(tmp_path / "state"), str(tmp_path / "scheduler.json"))


@pytest.mark.usefixtures("root")
def test_a_run_with_a_user_of_its_own(tmp_path: Path) -> None:
    user = pwd.getpwnam("nobody")
    found = requested(tmp_path, configured(tmp_path, stage_user="nobody"))
    assert isinstance(found, RunRequest)
    assert found.stage_user == "nobody"
    names = ("HOME", "USER", "LOGNAME")
    assert [found.grants.environment[name] for name in names] == [user.pw_dir, "nobody", "nobody"]
    work_dir = Path(found.work_dir)
    # pytest's own folders are closed to others, so this is somewhere everybody can pass through
    assert not work_dir.is_relative_to(tmp_path)
    assert all(folder.stat().st_mode & 0o001 for folder in work_dir.parents)
    again = requested(tmp_path, configured(tmp_path, stage_user="nobody"))
    assert isinstance(again, RunRequest)
    assert again.work_dir != found.work_dir


def test_a_service_that_is_not_roots_ignores_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    found = requested(tmp_path, configured(tmp_path, stage_user="nobody"))
    assert isinstance(found, RunRequest)
    assert Path(found.work_dir).is_relative_to(tmp_path / "state")
    assert found.grants.environment["HOME"] == "/root"


@pytest.mark.parametrize(
    ("user", "words"), [("nobody-knows-me", "is no user of this system"), ("root", "everything")]
)
def test_a_user_that_cannot_be(tmp_path: Path, user: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configured(tmp_path, stage_user=user)
    (finding,) = caught.value.findings
    assert finding.path == "stage_user"
    assert words in finding.message


@as_root
def test_what_a_dead_service_left_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_user, "_base", lambda: tmp_path)
    state, another = tmp_path / "state", tmp_path / "another"
    mine, theirs = stage_user.work_dir_for(state), stage_user.work_dir_for(another)
    for folder in (mine, theirs):
        (folder / "stage-1").mkdir(parents=True)
    forged = stage_user.work_dir_for(state)
    forged.mkdir()
    os.chown(forged, 65534, 65534)
    link = stage_user.work_dir_for(state)
    link.symlink_to(another)
    another.mkdir()
    stage_user.sweep(state)
    assert not mine.exists()
    assert theirs.exists()
    assert forged.exists()
    assert another.exists()


def test_the_folder_is_open_to_everybody() -> None:
    base = stage_user._base()
    assert base == Path(tempfile.gettempdir()).resolve() or base in map(
        Path, ("/tmp", "/var/tmp", "/run")
    )


def test_notes_of_a_dry_run() -> None:
    told: JsonValue = {
        "backend": "bwrap",
        "detail": "as nobody",
        "stages": [{"stage": "a", "gets": "no network"}],
    }
    assert isolation_notes({"isolation": told}) == (
        "bwrap (as nobody)",
        'stage "a" gets: no network',
    )
    nothings: tuple[JsonValue, ...] = (None, {}, {"isolation": None}, [1])
    for nothing in nothings:
        assert isolation_notes(nothing) == ()
