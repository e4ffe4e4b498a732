"""One run for a person or a CI job: arguments to request, report to standard output.

Standard output carries the graph's output (or the envelope) and nothing else; progress, warnings
and errors go to standard error.
"""

import gc
import os
import re
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from noether_runner.arguments import Arguments, read_input
from noether_runner.channel import take_stdout
from noether_runner.sandbox.child import Children

_OUR_FRAME = re.compile(r"[(/ ]node:|/noether_runner/languages/children/").search
"""Lines of a traceback that say nothing to the author of a stage."""

_MOST_FRAME_LINES = 20


class Refused(Exception):  # noqa: N818 - what it says to the person, not what failed
    """The run cannot even be described; the message is for the person at the terminal."""


def run_by_hand(arguments: Arguments) -> int:
    """Runs one graph; returns the exit code."""
    # started first: it loads its own modules while this process loads the rest
    with Children.start(clean_fork=False) as children:
        try:
            return _run(arguments, children)
        except KeyboardInterrupt:
            # before the run or after it: while it runs, signals end it with a report
            from noether_contract.exit_codes import ExitCode

            return ExitCode.INTERRUPTED


def _run(arguments: Arguments, children: Children) -> int:
    from noether_contract.exit_codes import ExitCode
    from noether_runner.errors import RunnerError
    from noether_runner.interruption import interruptible
    from noether_runner.progress import Progress
    from noether_runner.sandbox.cancellation import CancelSwitch
    from noether_runner.sandbox.prctl import hide_from_peers
    from noether_runner.session import run_session
    from noether_runner.work_place import WorkPlace, new_folder

    gc.freeze()
    gc.enable()
    hide_from_peers()
    is_terminal = os.isatty(1)
    out = take_stdout(1)
    sys.stderr.reconfigure(errors="replace")  # type: ignore[union-attr]  # it is a text stream
    try:
        # may wait for standard input, so before there is anything to tidy up
        input_text = _input(arguments)
        folder = new_folder(os.environ, "noether-run-")
        with WorkPlace(folder):
            request = _request(arguments, input_text, folder)
            switch = CancelSwitch(deadline=time.monotonic() + arguments.run_seconds)
            with interruptible(switch.cancel) as stopped_by:
                report = run_session(request, children, switch, Progress(sys.stderr).show)
    except (Refused, RunnerError) as error:
        _say(f"error: {error}")
        _write_refusal(arguments, str(error))
        return ExitCode.REFUSED
    code = _exit_code(report, stopped_by)
    _say_findings(report)
    if not _write_files(arguments, report):
        code = code or ExitCode.FAILED
    document = _document(arguments, report)
    indented = is_terminal or arguments.envelope or arguments.dry_run
    if document is not None and not _print(out, document, indented=indented):
        code = code or ExitCode.FAILED
    return code


def _exit_code(report: Any, stopped_by: set[int]) -> int:
    from noether_contract.exit_codes import ExitCode, exit_code_for
    from noether_contract.outcomes import RunStatus

    if report.status is RunStatus.INTERRUPTED and signal.SIGINT in stopped_by:
        return ExitCode.INTERRUPTED
    return exit_code_for(report.status, report.error.code if report.error else None)


def _say_findings(report: Any) -> None:
    """What a person should know, the reason of a failure last."""
    for warning in report.trace.warnings:
        _say(f"warning: {warning}")
    for entry in report.trace.stages:
        for warning in entry.warnings:
            _say(f"warning: {entry.stage_name or entry.stage_id[:8]}: {warning}")
    if report.error is not None:
        _say(f"error: {report.error.message}")
        for line in _author_frames(report):
            _say(line)


def _author_frames(report: Any) -> list[str]:
    """Where in the stage's source it went wrong: its traceback without what is told already."""
    for entry in reversed(report.trace.stages):
        if entry.path == report.error.path and entry.error_traceback is not None:
            lines = entry.error_traceback.splitlines()
            frames = [line for line in lines if line.startswith("  ") and not _OUR_FRAME(line)]
            return frames[-_MOST_FRAME_LINES:]
    return []


def _request(arguments: Arguments, input_text: str, work_dir: str) -> Any:
    from noether_contract.messages import Limits, RunRequest
    from noether_contract.package_settings import packages_from
    from noether_contract.stage_environment import stage_grants
    from noether_runner.work_place import cache_of

    graph = Path(arguments.graph).absolute()
    environ = dict(os.environ)
    passed = environ if arguments.inherit_environment else arguments.pass_names
    missing = [name for name in arguments.pass_names if name not in environ]
    for name in missing:
        _say(f"warning: --pass-env {name}: it is not set, so no stage sees it")
    return RunRequest(
        run_id=f"{graph.stem}@{datetime.now(UTC):%Y%m%dT%H%M%S%f}"[:-3] + "Z-manual",
        graph_text=_text_of(graph, "graph"),
        graph_path=str(graph),
        input_text=input_text,
        store=_store(arguments),
        cache_dir=str(cache_of(environ)),
        work_dir=work_dir,
        limits=Limits(
            run_seconds=arguments.run_seconds,
            stage_seconds=arguments.stage_seconds,
            memory_bytes=arguments.memory_bytes,
        ),
        grants=stage_grants(environ, dict(arguments.environment), passed),
        packages=packages_from(environ),
        isolation=arguments.isolation,
        verify=arguments.verify,
        allow_effects=arguments.allow_effects,
        allow_capabilities=arguments.allow_capabilities,
        budget_cents=arguments.budget_cents,
        dry_run=arguments.dry_run,
        require_isolation=_is_required(environ),
    )


def _is_required(environ: dict[str, str]) -> bool:
    from noether_contract.isolation import REQUIRE_ISOLATION, read_required

    try:
        return read_required(environ.get(REQUIRE_ISOLATION))
    except ValueError as error:
        raise Refused(str(error)) from None


def _store(arguments: Arguments) -> Any:
    from noether_contract.messages import FileStoreRef, RegistryRef

    if arguments.registry is None:
        return FileStoreRef(path=str(Path(arguments.store).absolute()))
    key: str | None = None
    if arguments.registry_key_file is not None:
        path = Path(arguments.registry_key_file).absolute()
        key = _text_of(path, "API key file").strip()
        if not key:
            raise Refused(f"the API key file {path} is empty; expected the registry's key in it")
    return RegistryRef(url=arguments.registry, api_key=key)


def _input(arguments: Arguments) -> str:
    try:
        return read_input(arguments.input, sys.stdin.read)
    except OSError as error:
        raise Refused(
            f"--input {arguments.input}: {error.strerror}; expected a readable file after @"
        ) from None
    except UnicodeDecodeError as error:
        raise Refused(f"--input {arguments.input} is not UTF-8: {error.reason}") from None


def _text_of(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise Refused(f"the {what} {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise Refused(
            f"the {what} {path} is not UTF-8: byte {error.start} cannot be read as text"
        ) from None


def _document(arguments: Arguments, report: Any) -> object:
    if arguments.envelope:
        told = {"ok": report.error is None, "composition_id": report.composition_id}
        if report.error is not None:
            told["error"] = report.error.message
        else:
            told["output"] = report.output
        told["duration_ms"] = report.duration_ms
        told["trace"] = report.trace
        return told
    if report.error is not None:
        return None
    if arguments.dry_run:
        return {
            "composition_id": report.composition_id,
            **report.output,
            "resolutions": report.trace.resolutions,
            "warnings": list(report.trace.warnings),
        }
    return _Output(report.output)


class _Output:
    """A graph's output, which may be null: not the same as no document at all."""

    def __init__(self, value: object) -> None:
        self.value = value


def _json(document: object, *, indented: bool) -> bytes:
    import orjson

    is_output = isinstance(document, _Output)
    value = document.value if isinstance(document, _Output) else document
    options = orjson.OPT_APPEND_NEWLINE
    if is_output:
        options |= orjson.OPT_SORT_KEYS
    if indented:
        options |= orjson.OPT_INDENT_2
    return orjson.dumps(value, option=options)


def _print(descriptor: int, document: object, *, indented: bool) -> bool:
    """Whether it could be printed; a reader that has gone has had enough."""
    rest = memoryview(_json(document, indented=indented))
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except BrokenPipeError:
        return True
    except OSError as error:
        _say(f"error: the output cannot be printed: {error.strerror}")
        return False
    return True


def _write_files(arguments: Arguments, report: Any) -> bool:
    """Whether all files that were asked for could be written."""
    done = True
    if arguments.trace_file is not None:
        done = _write("trace", arguments.trace_file, _json(report.trace, indented=True))
    if arguments.junit_file is not None:
        from noether_runner.junit import report_document

        name = Path(arguments.graph).stem
        document = report_document(name, report, dry_run=arguments.dry_run)
        done = _write("JUnit report", arguments.junit_file, document) and done
    return done


def _write_refusal(arguments: Arguments, message: str) -> None:
    if arguments.junit_file is not None:
        from noether_runner.junit import refusal_document

        document = refusal_document(Path(arguments.graph).stem, message)
        _write("JUnit report", arguments.junit_file, document)


def _write(what: str, path: str, content: bytes) -> bool:
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        _say(f"error: the {what} cannot be written to {Path(path).absolute()}: {error.strerror}")
        return False
    return True


def _say(text: str) -> None:
    from noether_runner.progress import visible

    try:
        sys.stderr.write(visible(text) + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return
