"""Building an environment: its name, its marker, and what is said when a step fails."""

import errno
import fcntl
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from environment_steps import ENTRIES, Steps, done, environments, failure
from noether_contract.outcomes import ErrorClass, ErrorCode
from noether_runner.errors import StageError
from noether_runner.languages.environments import place as places
from noether_runner.languages.environments.finder import check_way
from noether_runner.languages.environments.place import Place, environment_key, normalised
from noether_runner.sandbox.calls import ChildCall, ChildResult, EndedFor
from noether_runner.sandbox.cancellation import CancelSwitch
from noether_runner.sandbox.logs import Log
from noether_runner.sandbox.stage_user import StageUser

PASSWORD = "correct-horse"


@pytest.fixture
def switch() -> Iterator[CancelSwitch]:
    made = CancelSwitch()
    yield made
    made.close()


# names


def test_order_and_spelling_do_not_matter() -> None:
    assert normalised(["B_c.D == 1.0RC1", "a==1", "b-c-d==1.0rc1", "X"]) == (
        "a==1",
        "b-c-d==1.0rc1",
        "x",
    )
    assert environment_key(normalised(["b==1", "a==2"])) == environment_key(("a==2", "b==1"))


def test_everything_that_decides_is_in_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {environment_key(("a==1",)), environment_key(("a==2",)), environment_key(())}
    for other in (("x", "3.11.7", "linux"), ("cpython", "3.12.0", "linux"), ("cpython", "3", "l")):
        monkeypatch.setattr(places, "_interpreter", lambda other=other: other)
        keys.add(environment_key(("a==1",)))
    assert len(keys) == 6


# building


def test_venv_then_pip_then_the_marker(tmp_path: Path, switch: CancelSwitch) -> None:
    steps = Steps()
    settings = {"PIP_INDEX_URL": f"https://me:{PASSWORD}@packages.invalid/simple"}
    found = environments(tmp_path, steps, settings=settings).find(ENTRIES, switch)
    venv, pip = steps.calls
    assert venv.argv[:4] == (sys.executable, "-I", "-m", "venv")
    assert pip.argv[0].startswith(str(tmp_path / "kept"))
    payload = json.loads(pip.payload)
    words = payload["arguments"]
    assert words[-3:] == ["--", "other-thing==2", "tiny==1.0"]
    assert words[words.index("--only-binary") + 1] == ":all:"
    assert {"--no-input", "--disable-pip-version-check"} <= set(words)
    assert payload["settings"] == settings
    # a variable of the process, or a word of its command, could be read by any stage
    assert PASSWORD not in repr((pip.argv, dict(pip.environment)))
    assert set(pip.environment) == {"PATH", "LC_ALL", "TMPDIR"}
    assert found.built_seconds is not None
    place = Place.of(tmp_path / "kept", ENTRIES)
    assert place.is_complete()
    assert found.python == place.python
    # what names its interpreter names the one in its place
    tool = place.directory / "bin" / "tool"
    assert tool.read_text() == f"#!{place.python}\n"
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == sorted(
        [place.directory.name, place.lock.name]
    )
    assert list((tmp_path / "work").iterdir()) == []


def test_relative_paths_in_settings_are_meant_from_where_the_run_is(
    tmp_path: Path, switch: CancelSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = Steps()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    environments(tmp_path, steps).find(ENTRIES, switch)
    assert steps.calls[1].directory == tmp_path / "here"
    assert Path(steps.calls[1].environment["TMPDIR"]).parent == tmp_path / "work"


def test_what_is_there_is_used(tmp_path: Path, switch: CancelSwitch) -> None:
    environments(tmp_path, Steps()).find(ENTRIES, switch)
    steps = Steps()
    found = environments(tmp_path, steps).find(("other-thing == 2", "Tiny==1.0"), switch)
    assert (steps.calls, found.built_seconds) == ([], None)


def test_an_unmarked_folder_is_built_anew(tmp_path: Path, switch: CancelSwitch) -> None:
    place = Place.of(tmp_path / "kept", ENTRIES)
    for folder in (place.directory, place.building):
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").symlink_to(sys.executable)
        (folder / "half").write_text("of it")
    steps = Steps()
    environments(tmp_path, steps).find(ENTRIES, switch)
    assert len(steps.calls) == 2
    assert not (place.directory / "half").exists()


def test_an_environment_whose_interpreter_is_gone_is_built_anew(
    tmp_path: Path, switch: CancelSwitch
) -> None:
    environments(tmp_path, Steps()).find(ENTRIES, switch)
    python = Path(Place.of(tmp_path / "kept", ENTRIES).python)
    python.unlink()
    python.symlink_to(tmp_path / "uninstalled")
    steps = Steps()
    environments(tmp_path, steps).find(ENTRIES, switch)
    assert len(steps.calls) == 2


def test_it_is_locked_while_it_is_built(tmp_path: Path, switch: CancelSwitch) -> None:
    place = Place.of(tmp_path / "kept", ENTRIES)

    def pip(_: ChildCall) -> ChildResult:
        with place.lock.open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert not place.is_complete()
        return done()

    environments(tmp_path, Steps(pip)).find(ENTRIES, switch)
    with place.lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


# failures


def test_the_last_lines_are_quoted_without_passwords(tmp_path: Path, switch: CancelSwitch) -> None:
    lines = [f"line {number}" for number in range(20)]
    lines += [f"ERROR: nothing at https://me:{PASSWORD}@packages.invalid/simple", "", "x" * 900]
    log = Log("\n".join(lines).encode())
    steps = Steps(lambda _: ChildResult(Log(b"chatter"), log, wait_status=1 << 8))
    settings = {"PIP_EXTRA_INDEX_URL": f"https://me:{PASSWORD}@packages.invalid/simple"}
    found = environments(tmp_path, steps, settings=settings)
    error = failure(found, switch)
    assert error.error_class is ErrorClass.DEPENDENCY_ERROR
    head, *quoted = error.message.split("\n")
    assert "for other-thing==2, tiny==1.0 cannot be built" in head
    assert head.endswith("pip ended with status 1")
    assert quoted[0] == "  line 14"
    assert quoted[-2] == "  ERROR: nothing at https://***@packages.invalid/simple"
    assert len(quoted[-1]) < 500
    place = found.place_of(ENTRIES)
    assert not place.building.exists()
    assert not place.directory.exists()


def test_a_failed_build_is_tried_again(tmp_path: Path, switch: CancelSwitch) -> None:
    steps = Steps(lambda _: done(1))
    found = environments(tmp_path, steps)
    failure(found, switch)
    failure(found, switch)
    steps.pip = lambda _: done()
    assert found.find(ENTRIES, switch).built_seconds is not None
    assert len(steps.calls) == 6


def test_what_venv_misses_is_told_from_its_standard_output(
    tmp_path: Path, switch: CancelSwitch
) -> None:
    says = Log(b"You need to install the python3-venv package.\n")
    steps = Steps(venv=lambda _: ChildResult(says, Log(), wait_status=1 << 8))
    error = failure(environments(tmp_path, steps), switch)
    assert error.message.endswith(
        "venv ended with status 1\n  You need to install the python3-venv package."
    )
    assert len(steps.calls) == 1


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (
            ChildResult(Log(), Log(b"slow\n"), ended_for=EndedFor.STAGE_DEADLINE),
            "limit of 2.5s\n  slow",
        ),
        (ChildResult(Log(), Log(), wait_status=9), "pip was killed by signal 9"),
        (ChildResult(Log(), Log()), "pip was ended from outside"),
        (ChildResult(Log(), Log(), not_started="cannot fork"), "not be started: cannot fork"),
        (
            done(1, error=b'{"class": "start_failed", "message": "OSError: gone"}'),
            "could not be started: OSError: gone",
        ),
    ],
)
def test_other_ends_of_a_step(
    tmp_path: Path, switch: CancelSwitch, result: ChildResult, says: str
) -> None:
    error = failure(environments(tmp_path, Steps(lambda _: result), build_seconds=2.5), switch)
    assert error.error_class is ErrorClass.DEPENDENCY_ERROR
    assert says in error.message


def test_both_steps_share_one_limit(tmp_path: Path, switch: CancelSwitch) -> None:
    steps = Steps()
    environments(tmp_path, steps, build_seconds=40).find(ENTRIES, switch)
    venv, pip = (call.limits.wall_seconds for call in steps.calls)
    assert 40 >= venv > pip > 0


@pytest.mark.parametrize(
    ("ended_for", "code"),
    [
        (EndedFor.RUN_DEADLINE, ErrorCode.RUN_TIMED_OUT),
        (EndedFor.CANCELLED, ErrorCode.RUN_INTERRUPTED),
    ],
)
def test_a_run_that_ends_meanwhile(
    tmp_path: Path, switch: CancelSwitch, ended_for: EndedFor, code: ErrorCode
) -> None:
    steps = Steps(lambda _: ChildResult(Log(), Log(), ended_for=ended_for))
    found = environments(tmp_path, steps)
    error = failure(found, switch)
    assert (error.error_class, error.code) == (ErrorClass.CANCELLED, code)
    assert not found.place_of(ENTRIES).building.exists()


def test_a_place_that_cannot_be_written(tmp_path: Path, switch: CancelSwitch) -> None:
    (tmp_path / "kept").write_text("a file")
    error = failure(environments(tmp_path, Steps()), switch)
    assert error.error_class is ErrorClass.DEPENDENCY_ERROR
    assert f"cannot be kept in {tmp_path / 'kept'}: File exists" in error.message


def test_a_disk_that_is_full(tmp_path: Path, switch: CancelSwitch) -> None:
    def pip(_: ChildCall) -> ChildResult:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/there")

    found = environments(tmp_path, Steps(pip))
    assert "No space left on device (/there)" in failure(found, switch).message
    assert not found.place_of(ENTRIES).building.exists()


def test_a_user_who_cannot_get_there_is_told(tmp_path: Path, switch: CancelSwitch) -> None:
    python = environments(tmp_path, Steps()).find(ENTRIES, switch).python
    check_way(python, None)
    (tmp_path / "kept").chmod(0o700)
    with pytest.raises(StageError) as caught:
        check_way(python, StageUser(54321, 54321))
    assert "user 54321" in caught.value.message
    assert caught.value.error_class is ErrorClass.RUNTIME_UNAVAILABLE
