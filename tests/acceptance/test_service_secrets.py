"""What is secret shows nowhere: not in logs, not in the history, not in what programs are told."""

import os
import sqlite3
import stat
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from receivers import Receiver, receiver
from running_service import Place
from service_stages import ANCESTORS, spec, stage

PASSED = "passed-8f3b1c-by-name"
USER, TOKEN = "user-5d81aa", "token-77c0e2"
SERVICE_ONLY = "kept-2b9f04-by-the-service"
SECRETS = (PASSED, USER, TOKEN, SERVICE_ONLY)

_TELL = """
import ctypes, os, signal, sys

def execute(input):
    secret = os.environ["PLANTED"]
    print("printed", secret)
    print("told", secret, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
"""
ENDINGS = {
    "succeeds": "    return len(secret)\n",
    "raises": "    raise ValueError(f'{secret} is wrong', {'key': secret})\n",
    "exits": "    sys.exit(secret)\n",
    "segfaults": "    ctypes.string_at(0)\n",
    "sleeps": "    signal.pause()\n",
    "hides_in_key": "    return {secret: 1}[input]\n",
}
BASH = spec(
    "bash_fails", 'execute() { echo "told $PLANTED" >&2; printenv PLANTED; return 3; }\n', "bash"
)


LOOKS = spec(
    "looks",
    ANCESTORS
    + """
def execute(input):
    found = []
    for pid in ["self", *ancestors()]:
        with open(f"/proc/{pid}/environ") as environ:
            found.append(environ.read())
    return {"own": dict(os.environ), "environ": found}
""",
)


@pytest.fixture
def hooks() -> Iterator[Receiver]:
    with receiver() as it:
        yield it


def written_texts(place: Place) -> Iterator[tuple[str, bytes]]:
    """Every file below the state directory, and what the database holds packed."""
    state = place.folder / ".noether" / "scheduler"
    for path in state.rglob("*"):
        if path.is_file() and path.suffix not in (".db", ".db-wal"):
            yield str(path), path.read_bytes()
    with closing(sqlite3.connect(f"file:{state / 'history.db'}?mode=ro", uri=True)) as history:
        tables = [name for (name,) in history.execute("SELECT name FROM sqlite_master")]
        for table in ("ledger", "outcome", "delivery", "job"):
            assert table in tables
            rows = history.execute(f"SELECT * FROM {table}")
            columns = [column[0] for column in rows.description]
            for row in rows:
                for column, value in zip(columns, row, strict=True):
                    yield f"{table}.{column}", _unpacked(value)


def _unpacked(value: object) -> bytes:
    if isinstance(value, bytes):
        try:
            return zlib.decompress(value)
        except zlib.error:
            return value
    return str(value).encode()


def test_no_secret_shows_anywhere(place: Place, hooks: Receiver) -> None:
    place.stages(BASH, *(spec(name, _TELL + end) for name, end in ENDINGS.items()))
    names = [*ENDINGS, "bash_fails"]
    for name in names:
        place.graph(name, stage(name))
    port = urlsplit(hooks.url).port
    url = f"http://{USER}:{TOKEN}@127.0.0.1:{port}/hook?key={TOKEN}"
    jobs = [
        {"name": name, "graph": f"{name}.json", "pass_env": ["PLANTED"], "stage_timeout": 1}
        for name in names
    ]
    place.configure(*({**job, "webhook": url} for job in jobs))
    planted = {"PLANTED": PASSED, "UNPLANTED": SERVICE_ONLY}
    told: list[str] = []
    with place.service("--log-level", "debug", environment=planted) as service:
        for name in names:
            assert place.run_job(name).returncode == (0 if name == "succeeds" else 1)
            told.append(hooks.next_call().body.decode())
        assert service.stop() == 0
        told.append(service.log)
    for entry in place.history():
        told.append(place.call("noether-scheduler", "show", entry["run_id"]).stdout)
        told.append(str(place.show(entry["run_id"])))
    for words in ("history", "history --json", "status", "status --json", "check", "check --json"):
        ended = place.call("noether-scheduler", *words.split(), environment=planted)
        told.append(ended.stdout + ended.stderr)
    everything = "\n".join(told)
    assert "printed ***" in everything
    assert "*** is wrong" in everything
    found = [secret for secret in SECRETS if secret in everything]
    assert found == []
    for place_of_text, text in written_texts(place):
        found = [each for each in SECRETS if each.encode() in text]
        assert found == [], place_of_text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look, so only root can test it")
def test_no_process_of_a_run_holds_a_secret_in_its_environment(place: Place) -> None:
    place.stages(LOOKS)
    place.graph("looks", stage("looks"))
    place.configure({"name": "looks", "graph": "looks.json", "pass_env": ["PLANTED"]})
    with place.service(environment={"PLANTED": PASSED, "UNPLANTED": SERVICE_ONLY}) as service:
        assert place.run_job("looks").returncode == 0
        assert service.stop() == 0
    (entry,) = place.history()
    told = place.show(entry["run_id"])["output"]
    assert told["own"]["PLANTED"] == PASSED
    assert SERVICE_ONLY not in told["own"].values()
    assert len(told["environ"]) == 5  # the stage, stage-init, zygote, runner, nursery
    assert [text for text in told["environ"] if PASSED in text or SERVICE_ONLY in text] == []


def test_a_receiver_that_cannot_be_reached_is_named_without_its_secrets(place: Place) -> None:
    place.graph("fixed", {"op": "Const", "value": 1})
    url = f"http://{USER}:{TOKEN}@nowhere.invalid/{TOKEN}?key={TOKEN}"
    place.configure({"name": "good", "graph": "fixed.json", "webhook": url})
    with place.service("--log-level", "debug") as service:
        assert place.run_job("good").returncode == 0
        service.wait_for("webhook failed", "nowhere.invalid")
        assert service.stop() == 0
    (entry,) = place.history()
    assert entry["delivery"].startswith("failed")
    said = service.log + str(entry) + str(place.show(entry["run_id"]))
    assert [secret for secret in (USER, TOKEN) if secret in said] == []


def test_what_is_written_is_for_its_owner_only(place: Place) -> None:
    place.graph("fixed", {"op": "Const", "value": 1})
    place.configure({"name": "good", "graph": "fixed.json"})
    with place.service() as service:
        place.run_job("good")
        state = place.folder / ".noether" / "scheduler"
        assert stat.S_IMODE(state.stat().st_mode) == 0o700
        loose = [path for path in _files(state) if stat.S_IMODE(path.lstat().st_mode) & 0o077]
        assert loose == []
        assert service.stop() == 0


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.is_dir()]
