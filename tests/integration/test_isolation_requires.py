"""Stages with packages of their own behind walls: their environment comes with them."""

import json
from typing import Any

from harness_calls import call, run_harness
from noether_runner.sandbox.shown import own_interpreter
from noether_runner.sandbox.stage_user import can_reach, sandbox_user
from sandbox_backends import need_backend
from wheels import LINE

CODE = (
    f"{LINE}\n"
    "import noether_tiny\n"
    "def execute(input):\n"
    "    try:\n"
    "        open('/etc/hostname').close()\n"
    "    except OSError as error:\n"
    "        return [noether_tiny.twice(input), type(error).__name__]\n"
    "    return 'no walls'\n"
)


def result_with(backend: str, prepared: dict[str, Any]) -> dict[str, Any]:
    need_backend(backend)
    (result,) = run_harness([call(CODE, 21, isolation=backend)], packages=prepared)
    return result


def test_with_landlock(prepared: dict[str, Any]) -> None:
    result = result_with("landlock", prepared)
    assert result["status"] == "ok", result["message"]
    assert json.loads(result["output_text"]) == [42, "PermissionError"]


def test_with_bubblewrap(prepared: dict[str, Any]) -> None:
    """An environment that the sandbox's user cannot get to is an error that names the folder."""
    result = result_with("bwrap", prepared)
    user = sandbox_user(None)
    if can_reach(prepared["folder"], user) and can_reach(own_interpreter().program, user):
        assert json.loads(result["output_text"]) == [42, "FileNotFoundError"]
    else:
        assert result["error_class"] == "isolation_unavailable"
        assert "cannot be shown in its sandbox" in result["message"]
