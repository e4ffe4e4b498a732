from pathlib import Path

from noether_contract.stage_environment import DEFAULT_PATH
from noether_runner.sandbox.environment import stage_environment


def test_there_is_always_a_path() -> None:
    assert stage_environment({}, Path("/d")) == {"PATH": DEFAULT_PATH, "TMPDIR": "/d"}


def test_what_is_granted_and_the_private_directory() -> None:
    granted = {"PATH": "/p", "TMPDIR": "/tmp", "TOKEN": "t"}
    assert stage_environment(granted, Path("/d")) == {"PATH": "/p", "TMPDIR": "/d", "TOKEN": "t"}
