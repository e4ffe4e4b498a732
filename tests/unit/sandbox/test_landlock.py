"""Landlock: the bits for every version of it, and rules applied to a process."""

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from noether_runner.sandbox import confining, landlock

EVERY_VERSION = range(1, 9)
needs_landlock = pytest.mark.skipif(
    confining.landlock_version() == 0, reason="this kernel has no Landlock"
)


def test_a_later_version_watches_over_more() -> None:
    rulesets = [landlock.ruleset_for(version, (), network=False) for version in EVERY_VERSION]
    for earlier, later in itertools.pairwise(rulesets):
        assert earlier.files & later.files == earlier.files
        assert earlier.network <= later.network
        assert earlier.scopes <= later.scopes
    assert [ruleset.files.bit_length() for ruleset in rulesets] == [13, 14, 15, 15, 16, 16, 16, 16]
    assert [ruleset.network for ruleset in rulesets] == [0, 0, 0, 3, 3, 3, 3, 3]
    assert [ruleset.scopes for ruleset in rulesets] == [0, 0, 0, 0, 0, 3, 3, 3]


def test_a_stage_with_a_network_may_use_tcp() -> None:
    assert landlock.ruleset_for(7, (), network=True).network == 0


def test_what_a_version_cannot_do_is_told() -> None:
    counts = [len(landlock.gaps(version)) for version in EVERY_VERSION]
    assert counts == [5, 4, 3, 2, 1, 0, 0, 0]
    assert "signals" in landlock.gaps(5)[0]


def test_devices_cannot_be_made() -> None:
    make_character_device, make_block_device = 1 << 6, 1 << 11
    assert landlock.WRITE & (make_character_device | make_block_device) == 0


@needs_landlock
def test_rules_in_a_process(tmp_path: Path) -> None:
    for name in ("read", "write", "closed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    rules = (
        ("/usr", landlock.READ),
        (str(tmp_path / "read"), landlock.READ),
        (str(tmp_path / "write"), landlock.WRITE),
        (str(tmp_path / "nothing there"), landlock.WRITE),
    )
    ruleset = landlock.ruleset_for(confining.landlock_version(), rules, network=False)
    code = (
        "import os, sys\n"
        "from noether_runner.sandbox import confining, prctl\n"
        "prctl.forbid_new_privileges()\n"
        f"confining.restrict(*{tuple(ruleset)!r})\n"
        "def may(name, mode):\n"
        "    try: open(name, mode).close()\n"
        "    except PermissionError: return False\n"
        "    return True\n"
        "os.chdir(sys.argv[1])\n"
        "print([may(f'{d}/file', m) for d in ('read', 'write', 'closed') for m in 'ra'],\n"
        "      may('write/new', 'w'), may('read/new', 'w'), may('new', 'w'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    expected = "[True, False, True, True, False, False] True False False\n"
    assert done.stdout == expected, done.stderr


@needs_landlock
def test_a_set_of_rules_that_means_nothing(tmp_path: Path) -> None:
    """In a process of its own, since what is applied cannot be taken back."""
    code = (
        "from noether_runner.sandbox import confining\n"
        "try: confining.restrict(0, 0, 0, ())\n"
        "except OSError as error: print(error.strerror)\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=True)
    assert done.stdout.startswith(b"Landlock (system call 444): ")
