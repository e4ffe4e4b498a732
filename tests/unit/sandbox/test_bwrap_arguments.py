"""The command line of bubblewrap: what is in it, in which order, and what never is."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from noether_runner.sandbox.bwrap import arguments, find_bubblewrap, sandbox_environment
from noether_runner.sandbox.policy import Granted, Policy
from noether_runner.sandbox.shown import View

ORDER = (
    "--unshare-user",
    "--unshare-pid",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-cgroup-try",
    "--unshare-net",
    "--disable-userns",
    "--uid 65534",
    "--gid 65534",
    "--hostname stage",
    "--die-with-parent",
    "--new-session",
    "--cap-drop ALL",
    "--ro-bind /usr /usr",
    "--ro-bind-try /etc/ld.so.cache /etc/ld.so.cache",
    "--ro-bind-try /etc/alternatives /etc/alternatives",
    "--ro-bind-try /etc/localtime /etc/localtime",
    "--ro-bind /opt/python /opt/python",
    "--proc /proc",
    "--ro-bind-try /proc/sys /proc/sys",
    "--ro-bind-try /proc/sysrq-trigger /proc/sysrq-trigger",
    "--ro-bind-try /proc/irq /proc/irq",
    "--ro-bind-try /proc/bus /proc/bus",
    "--dev /dev",
    "--size 1000 --perms 1777 --tmpfs /dev/shm",
    "--size 1000 --perms 1777 --tmpfs /tmp",
    "--size 1000 --perms 0700 --tmpfs /stage",
    "--bind /w /w",
    "--ro-bind /real /r",
    "--remount-ro /dev",
    "--remount-ro /",
    "--chdir /stage",
    "--",
)
"""`runtimes.md` §7.8, for a stage without network that writes /w and reads /r, a link to /real."""


def given(policy: Policy, **environment: str) -> list[str]:
    view = View({"/opt/python": "/opt/python"})
    return list(arguments(policy, view, environment, 1000))


def position(words: Sequence[str], wanted: str) -> int:
    parts = wanted.split()
    for place in range(len(words) - len(parts) + 1):
        if list(words[place : place + len(parts)]) == parts:
            return place
    raise AssertionError(f"{wanted} is not in {' '.join(words)}")


def test_everything_in_its_order() -> None:
    policy = Policy(read=(Granted("/r", "/real"),), write=(Granted("/w", "/w"),))
    words = given(policy)
    places = [position(words, each) for each in ORDER]
    assert places == sorted(places)
    system = " ".join(words[position(words, "--ro-bind /usr /usr") + 3 :])
    assert system.startswith(("--symlink", "--ro-bind-try"))
    assert "/home" not in words
    assert "--share-net" not in words


def test_system_folders_are_what_they_are_on_the_host() -> None:
    words = given(Policy())
    for folder in ("/bin", "/sbin", "/lib", "/lib64"):
        if Path(folder).is_symlink():
            assert position(words, f"--symlink {Path(folder).readlink()} {folder}")
        elif Path(folder).is_dir():
            assert position(words, f"--ro-bind-try {folder} {folder}")


def test_network() -> None:
    words = given(Policy(network=True), SSL_CERT_FILE="/etc/hosts", SSL_CERT_DIR="/not/there")
    assert "--unshare-net" not in words
    for path in ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ssl"):
        if Path(path).exists():
            assert position(words, f"--ro-bind {os.path.realpath(path)} {path}")
    assert "/not/there" not in words
    assert "/etc/hosts" not in given(Policy(), SSL_CERT_FILE="/etc/hosts")


def test_programs_on_the_path(tmp_path: Path) -> None:
    path = f"{tmp_path}:/usr/bin:relative:/:/not/there"
    words = given(Policy(programs=True), PATH=path)
    assert position(words, f"--ro-bind-try {tmp_path} {tmp_path}")
    assert {"relative", "/not/there", "/usr/bin"} & set(words) == set()
    assert str(tmp_path) not in given(Policy(), PATH=path)


@pytest.mark.parametrize(
    ("read", "write", "expected"),
    [
        # a path to read below one to write stays read-only
        (["/a/b"], ["/a"], ["--bind /a", "--ro-bind /a/b"]),
        # a path to write below one to read can be written
        (["/a"], ["/a/b"], ["--ro-bind /a", "--bind /a/b"]),
        (["/a", "/a/b/c"], ["/a/b"], ["--ro-bind /a", "--bind /a/b", "--ro-bind /a/b/c"]),
    ],
)
def test_paths_within_paths(read: list[str], write: list[str], expected: list[str]) -> None:
    policy = Policy(
        read=tuple(Granted(path, path) for path in read),
        write=tuple(Granted(path, path) for path in write),
    )
    words = given(policy)
    places = [position(words, each) for each in expected]
    assert places == sorted(places)


def test_no_value_of_the_environment_is_an_argument() -> None:
    words = given(Policy(network=True, programs=True), TOKEN="s3cret", PATH="/usr/bin")
    assert not any("s3cret" in word for word in words)
    assert "--setenv" not in words


def test_the_environment_has_a_home_that_exists() -> None:
    granted = {"HOME": "/root", "USER": "root", "LOGNAME": "root", "TMPDIR": "/x", "A": "b"}
    assert sandbox_environment(granted) == {
        "HOME": "/stage",
        "USER": "nobody",
        "LOGNAME": "nobody",
        "TMPDIR": "/tmp",
        "A": "b",
    }


def test_the_program_is_found_on_a_path(tmp_path: Path) -> None:
    usual = find_bubblewrap("")
    (tmp_path / "bwrap").write_text("#!/bin/sh\n")
    assert find_bubblewrap(str(tmp_path)) == usual
    (tmp_path / "bwrap").chmod(0o755)
    assert find_bubblewrap(f"relative:{tmp_path}") == (usual or f"{tmp_path}/bwrap")
