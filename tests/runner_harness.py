"""Runs stage calls in a process of its own, as a runner does: a case on stdin, JSON on stdout.

The case is `{"calls": [...], "clean_fork": bool}`; a call has the members of
`vectors/runtime_cases.json` (`runtimes.md` §9.1), and `input_text` in place of an input value
that JSON readers could change. The whole environment of this process is the host's. All calls
run in the same runner, one after the other, or at the same time (`"together": true`).
`"packages"` is how environments are built (`messages.Packages`). `"user"` is a user id to become
first; the host's environment is `"environ"` then: a runner that is forked, as by the nursery, has
never seen it. `"stage_user"` is whom stages drop to (user and group id), `"require_isolation"`
whether isolation is required, `"without_backends"` stands for a machine without any. A call with
`cancel_at` (a FIFO) is cancelled as soon as somebody writes there; `grants` of a call are those of
the operator.
"""

import functools
import importlib
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from noether_contract.json_values import JsonTextError, compact_json, json_equal, parse_json
from noether_contract.messages import Grants, Limits, Packages
from noether_contract.stage_environment import stage_grants
from noether_runner.languages.environments.finder import PythonEnvironments
from noether_runner.languages.execute import Surroundings, execute_stage
from noether_runner.languages.language import StageProgram
from noether_runner.sandbox import bwrap, confining, zygote
from noether_runner.sandbox.cancellation import CancelSwitch
from noether_runner.sandbox.child import Children
from noether_runner.sandbox.isolation import Isolation, Mode
from noether_runner.sandbox.private_directory import open_for
from noether_runner.sandbox.stage_user import StageUser
from noether_runner.stages.effects import read_effect_set

USED_LATER = ("encodings.idna", "site", "struct")
"""What stages of the tests import, and a user who cannot read our libraries could not."""

PROBED_BYTES = 16 * 1024 * 1024
"""Bound of private directories in a sandbox: probes write four times as much."""


def main() -> None:
    case = json.load(sys.stdin)
    environ = case.get("environ", os.environ)
    if case.get("without_backends"):
        bwrap._USUAL_FOLDERS = ()
        os.environ["PATH"] = "/nonexistent"
        confining.landlock_version = lambda: 0
    if "user" in case:
        become(case["user"])
    with tempfile.TemporaryDirectory(prefix="noether-test-") as work_dir:
        with Children.start(clean_fork=case.get("clean_fork", False)) as children:
            packages = Packages(**case.get("packages", {}))
            kept = Path(packages.folder or Path(work_dir, "environments"))
            environments = PythonEnvironments(children, kept, packages, Path(work_dir))
            surroundings = Surroundings(Limits(), Grants(), Path(work_dir), environments)
            isolation = functools.cache(functools.partial(isolation_for, case))
            if "stage_user" in case:
                open_for(isolation("none").user, Path(work_dir))
            threads = len(case["calls"]) if case.get("together") else 1
            with ThreadPoolExecutor(threads) as pool:
                results = list(
                    pool.map(
                        lambda call: run_call(
                            children,
                            call,
                            replace(
                                surroundings, isolation=isolation(call.get("isolation", "none"))
                            ),
                            environ,
                        ),
                        case["calls"],
                    )
                )
        left = [path.name for path in Path(work_dir).iterdir()]
    json.dump({"results": results, "left_in_work_dir": left}, sys.stdout)


def become(user: int) -> None:
    """Another user may not be able to read our libraries: load what is needed before."""
    zygote.preload()
    for name in USED_LATER:
        importlib.import_module(name)
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)


def isolation_for(case: dict[str, Any], mode: Mode) -> Isolation:
    """The one choice of all calls that ask for this mode."""
    user = StageUser(*case["stage_user"]) if "stage_user" in case else None
    return Isolation(mode, case.get("require_isolation", False), user, PROBED_BYTES)


def cancel_when_told(switch: CancelSwitch, fifo: str) -> None:
    Path(fifo).read_bytes()
    switch.cancel("interrupted")


def unacceptable(problem: JsonTextError) -> dict[str, Any]:
    """The result of a call whose input is no JSON: nothing is started."""
    nothing = dict.fromkeys(
        ("output_text", "error_type", "traceback", "cpu_ms", "peak_memory_bytes", "language")
    )
    return {
        **nothing,
        "status": "failed",
        "error_class": "bad_input",
        "message": str(problem),
        "stdout": "",
        "stderr": "",
        "log_truncated": False,
        "wall_ms": 0.0,
        "warnings": [],
        "isolation": None,
        "input_unchanged": True,
    }


def run_call(
    children: Children, call: dict[str, Any], given_to_all: Surroundings, environ: Mapping[str, str]
) -> dict[str, Any]:
    given = call.get("limits", {})
    limits = Limits(stage_seconds=call.get("timeout_ms", 10000) / 1000)
    changed = {
        key: given[key]
        for key in ("output_bytes", "log_bytes", "cpu_seconds", "max_processes")
        if key in given
    }
    if "memory_mb" in given:
        changed["memory_bytes"] = given["memory_mb"] * 1024 * 1024
    grants = stage_grants(environ, {}, call.get("pass_env", []))
    try:
        argument = parse_json(call["input_text"])
    except JsonTextError as problem:
        return unacceptable(problem)
    before = compact_json(argument)
    switch = CancelSwitch(time.monotonic() + call.get("run_seconds", 60))
    if "cancel_at" in call:
        threading.Thread(target=cancel_when_told, args=(switch, call["cancel_at"])).start()
    start = time.monotonic()
    outcome = execute_stage(
        children,
        StageProgram(
            "case",
            call.get("language"),
            call["code"],
            call.get("input_type") == "Text",
            read_effect_set({"effects": call.get("effects", [])}),
        ),
        argument,
        replace(
            given_to_all,
            limits=replace(limits, **changed),
            grants=replace(grants, **call.get("grants", {})),
            protected=tuple(call.get("protected", [])),
        ),
        switch,
    )
    wall_ms = (time.monotonic() - start) * 1000
    switch.close()
    error = outcome.error
    return {
        "status": "failed" if error else "ok",
        "output_text": compact_json(outcome.output).decode() if error is None else None,
        "error_class": error and error.error_class,
        "message": error and error.message,
        "error_type": error and error.error_type,
        "traceback": error and error.traceback,
        "stdout": outcome.stdout_tail or "",
        "stderr": outcome.stderr_tail or "",
        "log_truncated": outcome.log_truncated,
        "wall_ms": wall_ms,
        "cpu_ms": outcome.cpu_ms,
        "peak_memory_bytes": outcome.peak_memory_bytes,
        "warnings": outcome.warnings,
        "language": outcome.language,
        "isolation": outcome.isolation,
        "input_unchanged": json_equal(parse_json(before), argument),
    }


if __name__ == "__main__":
    main()
