"""What pip is told of the operator's surroundings, and that nobody else is."""

import pytest

from noether_contract.messages import FileStoreRef, RunRequest, write_message
from noether_contract.package_settings import UNPINNED, packages_from, passwords_in
from noether_contract.stage_environment import stage_grants
from noether_runner.request_reading import read_request_line

ENVIRON = {
    "PATH": "/bin",
    "HOME": "/home/us",
    "PIP_INDEX_URL": "https://me:correct-horse@packages.invalid/simple",
    "PIP_FIND_LINKS": "wheels",
    "PIP_TARGET": "/elsewhere",
    "PIP_NO_BINARY": ":all:",
    "https_proxy": "http://proxy.invalid:3128",
    "REQUESTS_CA_BUNDLE": "/etc/ssl/ours.pem",
    "API_TOKEN": "12345678",
}


def test_where_packages_come_from_is_passed_and_nothing_else() -> None:
    assert set(packages_from(ENVIRON).settings) == {
        "HOME",
        "PIP_INDEX_URL",
        "PIP_FIND_LINKS",
        "https_proxy",
        "REQUESTS_CA_BUNDLE",
    }


def test_no_setting_reaches_a_stage() -> None:
    granted = stage_grants(ENVIRON, {}, ()).environment
    assert set(granted) & set(packages_from(ENVIRON).settings) == {"HOME"}


def test_settings_are_not_shown_with_the_request() -> None:
    request = RunRequest(
        run_id="x",
        graph_text="{}",
        graph_path="x",
        store=FileStoreRef(path="/x"),
        cache_dir="/x",
        work_dir="/x",
        packages=packages_from(ENVIRON),
    )
    assert "correct-horse" not in repr(request)
    assert read_request_line(write_message(request)) == request


def test_what_json_cannot_carry_is_left_out() -> None:
    assert packages_from({"PIP_CERT": "/\udcff"}).settings == {}


@pytest.mark.parametrize("word", ["1", "true", "yes", "on"])
def test_unpinned_entries_are_allowed(word: str) -> None:
    assert packages_from({UNPINNED: word}).allow_unpinned


@pytest.mark.parametrize("word", ["", "0", "True", "YES", " 1", "2"])
def test_unpinned_entries_are_not_allowed(word: str) -> None:
    assert not packages_from({UNPINNED: word}).allow_unpinned


def test_passwords_are_found_in_addresses() -> None:
    settings = {
        "PIP_EXTRA_INDEX_URL": "https://token@a.invalid/x https://me:pa:ss@b.invalid/x",
        "PIP_FIND_LINKS": "/srv/a@b",
    }
    assert set(passwords_in(settings)) == {"token", "", "me:pa:ss", "pa:ss"}
