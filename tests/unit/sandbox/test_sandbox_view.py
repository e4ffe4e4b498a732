"""What of the host a sandbox shows, and where."""

import os
import sys
from pathlib import Path

import pytest

from noether_runner.sandbox.shown import (
    View,
    import_folders,
    interpreter_folders,
    other_interpreters,
    own_interpreter,
)


def test_what_lies_in_usr_is_there_anyway() -> None:
    view = View()
    for path in ("/usr", "/usr/bin/env", "/lib/x", "/bin/sh"):
        assert view.show(path) == path
    assert view.places == {}
    assert view.translate("/usrlocal") is None


def test_a_folder_keeps_its_place_unless_that_would_show_more() -> None:
    view = View()
    assert view.show("/opt/python") == "/opt/python"
    assert view.show("/opt/python/bin/python3") == "/opt/python/bin/python3"
    assert view.show("/home/us/python") == "/runtime/1"
    assert view.show("/home/us/python/bin") == "/runtime/1/bin"
    assert view.translate("/home/us/pythons") is None
    assert view.show("/root/other", in_place=True) == "/root/other"
    assert list(view.places) == ["/opt/python", "/home/us/python", "/root/other"]
    copy = view.copy()
    copy.show("/srv/a")
    assert "/srv/a" not in view.places


def test_a_program_comes_with_the_folder_above_its_bin(tmp_path: Path) -> None:
    program = tmp_path / "node" / "bin" / "node"
    program.parent.mkdir(parents=True)
    program.touch()
    (tmp_path / "link").symlink_to(program)
    view = View()
    assert view.show_program(str(tmp_path / "link")) == "/runtime/0/bin/node"
    assert view.places == {str(tmp_path / "node"): "/runtime/0"}
    assert View().show_program("/usr/bin/env") == "/usr/bin/env"


def test_a_link_in_a_folder_that_is_shown_may_lead_out_of_it(tmp_path: Path) -> None:
    """As hand-made ones in /usr/local/bin do."""
    program = tmp_path / "tool" / "bin" / "tool"
    program.parent.mkdir(parents=True)
    program.touch()
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown" / "tool").symlink_to(program)
    view = View({str(tmp_path / "shown"): "/seen"})
    assert view.show_program(str(tmp_path / "shown" / "tool")) == "/runtime/1/bin/tool"


def test_an_environment_brings_the_interpreter_that_it_was_made_from(tmp_path: Path) -> None:
    made_from = tmp_path / "python" / "bin" / "python3.11"
    made_from.parent.mkdir(parents=True)
    made_from.touch()
    environment = tmp_path / "environment"
    (environment / "bin").mkdir(parents=True)
    (environment / "pyvenv.cfg").touch()
    (environment / "bin" / "python").symlink_to(made_from)
    view = View()
    assert view.show_program(str(environment / "bin" / "python")) == "/runtime/1/bin/python"
    base = str(tmp_path / "python")
    # its configuration names that one by its place
    assert view.places == {base: base, str(environment): "/runtime/1"}


def test_the_store_of_nix_is_one_place() -> None:
    view = View()
    assert view.show("/nix/store/abc-python/bin/python") == "/nix/store/abc-python/bin/python"
    assert list(view.places) == ["/nix/store"]


def test_our_own_interpreter() -> None:
    own = own_interpreter()
    assert os.access(own.program, os.X_OK)
    assert own.prefix == sys.base_prefix
    assert "-I" in own.options
    assert not any(folder.startswith(f"{sys.base_prefix}/lib/python") for folder in own.paths)
    assert set(own.paths) <= set(interpreter_folders())


def test_pythonpath_and_what_is_not_there_are_not_imported_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mine", "pythonpath"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "pythonpath"))
    found = import_folders(["", *(f"{tmp_path}/{name}" for name in ("gone", "mine", "pythonpath"))])
    assert found == (f"{tmp_path}/mine",)


def test_interpreters_on_a_path(tmp_path: Path) -> None:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    ours, another = tmp_path / "a" / "bin" / version, tmp_path / "b" / "bin" / "python3.99"
    for program in (ours, another):
        program.parent.mkdir(parents=True)
        program.touch(mode=0o755)
    (another.parent / "python3").symlink_to(another)
    found = list(other_interpreters(f"{ours.parent}:relative:{another.parent}"))
    assert [each.program for each in found] == [str(ours), str(another)]
    assert [each.prefix for each in found] == [str(tmp_path / "a"), str(tmp_path / "b")]
    # another version has no use for libraries of ours
    assert bool(found[0].paths) is bool(import_folders(sys.path))
    assert found[1].paths == ()
