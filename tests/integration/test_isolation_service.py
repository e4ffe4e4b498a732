"""Isolation and stage_user as an operator meets them: commands, service, history."""

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from process_watch import nothing_left
from running_service import Place
from sandbox_backends import NOBODY, need_backend, open_to_everybody
from service_stages import spec, stage

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")

WHO = spec(
    "who",
    """
import os

def execute(input):
    with open("note", "w") as note:
        note.write("private")
    try:
        os.kill(os.getppid(), 0)
        reached = True
    except PermissionError:
        reached = False
    here = os.stat(".")
    return {
        "user": os.getuid(),
        "group": os.getgid(),
        "home": os.environ["HOME"],
        "name": os.environ.get("USER"),
        "folder": [here.st_uid, oct(here.st_mode & 0o777)],
        "init": reached,
    }
""",
)
KEEP = spec(
    "keep",
    "def execute(path):\n    open(path, 'w').write('kept')\n    return 'done'\n",
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.stages(WHO, KEEP)
    for name in ("who", "keep"):
        made.graph(name, stage(name))
    return made


def last_run(place: Place, job: str) -> dict[str, Any]:
    (entry,) = place.history(job)
    return place.show(entry["run_id"])


@pytest.mark.parametrize("backend", ["bwrap", "landlock"])
def test_the_backend_is_in_the_trace_and_in_the_log(place: Place, backend: str) -> None:
    need_backend(backend)
    place.configure({"name": "who", "graph": "who.json", "isolation": backend})
    with nothing_left():
        assert place.run_job("who").returncode == 0
        shown = last_run(place, "who")
        (entry,) = shown["trace"]["stages"]
        assert (entry["isolation"], entry["status"]) == (backend, "Ok")
        assert entry["warnings"][0].startswith("discarded_files: 1 ")
        with place.service() as service:
            line = service.wait_for("isolation: ", backend)
            assert "job=who" in line
            service.wait_for('isolation: stage "who" gets: no network')
            assert service.stop() == 0


def test_check_lists_what_stages_get(place: Place) -> None:
    need_backend("bwrap")
    (place.folder / "out").mkdir()
    open_to_everybody(place.folder)
    place.configure(
        {"name": "who", "graph": "who.json", "isolation": "bwrap", "network": True},
        {"name": "keep", "graph": "keep.json", "isolation": "bwrap", "fs_write": ["out"]},
        {"name": "gone", "graph": "keep.json", "isolation": "bwrap", "fs_read": ["gone"]},
        {"name": "plain", "graph": "who.json"},
    )
    checked = place.call("noether-scheduler", "check")
    assert checked.returncode == 1
    told = checked.stdout
    assert 'note: who: jobs[0].isolation: stage "who" gets: network' in told
    assert f'stage "keep" gets: no network, writes {place.folder}/out' in told
    assert 'error: gone: jobs[2].graph: stage "keep": the operator\'s fs_read' in told
    assert f"{place.folder}/gone: No such file or directory" in told
    assert "plain: jobs[3].isolation" not in told


def test_two_lines_keep_what_is_written(place: Place) -> None:
    need_backend("bwrap")
    open_to_everybody(place.folder)
    out = place.folder / "out"
    out.mkdir()
    out.chmod(0o777)
    job = {"name": "keep", "graph": "keep.json", "isolation": "bwrap", "input": f"{out}/file"}
    place.configure({**job, "fs_write": [str(out)]})
    assert place.run_job("keep").returncode == 0
    assert (out / "file").read_text() == "kept"
    assert last_run(place, "keep")["trace"]["stages"][0]["warnings"] == []


# required isolation


def test_required_isolation(place: Place) -> None:
    place.configure({"name": "who", "graph": "who.json"})
    required = {"NOETHER_REQUIRE_ISOLATION": "yes"}
    checked = place.call("noether-scheduler", "check", environment=required)
    assert checked.returncode == 1
    assert "refusing to run without isolation" in checked.stdout
    run = place.call("noether-scheduler", "run", "who", environment=required)
    assert run.returncode == 1
    error = last_run(place, "who")["error"]
    assert error["error_class"] == "isolation_unavailable"
    assert "refusing to run without isolation" in error["message"]
    by_hand = place.call("noether-run", "who.json", environment=required)
    assert by_hand.returncode == 1
    assert "refusing to run without isolation" in by_hand.stderr
    assert by_hand.stdout == ""


@pytest.mark.parametrize(
    "words",
    [
        ("noether-scheduler",),
        ("noether-scheduler", "run", "who"),
        ("noether-run", "who.json"),
    ],
)
def test_a_requirement_that_means_nothing(place: Place, words: tuple[str, ...]) -> None:
    place.configure({"name": "who", "graph": "who.json"})
    ended = place.call(*words, environment={"NOETHER_REQUIRE_ISOLATION": "maybe"})
    assert ended.returncode == 2
    assert "NOETHER_REQUIRE_ISOLATION is 'maybe'; expected 1, true, yes or on" in ended.stderr


# another user


@as_root
@pytest.mark.parametrize("isolation", ["none", "landlock", "bwrap"])
def test_stages_of_a_root_service_are_another_users(place: Place, isolation: str) -> None:
    need_backend(isolation)
    job = {"name": "who", "graph": "who.json", "isolation": isolation}
    place.configure(job, stage_user="nobody")
    assert place.folder.stat().st_mode & 0o077 == 0, "the state directory is closed to others"
    with nothing_left():
        run = place.run_job("who")
    assert run.returncode == 0, run.stderr
    output = last_run(place, "who")["output"]
    assert (output["user"], output["group"]) == (NOBODY, NOBODY)
    assert output["folder"] == [NOBODY, "0o700"]
    assert output["name"] == "nobody"
    # in a sandbox of its own the process above it is its own; elsewhere that is root's
    assert output["init"] is (isolation == "bwrap")
    if isolation == "none":
        assert output["home"] == "/nonexistent"
    assert list(Path(tempfile.gettempdir()).glob("noether-[0-9a-f]*-*")) == []


@as_root
def test_a_service_tells_whom_its_stages_are(place: Place) -> None:
    place.configure({"name": "who", "graph": "who.json"}, stage_user="nobody")
    with place.service() as service:
        service.wait_for("the service runs as root, its stages as nobody")
        assert service.stop() == 0


@pytest.mark.parametrize("user", ["nobody-knows-me", "root"])
def test_a_user_that_cannot_be(place: Place, user: str) -> None:
    place.configure({"name": "who", "graph": "who.json"}, stage_user=user)
    checked = place.call("noether-scheduler", "check")
    assert checked.returncode == 1
    assert f"stage_user: '{user}'" in checked.stdout
