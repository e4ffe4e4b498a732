"""The key-value database: where it is, and that several processes may use it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from builtin_calls import Caller, calling, started_children
from noether_contract.json_values import JsonValue
from noether_runner.builtins.key_values import database_path
from noether_runner.sandbox.child import Children


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with started_children() as started:
        yield started


@pytest.fixture
def caller(children: Children) -> Iterator[Caller]:
    with calling(children) as it:
        yield it


def test_the_place_of_the_database() -> None:
    assert database_path({"NOETHER_KV_PATH": "/a/b.db", "HOME": "/h"}) == Path("/a/b.db")
    assert database_path({"NOETHER_KV_PATH": "", "HOME": "/h"}) == Path("/h/.noether/kv.db")
    assert database_path({}) == Path("/tmp/.noether/kv.db")


def test_folders_are_made_and_values_stay(caller: Caller, tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path / "home")}
    value: JsonValue = {"a": [1, 1.0, None, "é"]}
    assert caller.output("kv_set", {"key": "k", "value": value}, environment=home) == "ok"
    assert caller.output("kv_get", {"key": "k"}, environment=home) == value
    with closing(sqlite3.connect(tmp_path / "home/.noether/kv.db")) as database:
        rows = database.execute("SELECT namespace, key, value FROM kv").fetchall()
    assert rows == [("", "k", '{"a":[1,1.0,null,"é"]}')]


def test_a_relative_place_is_below_the_working_directory(
    caller: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here = {"NOETHER_KV_PATH": "kv.db"}
    caller.output("kv_set", {"key": "k", "value": 1}, environment=here)
    assert (tmp_path / "kv.db").is_file()


def test_unreadable_text_is_null_with_a_warning(caller: Caller, tmp_path: Path) -> None:
    place = {"NOETHER_KV_PATH": str(tmp_path / "kv.db")}
    caller.output("kv_set", {"key": "k", "value": 1}, environment=place)
    with closing(sqlite3.connect(tmp_path / "kv.db")) as database, database:
        database.execute("UPDATE kv SET value = 'NaN'")
    outcome = caller.call("kv_get", {"key": "k"}, environment=place)
    assert (outcome.error, outcome.output) == (None, None)
    assert "is not JSON" in outcome.warnings[0]


def test_a_prefix_has_no_wildcards(caller: Caller, tmp_path: Path) -> None:
    place = {"NOETHER_KV_PATH": str(tmp_path / "kv.db")}
    inputs: JsonValue = [{"key": key, "value": 1} for key in ("ab", "a%b", "a_b", "Ab", "éb")]
    caller.output("parallel", {"stages": ["kv_set"] * 5, "inputs": inputs}, environment=place)
    prefixes = ("a%", "a_", "A", "é")
    asked: JsonValue = {
        "stages": ["kv_list"] * 4,
        "inputs": [{"prefix": prefix} for prefix in prefixes],
    }
    found = caller.output("parallel", asked, environment=place)
    assert found == [[f"{prefix}b"] for prefix in prefixes]


def test_a_database_that_cannot_be_opened_is_named(caller: Caller, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    below = {"NOETHER_KV_PATH": str(tmp_path / "file" / "kv.db")}
    message = caller.message("kv_exists", {"key": "k"}, environment=below)
    assert message.startswith(f"kv: cannot open {below['NOETHER_KV_PATH']}: ")
    (tmp_path / "text").write_text("this is no database, it is a text of some length " * 40)
    text = {"NOETHER_KV_PATH": str(tmp_path / "text")}
    assert "file is not a database" in caller.message("kv_get", {"key": "k"}, environment=text)


def test_many_writers_at_the_same_time_lose_nothing(caller: Caller, tmp_path: Path) -> None:
    place = {"NOETHER_KV_PATH": str(tmp_path / "new" / "kv.db")}
    inputs: JsonValue = [{"key": f"k{number:02}", "value": number} for number in range(24)]
    asked: JsonValue = {"stages": ["kv_set"] * 24, "inputs": inputs}
    assert caller.output("parallel", asked, environment=place) == ["ok"] * 24
    keys = caller.output("kv_list", {"prefix": "k"}, environment=place)
    assert keys == [f"k{number:02}" for number in range(24)]
